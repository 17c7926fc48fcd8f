// K11, K15 and K18: the decider is killed inside its transaction, sleeps for a minute, or loses its
// database, while people go on queueing at another process's door.
//
// K11 is red when rows and mark are committed apart (`decideBatch` in kafka/decide-batch.ts). K15 is red
// when a decider reads all that waits at once (`BYTES_MAX` in kafka/log-reader.ts).
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { testEngine } from "@stampede/infrastructure/embedded";
import type { Attempt } from "@stampede/lab";
import { startProgram } from "../support/program.ts";
import { assertAudit, startAudit } from "./support/kafka-audit.ts";
import { startDecider, untilBlocked } from "./support/kafka-deciders.ts";
import { appendRaw, readLog } from "./support/kafka-operator.ts";
import { claimAll, endQueueSale, openBystanders, queueOf, topicOf } from "./support/kafka-sale.ts";
import { startProxy } from "./support/proxy.ts";
import { faultRow } from "./support/row.ts";
import type { Row } from "./support/row.ts";
import {
  claimAtOnce,
  engineMissing,
  openSale,
  people,
  readStored,
  tally,
  until,
  withDatabase,
} from "./support/sale.ts";
import type { Sale } from "./support/sale.ts";

const LIMIT = 100;
const SOME = 40;
const BYSTANDERS_MS = 5_000;
const CROWDS = 5;
const CROWD = 2_000;
const ASLEEP_MS = 60_000;
/** What 10,000 records may cost a decider, once the engine has taken its share. */
const GROWN_MB_MAX = 100;
const CUT_OFF_MS = 6_000;

describe("the decider", { skip: engineMissing }, () => {
  test("killed with rows in an open transaction leaves none, and its successor makes them", async (t) => {
    const row = faultRow(t, {
      row: "K11",
      mechanism: "kafka-queue",
      fault: "SIGKILL of the decider between its rows and its mark",
      expects: ["rows were rolled back"],
    });
    const sale = await openAudited(t, LIMIT);
    const bystanders = await openBystanders(sale.program, BYSTANDERS_MS);
    const decider = await startDecider(t, sale.program);
    const told = await claimAll(sale, people(SOME));
    await until(async () => (await queueOf(sale)).nextOffset === SOME, "the first are decided");
    const at = await topicOf({ sale, brokers: testEngine("kafka") });
    // What is no claim is written after the rows: the one place to stop a transaction behind them.
    await withDatabase(sale.program, async (client) => {
      await client.query("BEGIN; LOCK TABLE rejected_records IN EXCLUSIVE MODE");
      const claims = claimAll(sale, people(SOME * 3), 300);
      await appendRaw(at, [{ key: null, value: Buffer.from("no claim") }]);
      told.push(...(await claims));
      await untilBlocked(sale, decider);
      await decider.program.kill();
      row.injected();
      await client.query("ROLLBACK");
    });
    const { nextOffset } = await queueOf(sale);
    assert.ok(nextOffset < SOME * 4);
    assert.equal((await readStored(sale)).rows.length, Math.min(nextOffset, LIMIT));
    row.met("rows were rolled back");
    const healedMs = performance.now();
    await startDecider(t, sale.program);
    await end(sale, { row, told, healedMs });
    await bystanders.end(row);
  });

  test("asleep for a minute finds 10,000 records, and needs little memory for them", async (t) => {
    const row = faultRow(t, {
      row: "K15",
      mechanism: "kafka-queue",
      fault: `SIGSTOP of the only decider for ${ASLEEP_MS / 1_000} s while 10,000 people queue`,
    });
    const sale = await openAudited(t, CROWD);
    const decider = await startDecider(t, sale.program);
    const told = await claimAll(sale, people(SOME));
    await until(async () => (await queueOf(sale)).nextOffset === SOME, "the first are decided");
    const beforeMb = residentMb(decider.program.pid);
    decider.freeze();
    row.injected();
    const wakesMs = performance.now() + ASLEEP_MS;
    for (let crowd = 0; crowd < CROWDS; crowd += 1) {
      told.push(...(await claimAtOnce(sale, people(CROWD))));
    }
    assert.deepEqual(tally(told), { queued: SOME + CROWDS * CROWD });
    await pause(Math.max(0, wakesMs - performance.now()));
    assert.equal((await queueOf(sale)).nextOffset, SOME);
    const healedMs = performance.now();
    decider.thaw();
    await end(sale, { row, told, healedMs });
    const grownMb = residentMb(decider.program.pid) - beforeMb;
    assert.ok(grownMb < GROWN_MB_MAX, `the decider grew by ${grownMb} MB`);
  });

  test("without its database decides nothing, and goes on when it is back", async (t) => {
    const row = faultRow(t, {
      row: "K18",
      mechanism: "kafka-queue",
      fault: "the decider alone is cut off from PostgreSQL",
    });
    const sale = await openAudited(t, LIMIT);
    const bystanders = await openBystanders(sale.program, BYSTANDERS_MS);
    const proxy = await startProxy(t, { port: Number(new URL(testEngine("postgres")).port) });
    await startDecider(t, sale.program, proxy.through);
    const told: Attempt[] = await claimAll(sale, people(SOME));
    await until(async () => (await queueOf(sale)).nextOffset === SOME, "the first are decided");
    proxy.set({ blackhole: true });
    row.injected();
    const endMs = performance.now() + CUT_OFF_MS;
    while (performance.now() < endMs) {
      told.push(...(await claimAll(sale, people(10), 500)));
      assert.equal((await queueOf(sale)).nextOffset, SOME, "the mark stays");
    }
    assert.deepEqual(Object.keys(tally(told)), ["queued"]);
    const healedMs = performance.now();
    proxy.heal();
    told.push(...(await claimAll(sale, people(LIMIT))));
    await end(sale, { row, told, healedMs });
    await bystanders.end(row);
  });
});

async function openAudited(t: TestContext, limit: number): Promise<Sale> {
  const program = await startProgram(t, { ROLE: "api" });
  const sale = await openSale(program, { mechanism: "kafka-queue", limit });
  await startAudit(sale);
  return sale;
}

async function end(
  sale: Sale,
  about: { readonly row: Row; readonly told: readonly Attempt[]; readonly healedMs: number },
): Promise<void> {
  const brokers = testEngine("kafka");
  await endQueueSale({ sale, brokers, ...about });
  await assertAudit(sale, await readLog(await topicOf({ sale, brokers })));
}

function residentMb(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(?<kb>\d+)/.exec(status)?.groups?.["kb"]) / 1_024;
}
