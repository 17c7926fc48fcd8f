// What `--check` tells of a Kafka: everything that v3 will ask of it, without making anything there.
import { EngineFault } from "@stampede/domain";
import type { Broker } from "@platformatic/kafka";
import type { Finding } from "../finding.ts";
import { systemTime } from "../time.ts";
import { addressOf, parseBrokers } from "./access.ts";
import type { KafkaAccess } from "./access.ts";
import { kafkaCluster } from "./cluster.ts";
import type { Cluster } from "./cluster.ts";
import { lacks, leftOutWords, whyUnreachable } from "./condition.ts";
import { explain, interview } from "./interview.ts";
import { readRights } from "./rights.ts";
import type { Rights } from "./rights.ts";
import { kafkaAdvice, kafkaReason } from "./words.ts";

type Target = { readonly brokers: readonly string[]; readonly access: KafkaAccess };

const ADVERTISED =
  "Set advertised.listeners of the broker to an address that leads to it from here";

export async function checkKafka({ brokers, access }: Target): Promise<readonly Finding[]> {
  const bootstrap = parseBrokers(brokers.join(","));
  const cluster = kafkaCluster(bootstrap, systemTime, access);
  try {
    const named = await Promise.all(
      bootstrap.map(async (broker) => ({ broker, reason: await answers(cluster, broker, access) })),
    );
    const answering = named.find(({ reason }) => reason === null);
    const findings = named.map(({ broker, reason }) =>
      reached(addressOf(broker), reason, answering === undefined ? "refused" : "warning"),
    );
    findings.push(signInFinding(access));
    if (answering === undefined) return findings;
    const old = await interview(answering.broker, access);
    if (old !== null) return [...findings, refused("version", old)];
    findings.push(right("version", "speaks every request that is used"));
    findings.push(...(await advertisedFindings(cluster)));
    findings.push(...rightsFindings(await readRights(cluster), cluster.brokersMax()));
    return findings;
  } catch (error) {
    if (!(error instanceof EngineFault)) throw error;
    return [refused("answers", kafkaReason(error))];
  } finally {
    await cluster.close();
  }
}

/** Null where it does. */
async function answers(
  cluster: Cluster,
  broker: Broker,
  access: KafkaAccess,
): Promise<string | null> {
  try {
    await cluster.describe([], broker);
    return null;
  } catch (error) {
    return explain(kafkaReason(error), [broker], access);
  }
}

function reached(address: string, reason: string | null, verdict: Finding["verdict"]): Finding {
  const what = `address ${address}`;
  if (reason === null) return right(what, "answers");
  return finding(what, reason, { verdict, advice: kafkaAdvice(reason) });
}

function signInFinding({ sasl, tls }: KafkaAccess): Finding {
  const who =
    sasl === null
      ? tls?.client
        ? "by client certificate"
        : "none"
      : `${sasl.mechanism} as ${sasl.username}`;
  const found = `${who}, ${tls === null ? "without" : "over"} TLS`;
  if (sasl?.mechanism !== "PLAIN" || tls !== null) return right("sign-in", found);
  const advice = "Set KAFKA_TLS=on or use SCRAM: PLAIN shows the password to whoever is on the way";
  return finding("sign-in", found, { verdict: "warning", advice });
}

async function advertisedFindings(cluster: Cluster): Promise<readonly Finding[]> {
  const brokers = cluster.brokers();
  const reasons = await Promise.all(
    brokers.map(async (broker) => ({ broker, reason: await whyUnreachable(cluster, broker) })),
  );
  const none = reasons.every(({ reason }) => reason !== null);
  return reasons.map(({ broker, reason }) => {
    const what = `advertised ${addressOf(broker)}`;
    if (reason === null) return right(what, "can be reached");
    return finding(what, reason, { verdict: none ? "refused" : "warning", advice: ADVERTISED });
  });
}

function rightsFindings(rights: Rights, brokers: number): readonly Finding[] {
  const { missingToServe, missingBeside, creation } = rights;
  const all = [...missingToServe, ...missingBeside];
  const verdict = missingToServe.length > 0 ? "refused" : "warning";
  const found = lacks(all);
  return [
    all.length === 0
      ? right("rights", "Write, Read, Create, Delete, DescribeConfigs")
      : finding("rights", found, { verdict, advice: kafkaAdvice(found) }),
    ...creationFindings(creation, brokers),
  ];
}

function creationFindings(creation: Rights["creation"], brokers: number): readonly Finding[] {
  if ("refused" in creation) {
    // Told with the rights already.
    if (creation.refused.includes("AUTHORIZATION_FAILED")) return [];
    return [refused("new topics", creation.refused)];
  }
  const { replicas, leftOut } = creation;
  const settings =
    leftOut.length === 0
      ? right("topic settings", "are taken as they are wanted")
      : finding("topic settings", leftOutWords(leftOut).join(), {
          verdict: "warning",
          advice:
            "Have the cluster keep min.insync.replicas at 2 and never elect an unclean leader",
        });
  const copies = replicas ?? (brokers >= 3 ? 3 : null);
  if (copies !== null && copies >= 3) {
    return [settings, right("copies", `${copies} of every log, two of which take each claim`)];
  }
  const few = `${copies ?? "as many as the cluster makes"} of every log on ${brokers} brokers`;
  const advice = "Three brokers keep every claim when one of them is lost with its disk";
  return [settings, finding("copies", few, { verdict: "warning", advice })];
}

function right(what: string, found: string): Finding {
  return finding(what, found, { verdict: "right", advice: "" });
}

function refused(what: string, found: string): Finding {
  return finding(what, found, { verdict: "refused", advice: kafkaAdvice(found) });
}

function finding(what: string, found: string, rest: Pick<Finding, "verdict" | "advice">): Finding {
  return { engine: "kafka", what, found, ...rest };
}
