// K14 and K17: strangers write into an event's topic, and an operator gives it a second partition.
//
// K14 is red when a record that is no claim ends the decider, or is passed by in silence
// (`recordRejected` in kafka/decide-batch.ts). K17 is red when the number of partitions is not looked
// at (`brokenTopic` in kafka/topics.ts), or when Produce names another partition than 0.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { testEngine } from "@stampede/infrastructure/embedded";
import { startProgram } from "../support/program.ts";
import { assertAudit, startAudit } from "./support/kafka-audit.ts";
import { addPartition, appendRaw, endOf, readLog } from "./support/kafka-operator.ts";
import {
  assertHalts,
  claimAll,
  endQueueSale,
  judgeQueue,
  openBystanders,
  queueOf,
  topicOf,
  watchStream,
} from "./support/kafka-sale.ts";
import type { RawRecord } from "./support/kafka-records.ts";
import { faultRow } from "./support/row.ts";
import {
  askEverybody,
  claimAtOnce,
  engineMissing,
  openSale,
  people,
  until,
} from "./support/sale.ts";

const LIMIT = 100;
const PEOPLE = 200;
const BYSTANDERS_MS = 3_000;
/** Just below what a broker takes in one message. */
const HUGE_BYTES = 1_000_000;

describe("an event's topic that others touch", { skip: engineMissing }, () => {
  test("with records that are no claims: each is rejected in its place, and people go on", async (t) => {
    const row = faultRow(t, {
      row: "K14",
      mechanism: "kafka-queue",
      fault: "bad JSON, null, 1 MB and another event's claim written between people's claims",
      expects: ["a foreign record was rejected"],
    });
    const brokers = testEngine("kafka");
    const program = await startProgram(t);
    const sale = await openSale(program, { mechanism: "kafka-queue", limit: LIMIT });
    await startAudit(sale);
    const stream = watchStream(t, sale);
    const bystanders = await openBystanders(program, BYSTANDERS_MS);
    const at = await topicOf({ sale, brokers });
    const claims = claimAll(sale, people(PEOPLE), BYSTANDERS_MS);
    const foreign = foreignRecords(sale.eventId);
    const places: number[] = [];
    for (const record of [...foreign, ...foreign]) {
      const end = await endOf(at);
      await until(async () => (await endOf(at)) > end, "somebody came in between");
      places.push(await appendRaw(at, [record]));
      row.injected();
    }
    const told = await claims;
    await endQueueSale({ sale, brokers, row, told, healedMs: performance.now(), stream });
    const { rejected } = await queueOf(sale);
    assert.deepEqual(
      rejected.map(({ ticket }) => ticket),
      places,
    );
    assert.ok(rejected.every(({ reason }) => reason !== ""));
    for (const _ of rejected) row.met("a foreign record was rejected");
    const log = await readLog(at);
    const queued = told.filter(({ outcome }) => outcome === "queued").length;
    assert.equal(log.length, queued + places.length, "every place is a claim's or a stranger's");
    await assertAudit(sale, log);
    await bystanders.end(row);
  });

  test("with a second partition, mid-sale or before the start: the event is not served", async (t) => {
    const row = faultRow(t, {
      row: "K17",
      mechanism: "kafka-queue",
      fault: "a second partition, in the middle of a sale and while the service is stopped",
      expects: ["an event was halted"],
    });
    const brokers = testEngine("kafka");
    const program = await startProgram(t);
    const [running, stopped, whole] = [
      await openSale(program, { mechanism: "kafka-queue", limit: LIMIT }),
      await openSale(program, { mechanism: "kafka-queue", limit: LIMIT }),
      await openSale(program, { mechanism: "kafka-queue", limit: LIMIT }),
    ];
    const before = await claimAll(stopped, people(20));
    const settled = await askEverybody(stopped, before);
    // People come all the time, also while the partition is added.
    const claims = claimAtOnce(running, people(LIMIT / 2), { spreadMs: 1_000 });
    await until(async () => (await queueOf(running)).nextOffset > 5, "the sale has begun");
    await addPartition(await topicOf({ sale: running, brokers }));
    row.injected();
    const sinceMs = performance.now();
    const reason = /has 2 partitions/;
    const stranded = await assertHalts({ sale: running, row }, { reason, sinceMs });
    const once = await claims;
    await program.stop();
    await addPartition(await topicOf({ sale: stopped, brokers }));
    row.injected();
    await program.restart();
    const bystanders = await openBystanders(program, BYSTANDERS_MS);
    const after = { reason, sinceMs: performance.now() };
    const unserved = await assertHalts({ sale: stopped, row }, after);
    await judgeQueue({ sale: stopped, brokers, row, told: [...before, ...unserved] }, settled);
    const told = [...once, ...stranded];
    await judgeQueue({ sale: running, brokers, row, told }, [], ["S23", "L1", "L2"]);
    for (const sale of [running, stopped]) {
      assert.equal(
        await endOf(await topicOf({ sale, brokers }), 1),
        0,
        "Produce names partition 0",
      );
    }
    const others = await claimAll(whole, people(PEOPLE));
    await endQueueSale({ sale: whole, brokers, row, told: others, healedMs: sinceMs });
    await bystanders.end(row);
  });
});

function foreignRecords(eventId: string): readonly RawRecord[] {
  const code = "0".repeat(26);
  const claim = { schema: 1, eventId: `not-${eventId}`, userId: "ana", code };
  const key = Buffer.from("ana");
  return [
    { key, value: Buffer.from('{"schema":1,"eventId":') },
    { key, value: null },
    { key: null, value: Buffer.alloc(HUGE_BYTES, "x") },
    { key, value: Buffer.from(JSON.stringify(claim)) },
  ];
}
