import type { fetchV13, RecordsBatch } from "@platformatic/kafka";

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

type FetchResponse = Awaited<ReturnType<typeof fetchV13.api.async>>;

/** A broker's answer about one log. */
export type FetchedLog = FetchResponse["responses"][number]["partitions"][number];

const IS_CONTROL = 32;
const NO_ERROR = 0;
/** OFFSET_OUT_OF_RANGE, UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID, INCONSISTENT_TOPIC_ID. */
const MISMATCHES = new Set([1, 3, 100, 103]);

/** What was fetched, from `offset` on; "moved" where another broker, or none now, leads the log. */
export function readingOf(fetched: FetchedLog, offset: number): LogReading | "moved" {
  if (MISMATCHES.has(fetched.errorCode)) return { kind: "mismatch" };
  if (fetched.errorCode !== NO_ERROR) return "moved";
  const batches = fetched.records ?? [];
  const records = batches.flatMap(recordsOf).filter((record) => record.offset >= offset);
  const first = batches[0];
  return {
    kind: "read",
    records,
    end: Number(fetched.highWatermark),
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
