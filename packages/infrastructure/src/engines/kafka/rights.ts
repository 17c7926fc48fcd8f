// What this user may do with its topics, found out without doing any of it: every question is about a
// topic that does not exist, and Kafka looks at the rights first. Who has them hears that there is no
// such topic.
import { randomBytes } from "node:crypto";
import {
  ConfigResourceTypes,
  deleteRecordsV2,
  describeConfigsV4,
  FetchIsolationLevels,
  fetchV12,
} from "@platformatic/kafka";
import type { Connection } from "@platformatic/kafka";
import { EngineFault } from "@stampede/domain";
import type { Cluster } from "./cluster.ts";
import { kafkaFault } from "./faults.ts";
import { produceWire } from "./produce-wire.ts";
import { createTopic } from "./topic-creation.ts";
import type { Creation } from "./topic-creation.ts";
import { isKafkaAnswer, kafkaReason } from "./words.ts";

export type Rights = {
  /** Without these no claim can be taken or decided. */
  readonly missingToServe: readonly string[];
  /** Without these events cannot be made, or their topics stay. */
  readonly missingBeside: readonly string[];
  /** What making a topic would come to; a reason where Kafka would make none. */
  readonly creation: Creation | { readonly refused: string };
};

const ASKED_MS_MAX = 3_000;
const DENIED = /AUTHORIZATION_FAILED/;

/** Rejects with `EngineFault` where Kafka does not answer. */
export async function readRights(cluster: Cluster): Promise<Rights> {
  const topic = `stampede.check.${randomBytes(6).toString("hex")}`;
  const pool = cluster.openPool(ASKED_MS_MAX);
  try {
    const wire = produceWire(cluster, pool);
    const connection = await cluster.connectAny();
    const { host = "", port = 0 } = connection;
    const missingToServe = await missingOf(
      {
        "Write on the topics stampede.* (to append claims)": async () => {
          await wire.openProducer();
          const leader = await wire.connect({ host, port });
          await leader.produce(topic, Buffer.alloc(0));
        },
        "Read on the topics stampede.* (to decide)": async () => readNothing(connection, topic),
      },
      "fails",
    );
    const creation = await tryCreation(cluster, topic);
    const missingBeside = await missingOf(
      {
        "Create on the topics stampede.* (to make events)": async () => {
          if ("refused" in creation) throw new Error(creation.refused);
        },
        "DescribeConfigs on the topics stampede.* (or a log that begins to forget is not seen)":
          async () => describeNothing(connection, topic),
        "Delete on the topics stampede.* (or topics of events that are over stay)": async () =>
          deleteNothing(cluster, topic),
      },
      "is silent",
    );
    return { missingToServe, missingBeside, creation };
  } finally {
    await cluster.closePool(pool);
  }
}

/** Whoever appends and reads needs an answer; what is beside may wait for a controller. */
async function missingOf(
  questions: Readonly<Record<string, () => Promise<unknown>>>,
  without: "fails" | "is silent",
): Promise<readonly string[]> {
  const missing: string[] = [];
  for (const [right, ask] of Object.entries(questions)) {
    try {
      await ask();
    } catch (error) {
      if (DENIED.test(kafkaReason(error))) missing.push(right);
      else if (without === "fails" && !isKafkaAnswer(error)) {
        throw kafkaFault(error, "not-applied", "asking for rights");
      }
    }
  }
  return missing;
}

async function tryCreation(cluster: Cluster, topic: string): Promise<Rights["creation"]> {
  try {
    return await createTopic(cluster, topic, { validateOnly: true });
  } catch (error) {
    if (error instanceof EngineFault) return { refused: kafkaReason(error) };
    throw error;
  }
}

/** By name, as only this version and older ones do: by an unknown id nobody's rights are looked at. */
async function readNothing(connection: Connection, topic: string): Promise<void> {
  const partition = { partition: 0, currentLeaderEpoch: -1, fetchOffset: 0n, lastFetchedEpoch: -1 };
  const partitions = [{ ...partition, partitionMaxBytes: 1 }];
  await fetchV12.api.async(
    connection,
    0,
    1,
    1,
    FetchIsolationLevels.READ_UNCOMMITTED,
    0,
    -1,
    [{ topicId: topic, partitions }],
    [],
    "",
  );
}

/**
 * Not by DeleteTopics, which tells of a missing topic before it looks at the right to delete it.
 * Not every Kafka has this question: what it says beside a refusal counts for nothing.
 */
async function deleteNothing(cluster: Cluster, topic: string): Promise<void> {
  const partitions = [{ partitionIndex: 0, offset: 0n }];
  try {
    const connection = await cluster.connectAny();
    await deleteRecordsV2.api.async(connection, [{ name: topic, partitions }], ASKED_MS_MAX);
  } catch (error) {
    if (DENIED.test(kafkaReason(error))) throw error;
  }
}

async function describeNothing(connection: Connection, topic: string): Promise<void> {
  const resource = {
    resourceType: ConfigResourceTypes.TOPIC,
    resourceName: topic,
    configurationKeys: ["retention.ms"],
  };
  await describeConfigsV4.api.async(connection, [resource], false, false);
}
