// A simulated broker with one-partition logs: appends with the sequence check of idempotent
// producers, reads by topic id. It decodes the very bytes that the service seals.
import type { LogRecord } from "@stampede/infrastructure/src/kafka-queue/log/log-reading.ts";
import type { Random } from "../random.ts";

type StoredRecord = LogRecord & { readonly appendedAtMs: number };

type Batch = { readonly first: number; readonly count: number; readonly baseOffset: number };

type Log = {
  topicId: string;
  readonly records: StoredRecord[];
  /** The last batches of each producer, by which a repeated one is known. */
  readonly producers: Map<bigint, Batch[]>;
};

const BATCHES_KEPT = 5;

export class Broker {
  readonly #random: Random;
  readonly logs = new Map<string, Log>();
  up = true;
  /** Called with the name of each error that it answers. */
  onAnswer: (what: string) => void = () => undefined;
  #producers = 0n;
  /** Called when records were appended: whoever polls is answered. */
  readonly pollers = new Set<() => void>();

  constructor(random: Random) {
    this.#random = random;
  }

  create(topic: string): string {
    const topicId = this.#random.token();
    this.logs.set(topic, { topicId, records: [], producers: new Map() });
    return topicId;
  }

  openProducer(): bigint {
    this.#producers += 1n;
    return this.#producers;
  }

  /** The base offset, or the name of the protocol's error. */
  append(topic: string, sealed: Buffer, nowMs: number): number | string {
    const log = this.logs.get(topic);
    if (log === undefined) return "UNKNOWN_TOPIC_OR_PARTITION";
    const producerId = sealed.readBigInt64BE(43);
    const first = sealed.readInt32BE(53);
    const count = sealed.readInt32BE(57);
    const batches = log.producers.get(producerId) ?? [];
    const again = batches.find((batch) => batch.first === first && batch.count === count);
    if (again !== undefined) return again.baseOffset;
    const last = batches.at(-1);
    if (last !== undefined && last.first + last.count !== first) {
      return "OUT_OF_ORDER_SEQUENCE_NUMBER";
    }
    const baseOffset = log.records.length;
    for (const { key, value } of recordsIn(sealed, count)) {
      const offset = log.records.length;
      log.records.push({ offset, key, value, control: false, appendedAtMs: nowMs });
    }
    log.producers.set(producerId, [...batches, { first, count, baseOffset }].slice(-BATCHES_KEPT));
    for (const wake of this.pollers) wake();
    return baseOffset;
  }

  /** What somebody else wrote there: no claim of ours. */
  appendForeign(topic: string, record: Pick<LogRecord, "key" | "value">, nowMs: number): void {
    const log = this.logs.get(topic);
    if (log === undefined) return;
    log.records.push({
      ...record,
      offset: log.records.length,
      control: false,
      appendedAtMs: nowMs,
    });
    for (const wake of this.pollers) wake();
  }
}

const HEAD_BYTES = 61;

function recordsIn(
  batch: Buffer,
  count: number,
): { readonly key: Buffer; readonly value: Buffer }[] {
  let position = HEAD_BYTES;
  const varint = (): number => {
    let [value, shift] = [0, 0];
    for (;;) {
      const byte = batch[position]!;
      position += 1;
      value |= (byte & 127) << shift;
      if (byte < 128) return value >>> 1;
      shift += 7;
    }
  };
  const bytes = (length: number): Buffer => {
    position += length;
    return Buffer.from(batch.subarray(position - length, position));
  };
  return Array.from({ length: count }, () => {
    varint(); // length
    position += 2; // attributes, timestamp delta
    varint(); // offset delta
    const key = bytes(varint());
    const value = bytes(varint());
    position += 1; // headers
    return { key, value };
  });
}
