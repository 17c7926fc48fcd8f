// Makes a topic that keeps an order for ever: one partition, and records that nobody forgets.
import { createTopicsV7 } from "@platformatic/kafka";
import type { Cluster } from "./cluster.ts";
import { kafkaFault } from "./faults.ts";
import { kafkaReason } from "./words.ts";

type CreationOptions = {
  /** Whether Kafka would make it; it makes nothing. */
  readonly validateOnly: boolean;
};

export type Creation = {
  /** Copies of the log; null where this user may not see it. */
  readonly replicas: number | null;
  /** Settings that this Kafka leaves to nobody, so that its own count. */
  readonly leftOut: readonly string[];
};

const CREATE_MS_MAX = 3_000;
/** Brokers come and go seldom; how many there were at most is what counts. */
const BROKERS_MS_MAX = 10_000;
/** As many copies as the cluster makes where nothing is said. */
const CLUSTER_DEFAULT = -1;
const REFUSED_SETTING = /INVALID_CONFIG|POLICY_VIOLATION|INVALID_REQUEST/;

/** Without these a log would lose records, or their order. */
const NEEDED = { "retention.ms": "-1", "retention.bytes": "-1", "cleanup.policy": "delete" };

/** Hosted Kafka keeps some of these for itself: it is asked again without those that it names. */
function wanted(replicated: boolean): Readonly<Record<string, string>> {
  return {
    "min.insync.replicas": replicated ? "2" : "1",
    "unclean.leader.election.enable": "false",
    // Whatever somebody sends, the broker stores in a form that we can read.
    "compression.type": "uncompressed",
    // A crowd's batch has half of it; a cluster may be set to less.
    "max.message.bytes": "1048588",
    // By the broker's clock: a wrong clock of ours would have its records refused.
    "message.timestamp.type": "LogAppendTime",
  };
}

/** Rejects with `EngineFault` ("not-applied"): a topic that was made nevertheless is nobody's. */
export async function createTopic(
  cluster: Cluster,
  topic: string,
  options: CreationOptions,
): Promise<Creation> {
  await cluster.refresh(BROKERS_MS_MAX);
  // Not by those that answer now: a log made while one of three is down would have one copy for ever.
  // Kafka then refuses three, and the event is made when they are back.
  const replicated = cluster.brokersMax() >= 3;
  const optional = new Map(Object.entries(wanted(replicated)));
  const leftOut: string[] = [];
  for (;;) {
    const settings = { ...NEEDED, ...Object.fromEntries(optional) };
    try {
      const replicas = await ask(cluster, topic, { settings, replicated, ...options });
      return { replicas, leftOut };
    } catch (error) {
      const reason = kafkaReason(error);
      const named = [...optional.keys()].filter((name) => reason.includes(name));
      if (!REFUSED_SETTING.test(reason) || named.length === 0) {
        throw kafkaFault(error, "not-applied", `creating topic ${topic}`);
      }
      for (const name of named) optional.delete(name);
      leftOut.push(...named);
    }
  }
}

async function ask(
  cluster: Cluster,
  topic: string,
  plan: CreationOptions & {
    readonly settings: Readonly<Record<string, string>>;
    readonly replicated: boolean;
  },
): Promise<number | null> {
  const connection = await cluster.connectAny();
  const wish = {
    name: topic,
    numPartitions: 1,
    replicationFactor: plan.replicated ? 3 : CLUSTER_DEFAULT,
    assignments: [],
    configs: Object.entries(plan.settings).map(([name, value]) => ({ name, value })),
  };
  const { topics } = await createTopicsV7.api.async(
    connection,
    [wish],
    CREATE_MS_MAX,
    plan.validateOnly,
  );
  const replicas = topics[0]?.replicationFactor ?? -1;
  return replicas > 0 ? replicas : null;
}
