// A consumer group as any stranger may start one on an event's topic: a member joins, commits an
// offset and leaves again.
import { setTimeout as pause } from "node:timers/promises";
import type { TopicAt } from "./kafka-operator.ts";
import { ask, noError, WireError, wireWriter } from "./kafka-wire.ts";

const SESSION_MS_MAX = 10_000;
const RETRY_MS = 100;
const RETRIES_MAX = 100;
/** The coordinator is still being made, or is loading, or is another broker by now. */
const NOT_YET = new Set([14, 15, 16]);

/** One round of a group's life. */
export async function joinAndLeave(
  { brokers, topic }: TopicAt,
  { group, offset }: { readonly group: string; readonly offset: number },
): Promise<void> {
  const broker = brokers.split(",")[0]!;
  const { generation, member } = await patiently(async () => join(broker, group));
  const mine = wireWriter().string(group).int32(generation).string(member).done();
  const plan = wireWriter().array([member], (writer, id) =>
    writer.string(id).bytes(Buffer.alloc(0)),
  );
  const synced = await ask(broker, {
    api: 14,
    version: 1,
    body: Buffer.concat([mine, plan.done()]),
  });
  synced.int32();
  noError(synced.int16(), `assigning ${group}`);
  const commit = wireWriter()
    .int64(-1)
    .array([topic], (writer, name) => {
      writer.string(name).array([0], (inner, partition) => {
        inner.int32(partition).int64(offset).string(null);
      });
    });
  const body = Buffer.concat([mine, commit.done()]);
  const committed = await ask(broker, { api: 8, version: 2, body });
  committed.array(() => {
    committed.string();
    committed.array(() => {
      committed.int32();
      noError(committed.int16(), `committing an offset of ${topic}`);
    });
  });
  const leaving = wireWriter().string(group).string(member).done();
  const left = await ask(broker, { api: 13, version: 1, body: leaving });
  left.int32();
  noError(left.int16(), `leaving ${group}`);
}

async function join(
  broker: string,
  group: string,
): Promise<{ readonly generation: number; readonly member: string }> {
  const search = wireWriter().string(group).int8(0).done();
  const found = await ask(broker, { api: 10, version: 1, body: search });
  found.int32();
  noError(found.int16(), `looking for the coordinator of ${group}`);
  const body = wireWriter()
    .string(group)
    .int32(SESSION_MS_MAX)
    .int32(SESSION_MS_MAX)
    .string("")
    .string("consumer")
    .array(["range"], (writer, name) => writer.string(name).bytes(Buffer.alloc(0)))
    .done();
  const joined = await ask(broker, { api: 11, version: 3, body });
  joined.int32();
  noError(joined.int16(), `joining ${group}`);
  const generation = joined.int32();
  joined.string();
  joined.string();
  return { generation, member: joined.string() ?? "" };
}

async function patiently<Value>(run: () => Promise<Value>): Promise<Value> {
  for (let retries = 0; ; retries += 1) {
    try {
      return await run();
    } catch (error) {
      const again = error instanceof WireError && NOT_YET.has(error.code);
      if (!again || retries === RETRIES_MAX) throw error;
      await pause(RETRY_MS);
    }
  }
}
