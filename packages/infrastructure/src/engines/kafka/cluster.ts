// What this process knows of the Kafka cluster, and its connections.
//
// The client's own Producer and Consumer are not used: they retry inside, and then nobody can tell
// whether an attempt before the last one reached the log. Here each request is one attempt on one
// connection, so that "certainly not appended" and "perhaps appended" stay apart (B32).
// The request versions are fixed ones that every KRaft broker (3.3 and later) speaks.
import { metadataV12, ResponseError } from "@platformatic/kafka";
import type { Broker, Connection, ConnectionPool } from "@platformatic/kafka";
import type { Time } from "../time.ts";
import { addressOf, connectionPool, openAccess } from "./access.ts";
import type { KafkaAccess } from "./access.ts";
import { kafkaFault } from "./faults.ts";
import { ledTopics } from "./led-topics.ts";
import type { LedTopics, TopicFacts } from "./led-topics.ts";

export type Cluster = LedTopics & {
  readonly time: Time;
  /**
   * Asks any broker for the list of brokers, unless the last one is younger than `ageMsMax`; rejects
   * with `EngineFault` when none answers.
   */
  refresh(ageMsMax?: number): Promise<void>;
  /** The most brokers that it ever had, as far as this process was told: named at the start, or seen. */
  brokersMax(): number;
  /** The brokers that were there the last time. */
  brokers(): readonly Broker[];
  /** Topics as `from`, or any broker, has them now, by name; one that does not exist is missing. */
  describe(topics: readonly string[], from?: Broker): Promise<Map<string, TopicFacts>>;
  /** A connection to any broker, for requests that any of them answers or passes on. */
  connectAny(): Promise<Connection>;
  /** A connection to one broker for a short question. */
  connectControl(broker: Broker): Promise<Connection>;
  /** A connection to one broker, out of the pool for this use. */
  connect(pool: ConnectionPool, broker: Broker): Promise<Connection>;
  /** Connections of their own: a broker answers the requests of one connection one by one. */
  openPool(requestMsMax: number): ConnectionPool;
  closePool(pool: ConnectionPool): Promise<void>;
  close(): Promise<void>;
};

const CONNECT_MS_MAX = 2_000;
const CONTROL_MS_MAX = 3_000;
const INFLIGHT_MAX = 100;
const UNKNOWN_TOPIC = 3;
const SILENT_MS = 30_000;

export function kafkaCluster(
  bootstrap: readonly Broker[],
  time: Time,
  access: KafkaAccess = openAccess,
): Cluster {
  const pools = new Set<ConnectionPool>();
  let brokers = new Map<number, Broker>();
  let brokersMax = bootstrap.length;
  let listedAtMs = Number.NEGATIVE_INFINITY;

  const openPool = (requestMsMax: number): ConnectionPool => {
    const pool = connectionPool(access, {
      connectTimeout: CONNECT_MS_MAX,
      requestTimeout: requestMsMax,
      maxInflights: INFLIGHT_MAX,
    });
    pools.add(pool);
    return pool;
  };
  const control = openPool(CONTROL_MS_MAX);
  const silent = silentBrokers(time);

  const cluster: Cluster = {
    time,
    ...ledTopics(async (topics) => cluster.describe(topics)),
    async refresh(ageMsMax = 0) {
      if (time.nowMs() - listedAtMs >= ageMsMax) await cluster.describe([]);
    },
    brokersMax: () => brokersMax,
    brokers: () => [...brokers.values()],
    async describe(topics, from) {
      const metadata = await (from === undefined
        ? askSomebody(cluster, silent, topics)
        : askMetadata(await cluster.connectControl(from), topics));
      brokers = new Map(metadata.brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]));
      brokersMax = Math.max(brokersMax, brokers.size);
      listedAtMs = time.nowMs();
      return topicFactsOf(metadata, brokers);
    },
    async connectAny() {
      try {
        return await control.getFirstAvailable(silent.last([...bootstrap, ...brokers.values()]));
      } catch (error) {
        throw kafkaFault(error, "not-applied", "connecting");
      }
    },
    connectControl: async (broker) => cluster.connect(control, broker),
    async connect(pool, broker) {
      try {
        return await pool.get(broker);
      } catch (error) {
        throw kafkaFault(error, "not-applied", `connecting to ${addressOf(broker)}`);
      }
    },
    openPool,
    async closePool(pool) {
      pools.delete(pool);
      await pool.close();
    },
    async close() {
      await Promise.all([...pools].map(async (pool) => pool.close()));
    },
  };
  return cluster;
}

type SilentBrokers = {
  note(broker: Addressed): void;
  last(brokers: readonly Broker[]): Broker[];
};

/** Those that did not answer a while ago, so that others are asked first. */
function silentBrokers(time: Time): SilentBrokers {
  const untilMs = new Map<string, number>();
  const isSilent = (broker: Broker): boolean =>
    time.nowMs() < (untilMs.get(addressed(broker)) ?? -Infinity);
  return {
    note(broker) {
      untilMs.set(addressed(broker), time.nowMs() + SILENT_MS);
    },
    last: (brokers) => brokers.toSorted((a, b) => Number(isSilent(a)) - Number(isSilent(b))),
  };
}

/** One that takes connections and does not answer must not stand for all of them. */
async function askSomebody(
  cluster: Pick<Cluster, "connectAny">,
  silent: SilentBrokers,
  topics: readonly string[],
): Promise<Metadata> {
  const first = await cluster.connectAny();
  try {
    return await askMetadata(first, topics);
  } catch (error) {
    silent.note(first);
    const second = await cluster.connectAny();
    if (addressed(first) === addressed(second)) throw error;
    return askMetadata(second, topics);
  }
}

type Addressed = { readonly host?: string | undefined; readonly port?: number | undefined };

function addressed({ host, port }: Addressed): string {
  return `${host}:${port}`;
}

type Metadata = Awaited<ReturnType<typeof metadataV12.api.async>>;

async function askMetadata(connection: Connection, topics: readonly string[]): Promise<Metadata> {
  try {
    // Never creating a topic by asking for it, whatever the broker is set to (K19).
    return await metadataV12.api.async(connection, [...topics], false, false);
  } catch (error) {
    // A topic that is missing or has no leader is part of the answer, not a failure of it.
    const answer: unknown = error instanceof ResponseError ? error["response"] : null;
    if (isMetadata(answer)) return answer;
    throw kafkaFault(error, "not-applied", "asking for metadata");
  }
}

function isMetadata(answer: unknown): answer is Metadata {
  return typeof answer === "object" && answer !== null && "brokers" in answer && "topics" in answer;
}

function topicFactsOf(
  metadata: Metadata,
  brokers: ReadonlyMap<number, Broker>,
): Map<string, TopicFacts> {
  const found = new Map<string, TopicFacts>();
  for (const { errorCode, name, topicId, partitions } of metadata.topics) {
    if (errorCode === UNKNOWN_TOPIC || typeof name !== "string") continue;
    const first = partitions.find((partition) => partition.partitionIndex === 0);
    const leader = brokers.get(first?.leaderId ?? -1) ?? null;
    found.set(name, {
      topicId: errorCode === 0 ? topicId : null,
      partitions: partitions.length,
      leader: errorCode === 0 ? leader : null,
    });
  }
  return found;
}
