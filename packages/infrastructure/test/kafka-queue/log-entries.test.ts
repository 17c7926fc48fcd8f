// What the decider makes of the records that a broker gives it. Red when a second record at an offset is
// passed over (`isSame`), or stops the event only after the first one was decided (`entries.slice`).
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseEventId } from "@stampede/domain";
import { claimParts } from "../../src/kafka-queue/log/claim-codec.ts";
import { entriesOf } from "../../src/kafka-queue/log/log-entries.ts";
import type { LogRecord } from "../../src/kafka-queue/log/log-reading.ts";
import { person } from "../support/sale.ts";

const eventId = parseEventId("log-entries")!;
const at = { eventId, nextOffset: 40 };

function record(offset: number, name: string): LogRecord {
  const { key, value } = claimParts({ eventId, userId: person(name) });
  return { offset, key: Buffer.from(key), value: Buffer.from(value), control: false };
}

function ticketsOf(records: readonly LogRecord[]): readonly (number | string | null)[] {
  const { entries, stop } = entriesOf(at, records);
  return [...entries.map(({ ticket }) => ticket), stop];
}

describe("the entries of a log", () => {
  test("are its records from the mark on, each with its offset as the ticket", () => {
    assert.deepEqual(ticketsOf([record(40, "ana"), record(41, "bo")]), [40, 41, null]);
  });

  test("stop before a hole", () => {
    const stop = "the log has a hole: 42 follows 40";
    assert.deepEqual(ticketsOf([record(40, "ana"), record(42, "bo")]), [40, stop]);
  });

  test("have a batch once that a broker has written again at the same offsets", () => {
    const batch = [record(40, "ana"), record(41, "bo")];
    assert.deepEqual(ticketsOf([...batch, ...batch, record(42, "cy")]), [40, 41, 42, null]);
  });

  test("stop before an offset with two different records: nobody knows which was acknowledged", () => {
    const stop = "the log has two records at offset 41";
    const records = [record(40, "ana"), record(41, "bo"), record(42, "cy"), record(41, "di")];
    assert.deepEqual(ticketsOf(records), [40, stop]);
    assert.deepEqual(ticketsOf([record(40, "ana"), record(40, "bo")]), [
      "the log has two records at offset 40",
    ]);
  });
});
