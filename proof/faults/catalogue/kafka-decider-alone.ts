// K11, K15 and K18: the decider is killed inside its transaction, sleeps for a minute, or loses its
// database, while people go on queueing at another process's door.
//
// K11 is red when rows and mark are committed apart (`decideBatch` in kafka-queue/decider/decide-batch.ts). K15 is red
// when a decider reads all that waits at once (`logBytesMax` in kafka-queue/log/log-feed.ts).
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import type { Attempt } from "@stampede/lab";
import { startProxy, until } from "@stampede/launcher/testing";
import type { FaultCase, Stage } from "../case.ts";
import { KAFKA_MECHANISMS } from "../mechanisms.ts";
import { startDecider, untilBlocked } from "../support/kafka-deciders.ts";
import { appendRaw } from "../support/kafka-operator.ts";
import { claimAll, openBystanders } from "../support/kafka-sale.ts";
import { serversOf } from "../support/processes.ts";
import { queueOf, topicOf } from "../support/queue.ts";
import { claimAtOnce, people, readStored, tally, withDatabase } from "../support/sale.ts";
import { endAudited, openAudited } from "./kafka-deciders.ts";

const SMALL_LIMIT = 100;
const SOME = 40;
const BYSTANDERS_MS = 5_000;
const CROWDS = 5;
const CROWD = 2_000;
const ASLEEP_MS = 60_000;
/** What 10,000 records may cost a decider, once the engine has taken its share. */
const GROWN_MB_MAX = 100;
const CUT_OFF_MS = 6_000;

const ROLLED_BACK = "rows were rolled back";

const alone = { mechanisms: KAFKA_MECHANISMS, apart: true, runs: "all", place: "own" } as const;

export const brokenOffDeciderCase: FaultCase = {
  ...alone,
  id: "K11",
  injects: "SIGKILL of the decider between its rows and its mark",
  holds: "it leaves no row, and its successor makes them",
  expects: [ROLLED_BACK],
  run: killBetween,
};

export const sleepingDeciderCase: FaultCase = {
  ...alone,
  id: "K15",
  injects: `SIGSTOP of the only decider for ${ASLEEP_MS / 1_000} s while 10,000 people queue`,
  holds: "it finds 10,000 records, and needs little memory for them",
  run: sleep,
};

export const cutOffDeciderCase: FaultCase = {
  ...alone,
  id: "K18",
  injects: "the decider alone is cut off from PostgreSQL",
  holds: "it decides nothing, and goes on when it is back",
  run: cutOff,
};

async function killBetween(stage: Stage): Promise<void> {
  const sale = await openAudited(stage, SMALL_LIMIT);
  const bystanders = await openBystanders(stage, sale.program, BYSTANDERS_MS);
  const decider = await startDecider(stage.t, sale.program);
  const told = await claimAll(sale, people(SOME));
  await until(async () => (await queueOf(sale)).nextOffset === SOME, "the first are decided");
  const at = await topicOf(sale);
  // What is no claim is written after the rows: the one place to stop a transaction behind them.
  await withDatabase(sale.program, async (client) => {
    await client.query("BEGIN; LOCK TABLE rejected_records IN EXCLUSIVE MODE");
    const claims = claimAll(sale, people(SOME * 3), 300);
    await appendRaw(at, [{ key: null, value: Buffer.from("no claim") }]);
    told.push(...(await claims));
    await untilBlocked(sale, decider);
    await decider.program.kill();
    stage.injected();
    await client.query("ROLLBACK");
  });
  const { nextOffset } = await queueOf(sale);
  assert.ok(nextOffset < SOME * 4);
  assert.equal((await readStored(sale)).rows.length, Math.min(nextOffset, SMALL_LIMIT));
  stage.met(ROLLED_BACK);
  const healedMs = performance.now();
  await startDecider(stage.t, sale.program);
  await endAudited(stage, sale, told, { healedMs });
  await bystanders.end();
}

async function sleep(stage: Stage): Promise<void> {
  const sale = await openAudited(stage, CROWD);
  const decider = await startDecider(stage.t, sale.program);
  const told = await claimAll(sale, people(SOME));
  await until(async () => (await queueOf(sale)).nextOffset === SOME, "the first are decided");
  const beforeMb = residentMb(decider.program.pid);
  decider.freeze();
  stage.injected();
  const wakesMs = performance.now() + ASLEEP_MS;
  for (let crowd = 0; crowd < CROWDS; crowd += 1) {
    told.push(...(await claimAtOnce(sale, people(CROWD))));
  }
  assert.deepEqual(tally(told), { queued: SOME + CROWDS * CROWD });
  await pause(Math.max(0, wakesMs - performance.now()));
  assert.equal((await queueOf(sale)).nextOffset, SOME);
  const healedMs = performance.now();
  decider.thaw();
  await endAudited(stage, sale, told, { healedMs });
  const grownMb = residentMb(decider.program.pid) - beforeMb;
  assert.ok(grownMb < GROWN_MB_MAX, `the decider grew by ${grownMb} MB`);
}

async function cutOff(stage: Stage): Promise<void> {
  const sale = await openAudited(stage, SMALL_LIMIT);
  const bystanders = await openBystanders(stage, sale.program, BYSTANDERS_MS);
  const port = Number(new URL(sale.program.databaseUrl).port);
  const proxy = await startProxy(stage.t, { port });
  await startDecider(stage.t, sale.program, proxy.through);
  const told: Attempt[] = await claimAll(sale, people(SOME));
  await until(async () => (await queueOf(sale)).nextOffset === SOME, "the first are decided");
  proxy.set({ blackhole: true });
  stage.injected();
  const endMs = performance.now() + CUT_OFF_MS;
  while (performance.now() < endMs) {
    told.push(...(await claimAll(sale, people(10), 500)));
    assert.equal((await queueOf(sale)).nextOffset, SOME, "the mark stays");
  }
  assert.deepEqual(Object.keys(tally(told)), ["queued"]);
  const healedMs = performance.now();
  proxy.heal();
  told.push(...(await claimAll(sale, people(SMALL_LIMIT))));
  await endAudited(stage, sale, told, { healedMs });
  await bystanders.end();
}

function residentMb(pid: number): number {
  return serversOf(pid).reduce((sum, one) => {
    const status = readFileSync(`/proc/${one}/status`, "utf8");
    return sum + Number(/VmRSS:\s+(?<kb>\d+)/.exec(status)?.groups?.["kb"]) / 1_024;
  }, 0);
}
