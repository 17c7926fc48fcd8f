// What an operator, or a stranger, does to an event's topic behind the program's back; and the log as
// it lies there, read without any code of the product.
import { setTimeout as pause } from "node:timers/promises";
import { decodeRecords, encodeRecords } from "./kafka-records.ts";
import type { RawRecord, StoredRecord } from "./kafka-records.ts";
import { ask, noError, WireError, wireWriter } from "./kafka-wire.ts";
import type { WireReader } from "./kafka-wire.ts";

const UNKNOWN_TOPIC = 3;
const CHANGE_MS_MAX = 10_000;
const FETCH_BYTES_MAX = 4_000_000;
const LATEST = -1;
const RETRY_MS = 50;

export type TopicAt = { readonly brokers: string; readonly topic: string };

export type TopicState = {
  readonly topicId: string;
  readonly partitions: number;
  /** Of partition 0; null while it has none. */
  readonly leader: { readonly nodeId: number; readonly broker: string } | null;
  readonly inSync: readonly number[];
};

/** The topic as the cluster has it; null where there is none. Never makes one by asking. */
export async function topicState({ brokers, topic }: TopicAt): Promise<TopicState | null> {
  return (await metadata(await anyOf(brokers), topic)).topic;
}

/** The ids of the brokers that this one ("host:port") knows to be there. */
export async function brokersKnownTo(broker: string): Promise<readonly number[]> {
  return (await metadata(broker, null)).nodeIds;
}

async function metadata(
  broker: string,
  topic: string | null,
): Promise<{ readonly nodeIds: readonly number[]; readonly topic: TopicState | null }> {
  const name = Buffer.from(topic ?? "");
  const wanted = [Buffer.alloc(16), Buffer.from([name.length + 1]), name, Buffer.alloc(1)];
  const body = wireWriter()
    .int8(topic === null ? 1 : 2)
    .raw(topic === null ? Buffer.alloc(0) : Buffer.concat(wanted))
    .raw(Buffer.alloc(3))
    .done();
  const answer = await ask(broker, { api: 3, version: 12, body, flexible: true });
  answer.int32();
  const nodes = new Map(compactArray(answer, () => readBroker(answer)));
  compactBytes(answer);
  answer.int32();
  const [found = null] = compactArray(answer, () => readTopic(answer, nodes));
  return { nodeIds: [...nodes.keys()], topic: found };
}

export async function makeTopic(
  { brokers, topic }: TopicAt,
  about: {
    readonly partitions?: number;
    readonly replicas?: number;
    readonly settings?: Readonly<Record<string, string>>;
  } = {},
): Promise<void> {
  const { partitions = 1, replicas = 1, settings = {} } = about;
  const body = wireWriter()
    .array([topic], (writer, name) => {
      writer.string(name).int32(partitions).int16(replicas).int32(0);
      writer.array(Object.entries(settings), (inner, [key, value]) =>
        inner.string(key).string(value),
      );
    })
    .int32(CHANGE_MS_MAX)
    .int8(0)
    .done();
  const answer = await ask(await anyOf(brokers), { api: 19, version: 4, body });
  answer.int32();
  answer.array(() => {
    answer.string();
    noError(answer.int16(), `making ${topic}`);
    answer.string();
  });
}

/** Deletes the topic and waits until no broker that answers has it any more. */
export async function deleteTopic({ brokers, topic }: TopicAt): Promise<void> {
  const body = wireWriter()
    .array([topic], (writer, name) => writer.string(name))
    .int32(CHANGE_MS_MAX)
    .done();
  const answer = await ask(await anyOf(brokers), { api: 20, version: 3, body });
  answer.int32();
  answer.array(() => {
    answer.string();
    noError(answer.int16(), `deleting ${topic}`);
  });
  while ((await topicState({ brokers, topic })) !== null) await pause(RETRY_MS);
}

export async function addPartition({ brokers, topic }: TopicAt): Promise<void> {
  const body = wireWriter()
    .array([topic], (writer, name) => writer.string(name).int32(2).int32(-1))
    .int32(CHANGE_MS_MAX)
    .int8(0)
    .done();
  const answer = await ask(await anyOf(brokers), { api: 37, version: 1, body });
  answer.int32();
  answer.array(() => {
    answer.string();
    noError(answer.int16(), `a second partition for ${topic}`);
    answer.string();
  });
}

export async function changeSetting(
  { brokers, topic }: TopicAt,
  { name, value }: { readonly name: string; readonly value: string },
): Promise<void> {
  const body = wireWriter()
    .array([topic], (writer) => {
      writer.int8(2).string(topic);
      writer.array([name], (inner) => inner.string(name).int8(0).string(value));
    })
    .int8(0)
    .done();
  const answer = await ask(await anyOf(brokers), { api: 44, version: 0, body });
  answer.int32();
  answer.array(() => {
    noError(answer.int16(), `setting ${name} of ${topic}`);
    answer.string();
    answer.int8();
    answer.string();
  });
}

/** What the broker itself says that a setting of the topic is. */
export async function settingOf({ brokers, topic }: TopicAt, name: string): Promise<string | null> {
  const body = wireWriter()
    .array([topic], (writer) => {
      writer.int8(2).string(topic);
      writer.array([name], (inner) => inner.string(name));
    })
    .int8(0)
    .done();
  const answer = await ask(await anyOf(brokers), { api: 32, version: 1, body });
  answer.int32();
  // One resource with one setting: whatever follows its value is of no interest.
  answer.int32();
  noError(answer.int16(), `asking for ${name} of ${topic}`);
  answer.string();
  answer.int8();
  answer.string();
  return answer.int32() === 0 || answer.string() !== name ? null : answer.string();
}

/** Deletes the records below `offset`. */
export async function deleteRecords(at: TopicAt, offset: number): Promise<void> {
  const body = wireWriter()
    .array([at.topic], (writer, name) => {
      writer.string(name).array([0], (inner, index) => inner.int32(index).int64(offset));
    })
    .int32(CHANGE_MS_MAX)
    .done();
  const answer = await ask(await leaderOf(at), { api: 21, version: 1, body });
  answer.int32();
  perPartition(answer, () => {
    answer.int64();
    noError(answer.int16(), `deleting records of ${at.topic}`);
  });
}

/** Appends records of any form as a stranger would, with acks=all; gives the first one's offset. */
export async function appendRaw(
  at: TopicAt,
  records: readonly RawRecord[],
  partition = 0,
): Promise<number> {
  const batch = encodeRecords(records);
  const body = wireWriter()
    .string(null)
    .int16(-1)
    .int32(CHANGE_MS_MAX)
    .array([at.topic], (writer, name) => {
      writer.string(name).array([partition], (inner, index) => inner.int32(index).bytes(batch));
    })
    .done();
  const answer = await ask(await leaderOf(at), { api: 0, version: 7, body });
  let offset = -1;
  perPartition(answer, () => {
    noError(answer.int16(), `appending to ${at.topic}`);
    offset = answer.int64();
    answer.take(16);
  });
  return offset;
}

/** The offset that the next record gets. */
export async function endOf(at: TopicAt, partition = 0): Promise<number> {
  const body = wireWriter()
    .int32(-1)
    .int8(0)
    .array([at.topic], (writer, name) => {
      writer.string(name).array([partition], (inner, index) => inner.int32(index).int64(LATEST));
    })
    .done();
  const answer = await ask(await leaderOf(at), { api: 2, version: 2, body });
  answer.int32();
  let end = -1;
  perPartition(answer, () => {
    noError(answer.int16(), `asking where ${at.topic} ends`);
    answer.int64();
    end = answer.int64();
  });
  return end;
}

/** The whole log of partition 0, from its first offset on. */
export async function readLog(at: TopicAt): Promise<readonly StoredRecord[]> {
  const broker = await leaderOf(at);
  const records: StoredRecord[] = [];
  for (const end = await endOf(at); records.length < end;) {
    const offset = records.length;
    const fetched = await fetch(broker, at.topic, offset);
    if (fetched.length === 0) throw new Error(`${at.topic} has nothing at ${offset} of ${end}`);
    records.push(...fetched);
  }
  return records;
}

async function fetch(broker: string, topic: string, offset: number): Promise<StoredRecord[]> {
  const body = wireWriter()
    .int32(-1)
    .int32(100)
    .int32(1)
    .int32(FETCH_BYTES_MAX)
    .int8(0)
    .array([topic], (writer, name) => {
      writer
        .string(name)
        .array([0], (inner, index) => inner.int32(index).int64(offset).int32(FETCH_BYTES_MAX));
    })
    .done();
  const answer = await ask(broker, { api: 1, version: 4, body });
  answer.int32();
  let records: StoredRecord[] = [];
  perPartition(answer, () => {
    noError(answer.int16(), `reading ${topic} at ${offset}`);
    answer.take(16);
    answer.array(() => answer.take(16));
    // A batch is given whole, with what stands in it before the offset.
    records = decodeRecords(answer.bytes()).filter((record) => record.offset >= offset);
  });
  return records;
}

/** The first of the brokers that lets somebody connect; one of three may be away. */
async function anyOf(brokers: string): Promise<string> {
  const failures: unknown[] = [];
  for (const broker of brokers.split(",")) {
    try {
      // Asks for the versions it speaks: whoever answers that is there.
      await ask(broker, { api: 18, version: 0, body: Buffer.alloc(0) });
      return broker;
    } catch (error) {
      // The next one is asked.
      failures.push(error);
    }
  }
  throw new AggregateError(failures, `none of ${brokers} answers`);
}

async function leaderOf(at: TopicAt): Promise<string> {
  const endMs = performance.now() + CHANGE_MS_MAX;
  for (;;) {
    const leader = (await topicState(at))?.leader ?? null;
    if (leader !== null) return leader.broker;
    if (performance.now() > endMs) throw new Error(`${at.topic} has no leader`);
    await pause(RETRY_MS);
  }
}

function perPartition(answer: WireReader, read: () => void): void {
  answer.array(() => {
    answer.string();
    answer.array(() => {
      answer.int32();
      read();
    });
  });
}

function readBroker(answer: WireReader): readonly [number, string] {
  const nodeId = answer.int32();
  const host = compactBytes(answer)?.toString() ?? "";
  const port = answer.int32();
  compactBytes(answer);
  answer.int8();
  return [nodeId, `${host}:${port}`];
}

function readTopic(answer: WireReader, nodes: ReadonlyMap<number, string>): TopicState | null {
  const error = answer.int16();
  compactBytes(answer);
  const topicId = answer.take(16).toString("hex");
  answer.int8();
  const partitions = compactArray(answer, () => readPartition(answer));
  answer.int32();
  answer.int8();
  if (error === UNKNOWN_TOPIC) return null;
  if (error !== 0) throw new WireError(error, "asking for a topic");
  const first = partitions.find(({ index }) => index === 0);
  const broker = nodes.get(first?.leaderId ?? -1);
  const leader =
    first === undefined || broker === undefined ? null : { nodeId: first.leaderId, broker };
  return { topicId, partitions: partitions.length, leader, inSync: first?.inSync ?? [] };
}

function readPartition(answer: WireReader): {
  readonly index: number;
  readonly leaderId: number;
  readonly inSync: readonly number[];
} {
  answer.int16();
  const index = answer.int32();
  const leaderId = answer.int32();
  answer.int32();
  const nodeIds = (): number[] => compactArray(answer, answer.int32);
  nodeIds();
  const inSync = nodeIds();
  nodeIds();
  answer.int8();
  return { index, leaderId, inSync };
}

function compactArray<Value>(answer: WireReader, read: () => Value): Value[] {
  return Array.from({ length: Math.max(0, answer.unsignedVarint() - 1) }, read);
}

function compactBytes(answer: WireReader): Buffer | null {
  const length = answer.unsignedVarint() - 1;
  return length < 0 ? null : answer.take(length);
}
