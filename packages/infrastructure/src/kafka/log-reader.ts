// Reads an event's log from a given offset, by the topic's id: a topic made again under the same name
// is an error and not another history. No consumer group, no committed offset, no reset policy: the
// one position that counts is the mark in PostgreSQL.
import type { RecordsBatch } from "@platformatic/kafka";
import { fetchV13, FetchIsolationLevels } from "@platformatic/kafka";
import type { Cluster } from "./cluster.ts";
import { isStale } from "./cluster.ts";
import { publishRoundTrip } from "../telemetry.ts";
import type { RoundTrip } from "../telemetry.ts";
import { brokerErrorIds, kafkaFault } from "./faults.ts";

export type LogRecord = {
  readonly offset: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  /** A marker of somebody's Kafka transaction: it takes an offset and is no claim. */
  readonly control: boolean;
};

export type LogReading =
  | {
      readonly kind: "read";
      readonly records: readonly LogRecord[];
      /** The offset that the next record gets. */
      readonly end: number;
      /** When the broker got the first of these records, epoch milliseconds; null without records. */
      readonly appendedAtMs: number | null;
    }
  /** The log does not have the offset, or the topic is not the one with this id. */
  | { readonly kind: "mismatch" };

export type LogReader = {
  /**
   * The records from `offset` on; waits for the first one for up to `waitMs`. Rejects with
   * `EngineFault` ("not-applied").
   */
  read(offset: number, waitMs: number): Promise<LogReading>;
  close(): Promise<void>;
};

const BYTES_MAX = 524_288;
const REQUEST_MS_MAX = 3_000;
type FetchResponse = Awaited<ReturnType<typeof fetchV13.api.async>>;

/** No fetch session: each request says all. */
const NO_SESSION = { id: 0, epoch: -1 };
const IS_CONTROL = 32;
const FETCH: RoundTrip = { engine: "kafka", operation: "fetch" };

/** A reader has a connection of its own, since a long poll holds up whatever comes after it. */
export function logReader(
  cluster: Cluster,
  log: { readonly topic: string; readonly topicId: string },
): LogReader {
  const pool = cluster.openPool(REQUEST_MS_MAX);
  return {
    async read(offset, waitMs) {
      const partition = {
        partition: 0,
        currentLeaderEpoch: -1,
        fetchOffset: BigInt(offset),
        lastFetchedEpoch: -1,
        partitionMaxBytes: BYTES_MAX,
      };
      try {
        const { leader } = await cluster.find(log.topic);
        // Here too: right after a broker died the others still name it as the leader, and whoever
        // remembers that would ask a dead one for ever.
        const connection = await cluster.connect(pool, leader);
        const askedAtMs = cluster.time.nowMs();
        const response = await fetchV13.api.async(
          connection,
          waitMs,
          1,
          BYTES_MAX,
          FetchIsolationLevels.READ_UNCOMMITTED,
          NO_SESSION.id,
          NO_SESSION.epoch,
          [{ topicId: log.topicId, partitions: [partition] }],
          [],
          "",
        );
        const reading = readingOf(response, offset);
        // A poll that nothing came of took as long as it was told to.
        if (reading.records.length > 0) publishRoundTrip(FETCH, askedAtMs);
        return reading;
      } catch (error) {
        cluster.forget(log.topic);
        const ids = brokerErrorIds(error);
        if (ids.includes("OFFSET_OUT_OF_RANGE") || isTopicUnknown(ids)) return { kind: "mismatch" };
        const doing = isStale(error) ? "looking for the leader" : "reading the log";
        throw kafkaFault(error, "not-applied", doing);
      }
    },
    close: async () => cluster.closePool(pool),
  };
}

function isTopicUnknown(ids: readonly string[]): boolean {
  return ids.some((id) =>
    ["UNKNOWN_TOPIC_ID", "UNKNOWN_TOPIC_OR_PARTITION", "INCONSISTENT_TOPIC_ID"].includes(id),
  );
}

function readingOf(
  response: FetchResponse,
  offset: number,
): LogReading & { readonly kind: "read" } {
  const partition = response.responses[0]?.partitions[0];
  if (partition === undefined) throw new Error("the broker answered without the partition asked");
  const batches = partition.records ?? [];
  const records = batches.flatMap(recordsOf).filter((record) => record.offset >= offset);
  const first = batches[0];
  return {
    kind: "read",
    records,
    end: Number(partition.highWatermark),
    appendedAtMs: first === undefined ? null : Number(first.maxTimestamp),
  };
}

function recordsOf(batch: RecordsBatch): LogRecord[] {
  const control = (batch.attributes & IS_CONTROL) !== 0;
  const firstOffset = Number(batch.firstOffset);
  return batch.records.map(({ key, value, offsetDelta }) => ({
    offset: firstOffset + offsetDelta,
    key,
    value,
    control,
  }));
}
