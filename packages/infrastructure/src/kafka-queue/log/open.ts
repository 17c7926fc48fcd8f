import { EngineFault } from "@stampede/domain";
import type { Time } from "../../engines/time.ts";
import { openAccess, parseBrokers } from "../../engines/kafka/access.ts";
import type { KafkaAccess } from "../../engines/kafka/access.ts";
import { kafkaCluster } from "../../engines/kafka/cluster.ts";
import { watchCondition } from "../../engines/kafka/condition.ts";
import type { Tell } from "../../engines/kafka/condition.ts";
import type { TopicFacts } from "../../engines/kafka/led-topics.ts";
import { withKafkaAdvice } from "../../engines/kafka/words.ts";
import { inspectByTwo } from "./agreement.ts";
import { logFeed } from "./log-feed.ts";
import type { LogFeed } from "./log-feed.ts";
import { logWriter } from "./log-writer.ts";
import type { LogWriter } from "./log-writer.ts";
import { createLog, deleteLogs, inspectLogs } from "./topics.ts";
import type { EventLog, LogCondition } from "./topics.ts";

export type Kafka = {
  /** See condition.ts; asked every two seconds, and after a failure at once. */
  isUp(): boolean;
  /** Asks now whether a broker answers. Never rejects. */
  probe(): Promise<void>;
  /** Rejects with `EngineFault` ("not-applied"). The topic may be there all the same. */
  createLog(topic: string): Promise<EventLog>;
  /** See `deleteLogs` of topics.ts. */
  deleteLogs(topics: readonly string[]): Promise<readonly string[]>;
  /**
   * See `inspectLogs` of topics.ts, and agreement.ts for `byTwo`. Rejects with `EngineFault`
   * ("not-applied").
   */
  inspectLogs(
    logs: readonly (EventLog & { readonly mark: number })[],
    options: { readonly retention: boolean; readonly byTwo?: boolean },
  ): Promise<Map<string, LogCondition>>;
  openWriter(topic: string, check: (facts: TopicFacts) => void): LogWriter;
  /** See log-feed.ts. */
  openReader: LogFeed["openReader"];
  watch: LogFeed["watch"];
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** Beyond the wait for replicas (3 s), so that the leader's own answer comes first. */
const PRODUCE_MS_MAX = 4_000;
/** Events share these connections: one whose replicas lag holds up a quarter of the others. */
const PRODUCE_POOLS = 4;
const SILENT: Tell = { warning: () => undefined, error: () => undefined };

/**
 * Opens Kafka at `brokers` ("host:port,host:port"). A cluster that does not answer is no failure
 * here: the service starts, and queues from the moment a broker is there.
 */
export async function openKafka(options: {
  readonly brokers: string;
  readonly time: Time;
  readonly access?: KafkaAccess;
  readonly tell?: Tell;
}): Promise<Kafka> {
  const { time, access = openAccess, tell = SILENT } = options;
  const bootstrap = parseBrokers(options.brokers);
  if (access.sasl?.mechanism === "PLAIN" && access.tls === null) {
    tell.warning(
      "KAFKA_SASL_MECHANISM=PLAIN without KAFKA_TLS=on: whoever is on the way to Kafka can read the " +
        "password. Use TLS, or SCRAM-SHA-256.",
    );
  }
  const cluster = kafkaCluster(bootstrap, time, access);
  const producePools = Array.from({ length: PRODUCE_POOLS }, () =>
    cluster.openPool(PRODUCE_MS_MAX),
  );
  const feed = logFeed(cluster);
  const condition = watchCondition(cluster, { bootstrap, access, tell });
  const { isUp, probe } = condition;
  let writers = 0;
  await probe();

  const kafka: Kafka = {
    isUp,
    probe,
    async createLog(topic) {
      // A topic that is made and cannot be used would be in the way of nobody knows whom.
      if (!isUp()) await probe();
      const trouble = condition.trouble();
      if (trouble !== null) throw new EngineFault("kafka", "not-applied", withKafkaAdvice(trouble));
      return createLog(cluster, topic);
    },
    deleteLogs: async (topics) => deleteLogs(cluster, topics),
    inspectLogs: async (logs, { byTwo, retention }) =>
      (byTwo ? inspectByTwo : inspectLogs)(cluster, logs, { retention }),
    openWriter(topic, check) {
      const pool = producePools[writers % PRODUCE_POOLS] ?? cluster.openPool(PRODUCE_MS_MAX);
      writers += 1;
      const writer = logWriter(cluster, { pool, topic, check });
      return {
        prepare: async () => writer.prepare(),
        async append(batch) {
          try {
            return await writer.append(batch);
          } catch (error) {
            condition.noteFailure(error);
            void probe();
            throw error;
          }
        },
      };
    },
    openReader: feed.openReader,
    watch: feed.watch,
    async close() {
      const ended = condition.close();
      await feed.close();
      await cluster.close();
      await ended;
    },
    [Symbol.asyncDispose]: async () => kafka.close(),
  };
  return kafka;
}
