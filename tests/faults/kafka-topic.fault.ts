// K7, K8 and K13: the topic is replaced by another one of the same name, forgets what is not decided,
// or is read by consumer groups of others.
//
// Red when the topic's id is not compared (`brokenTopic` in kafka/topics.ts), when the log's start is
// not looked at (`brokenRange`), or its settings (`readRetention`).
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { testEngine } from "@stampede/infrastructure/embedded";
import { startProgram } from "../support/program.ts";
import { joinAndLeave } from "./support/kafka-group.ts";
import {
  changeSetting,
  deleteRecords,
  deleteTopic,
  endOf,
  makeTopic,
} from "./support/kafka-operator.ts";
import {
  assertHalts,
  changePace,
  claimAll,
  endQueueSale,
  judgeQueue,
  openBystanders,
  queueOf,
  topicOf,
} from "./support/kafka-sale.ts";
import { faultRow } from "./support/row.ts";
import {
  askEverybody,
  claimAtOnce,
  engineMissing,
  openSale,
  people,
  tally,
} from "./support/sale.ts";

const LIMIT = 60;
// A broker lets a new group wait for three seconds for more members.
const GROUPS = 4;
const BYSTANDERS_MS = 4_000;
const LOST = ["S11", "S23", "L1", "L2"] as const;

describe("an event whose topic is not what it was", { skip: engineMissing }, () => {
  test("because it was deleted and made again is halted, and the others go on", async (t) => {
    const row = faultRow(t, {
      row: "K7",
      mechanism: "kafka-queue",
      fault: "the topic is deleted and made again under its name in the middle of a sale",
      expects: ["an event was halted"],
    });
    const brokers = testEngine("kafka");
    const program = await startProgram(t);
    const sale = await openSale(program, { mechanism: "kafka-queue", limit: LIMIT });
    const other = await openSale(program, { mechanism: "kafka-queue", limit: LIMIT });
    const bystanders = await openBystanders(program, BYSTANDERS_MS);
    const others = claimAll(other, people(LIMIT), BYSTANDERS_MS);
    const told = await claimAll(sale, people(LIMIT / 2));
    const asked = await askEverybody(sale, told);
    const at = await topicOf({ sale, brokers });
    const sinceMs = performance.now();
    await deleteTopic(at);
    await makeTopic(at);
    row.injected();
    const hasty = await claimAtOnce(sale, people(LIMIT));
    assert.equal(tally(hasty)["queued"], undefined, "a place in somebody else's log");
    const reason = /was replaced|does not exist/;
    const stranded = await assertHalts({ sale, row }, { reason, sinceMs });
    assert.equal(await endOf(at), 0, "nothing is written into the topic that is not its own");
    const all = [...told, ...hasty, ...stranded];
    await judgeQueue({ sale, brokers, row, told: all }, asked, LOST);
    await endQueueSale({ sale: other, brokers, row, told: await others, healedMs: sinceMs });
    await bystanders.end(row);
  });

  test("because undecided records were deleted is halted, and decides nothing of what is left", async (t) => {
    const row = faultRow(t, {
      row: "K8",
      mechanism: "kafka-queue",
      fault: "DeleteRecords beyond the mark of a paced line",
      expects: ["an event was halted"],
    });
    const brokers = testEngine("kafka");
    const program = await startProgram(t);
    const sale = await openSale(program, { mechanism: "kafka-queue", limit: LIMIT });
    const bystanders = await openBystanders(program, BYSTANDERS_MS);
    await changePace(sale, 1);
    const told = await claimAll(sale, people(LIMIT));
    const at = await topicOf({ sale, brokers });
    const sinceMs = performance.now();
    await deleteRecords(at, LIMIT / 2);
    row.injected();
    const reason = /the log lost records: it starts at 30/;
    const stranded = await assertHalts({ sale, row }, { reason, sinceMs });
    assert.ok((await queueOf(sale)).nextOffset < LIMIT / 2);
    await judgeQueue({ sale, brokers, row, told: [...told, ...stranded] }, [], LOST);
    await bystanders.end(row);
  });

  test("but only read by groups that join, commit and leave goes on as before", async (t) => {
    const row = faultRow(t, {
      row: "K13",
      mechanism: "kafka-queue",
      fault: `consumer groups join, commit offset 0 or one far off, and leave, ${GROUPS} times`,
    });
    const brokers = testEngine("kafka");
    const program = await startProgram(t);
    const sale = await openSale(program, { mechanism: "kafka-queue", limit: LIMIT });
    const bystanders = await openBystanders(program, BYSTANDERS_MS);
    const claims = claimAll(sale, people(LIMIT * 2), GROUPS * 3_000);
    const at = await topicOf({ sale, brokers });
    for (let round = 0; round < GROUPS; round += 1) {
      // Also under the names that somebody might think the decider has.
      const group = ["strangers", "stampede", at.topic][round % 3]!;
      await joinAndLeave(at, { group, offset: round % 2 === 0 ? 0 : LIMIT * 100 });
      row.injected();
    }
    const told = await claims;
    await endQueueSale({ sale, brokers, row, told, healedMs: performance.now() });
    assert.equal((await queueOf(sale)).epoch, 1, "nobody took the queue over");
    await bystanders.end(row);
  });

  test("because it may forget is halted, also where it was told so while the service was stopped", async (t) => {
    const row = faultRow(t, {
      row: "K8",
      mechanism: "kafka-queue",
      fault: "a finite retention, in the middle of a sale and while the service is stopped",
      expects: ["an event was halted"],
    });
    const brokers = testEngine("kafka");
    const program = await startProgram(t);
    const running = await openSale(program, { mechanism: "kafka-queue", limit: LIMIT });
    const stopped = await openSale(program, { mechanism: "kafka-queue", limit: LIMIT });
    const reason = /retention\.(?:ms|bytes) is 3600000/;
    for (const [sale, name] of [
      [running, "retention.ms"],
      [stopped, "retention.bytes"],
    ] as const) {
      const told = await claimAll(sale, people(LIMIT / 2));
      const asked = await askEverybody(sale, told);
      if (sale === stopped) await program.stop();
      await changeSetting(await topicOf({ sale, brokers }), { name, value: "3600000" });
      row.injected();
      if (sale === stopped) await program.restart();
      const after = { reason, sinceMs: performance.now() };
      const stranded = await assertHalts({ sale, row }, after);
      await judgeQueue({ sale, brokers, row, told: [...told, ...stranded] }, asked);
    }
  });
});
