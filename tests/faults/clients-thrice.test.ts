// N1: ten thousand people claim three times each at one instant, on each mechanism: the three requests
// of a person are on the wire before any of them is answered. One coupon each, told as new at most
// once, and exactly as many as there are.
//
// Red when "already has one" is not looked at before an issue (`facts.mine` in decideClaim; the
// member check in redis/claim.lua), and when a v3 batch is decided only as a whole.
import assert from "node:assert/strict";
import { test } from "node:test";
import { testEngine } from "@stampede/infrastructure/embedded";
import type { Attempt } from "@stampede/lab";
import { startProgram } from "../support/program.ts";
import { marks } from "./marks.ts";
import { assertAudit, commitsOf, startAudit } from "./support/kafka-audit.ts";
import { readLog } from "./support/kafka-operator.ts";
import { endQueueSale, queueOf, topicOf } from "./support/kafka-sale.ts";
import { claimTimes } from "./support/pipelined-claims.ts";
import { finishRow } from "./support/proxy-program.ts";
import { faultRow } from "./support/row.ts";
import type { Row } from "./support/row.ts";
import { engineMissing, MECHANISMS, openSale, people, tally } from "./support/sale.ts";
import type { Sale } from "./support/sale.ts";

const PEOPLE = 10_000;
const TIMES = 3;
const LIMIT = 100;
/** v1 needs twenty seconds for them on an idle machine, and turns away whoever waits for sixty. */
const DEADLINE_MS = 120_000;

test("ten thousand people claim three times at one instant", { skip: engineMissing }, async (t) => {
  const program = await startProgram(t);
  await startAudit({ program });
  for (const mechanism of MECHANISMS) {
    await t.test(`N1 ${mechanism}: one coupon each, exactly ${LIMIT} in all`, async (t) => {
      const fault = `${PEOPLE} people claim ${TIMES} times each at one instant`;
      const queue = mechanism === "kafka-queue";
      const expects = queue ? [marks.duplicatePerson, marks.batchSplit] : [];
      const row = faultRow(t, { row: "N1", mechanism, fault, expects });
      const sale = await openSale(program, { mechanism, limit: LIMIT });
      const options = { times: TIMES, deadlineMs: DEADLINE_MS };
      const told = await claimTimes(sale, people(PEOPLE), options);
      const answeredMs = performance.now();
      row.injected(PEOPLE * (TIMES - 1));
      t.diagnostic(`${mechanism}: ${JSON.stringify(tally(told))}`);
      assert.equal(told.length, PEOPLE * TIMES);
      // On a busy machine some are told that nobody knows, or to come again: that is an answer too.
      const unanswered = told.filter(({ status }) => status === null);
      assert.deepEqual(unanswered.slice(0, 3), [], `${unanswered.length} have no answer`);
      if (queue) await endQueue(sale, row, told, answeredMs);
      else await finishRow(row, sale, told, answeredMs);
    });
  }
});

async function endQueue(
  sale: Sale,
  row: Row,
  told: readonly Attempt[],
  answeredMs: number,
): Promise<void> {
  const brokers = testEngine("kafka");
  await endQueueSale({ sale, brokers, row, told, healedMs: answeredMs });
  const log = await readLog(await topicOf({ sale, brokers }));
  const persons = new Set(log.map(({ key }) => key?.toString()));
  if (log.length > persons.size) row.met(marks.duplicatePerson);
  const last = (await commitsOf(sale)).find(({ rows }) => rows === LIMIT);
  const { lastWinningTicket } = await queueOf(sale);
  assert.ok(last !== undefined && lastWinningTicket !== null);
  if (last.mark > lastWinningTicket + 1) row.met(marks.batchSplit);
  await assertAudit(sale, log);
}
