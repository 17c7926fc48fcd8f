import { EngineFault } from "@stampede/domain";
import type { Broker } from "@platformatic/kafka";
import { timed } from "../../engines/telemetry.ts";
import type { RoundTrip } from "../../engines/telemetry.ts";
import type { Time } from "../../engines/time.ts";
import { kafkaCluster } from "../../engines/kafka/cluster.ts";
import type { TopicFacts } from "../../engines/kafka/led-topics.ts";
import { inspectByTwo } from "./agreement.ts";
import { logFeed } from "./log-feed.ts";
import type { LogFeed } from "./log-feed.ts";
import { logWriter } from "./log-writer.ts";
import type { LogWriter } from "./log-writer.ts";
import { createLog, deleteLogs, inspectLogs } from "./topics.ts";
import type { EventLog, LogCondition } from "./topics.ts";

export type Kafka = {
  /** Whether a broker answered the last time; asked every two seconds, and after a failure at once. */
  isUp(): boolean;
  /** Asks now whether a broker answers. Never rejects. */
  probe(): Promise<void>;
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

const PROBE_EVERY_MS = 2_000;
/** Beyond the wait for replicas (3 s), so that the leader's own answer comes first. */
const PRODUCE_MS_MAX = 4_000;
/** Events share these connections: one whose replicas lag holds up a quarter of the others. */
const PRODUCE_POOLS = 4;
const METADATA: RoundTrip = { engine: "kafka", operation: "metadata" };

/**
 * Opens Kafka at `brokers` ("host:port,host:port"). A cluster that does not answer is no failure
 * here: the service starts, and queues from the moment a broker is there.
 */
export async function openKafka(options: {
  readonly brokers: string;
  readonly time: Time;
}): Promise<Kafka> {
  const cluster = kafkaCluster(parseBrokers(options.brokers), options.time);
  const producePools = Array.from({ length: PRODUCE_POOLS }, () =>
    cluster.openPool(PRODUCE_MS_MAX),
  );
  const feed = logFeed(cluster);
  let up = false;
  let closed = false;
  let writers = 0;
  let probing: Promise<void> | null = null;

  const probeOnce = async (): Promise<void> => {
    try {
      await timed(METADATA, async () => cluster.refresh());
      up = !closed;
    } catch (error) {
      // Being away is an answer too: `isUp` tells it.
      if (!(error instanceof EngineFault)) throw error;
      up = false;
    }
  };
  const probe = async (): Promise<void> => {
    probing ??= probeOnce().finally(() => {
      probing = null;
    });
    return probing;
  };
  await probe();
  const endProbing = options.time.every(PROBE_EVERY_MS, () => void probe());

  const kafka: Kafka = {
    isUp: () => up,
    probe,
    createLog: async (topic) => createLog(cluster, topic),
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
            void probe();
            throw error;
          }
        },
      };
    },
    openReader: feed.openReader,
    watch: feed.watch,
    async close() {
      closed = true;
      up = false;
      endProbing();
      await feed.close();
      await cluster.close();
      await probing;
    },
    [Symbol.asyncDispose]: async () => kafka.close(),
  };
  return kafka;
}

function parseBrokers(text: string): Broker[] {
  return text.split(",").map((part) => {
    const url = URL.parse(`kafka://${part.trim()}`);
    if (url === null || url.hostname === "") {
      throw new Error(`"${part}" names no Kafka broker; write host:port, several with commas`);
    }
    const host = url.hostname.replace(/^\[(?<address>.*)\]$/, "$<address>");
    return { host, port: url.port === "" ? 9_092 : Number(url.port) };
  });
}
