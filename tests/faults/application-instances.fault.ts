// A11, A5: of two instances one is killed every two seconds while people claim at both; and the
// service is killed when all rows are committed and Redis has not heard of it.
//
// Red when the decider's or the reconciler's duty is not taken over (postgres/leadership.ts), and A5
// when the reconciler does not set a latch that is missing (`generations.latch`).
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import type { Program } from "../support/program.ts";
import { marksOfAllRows } from "./marks.ts";
import { withWritesHeld } from "./support/held-row.ts";
import { startOnPrivateEngines } from "./support/private-engines.ts";
import { procMissing } from "./support/processes.ts";
import { redisCommand } from "./support/redis-command.ts";
import { faultRow } from "./support/row.ts";
import {
  askEverybody,
  claimAtOnce,
  engineMissing,
  MECHANISMS,
  openSale,
  people,
  readStored,
  tally,
  throughInstance,
  unsettled,
  until,
  verdict,
} from "./support/sale.ts";
import type { Sale } from "./support/sale.ts";
import { assertGuardsSilent } from "./support/sale-under-fault.ts";
import type { FaultSale } from "./support/sale-under-fault.ts";
import { counted } from "./support/service-state.ts";

const KILLS = 6;
const EVERY_MS = 2_000;
const PEOPLE_A_WAVE = 40;
const LIMIT = 300;
const CROWD_AFTER = 200;
const LATCHED = 'stampede_reconciler_repairs_total{kind="latched"}';

const skip = engineMissing || procMissing;

test(
  "A11: of two instances one is killed every two seconds: the other serves",
  { skip },
  async (t) => {
    const at = await startOnPrivateEngines(t, { instances: 2 });
    const instances = [at.program, at.others[0]!];
    const sales: FaultSale[] = [];
    for (const mechanism of MECHANISMS) {
      const fault = "one of two instances is killed every two seconds and started again";
      const row = faultRow(t, { row: "A11", mechanism, fault });
      sales.push({ sale: await openSale(at.program, { mechanism, limit: LIMIT }), row, told: [] });
    }
    for (let kill = 0; kill < KILLS; kill += 1) {
      const [victim, survivor] = [instances[kill % 2]!, instances[(kill + 1) % 2]!];
      const startMs = performance.now();
      const waves = sales.map(async (one) => {
        const there = await wave(one, survivor);
        assert.deepEqual(
          Object.keys(tally(there)).filter((kind) => kind === "unknown"),
          [],
        );
      });
      const cut = sales.map(async (one) => wave(one, victim));
      await pause(EVERY_MS / 4);
      await victim.kill();
      for (const { row } of sales) row.injected();
      await Promise.all([...waves, ...cut]);
      await victim.restart();
      await pause(Math.max(0, EVERY_MS - (performance.now() - startMs)));
    }
    for (const one of sales) await finish(one);
    assertGuardsSilent(at.postgres);
  },
);

async function wave({ sale, told }: FaultSale, program: Program): ReturnType<typeof claimAtOnce> {
  const attempts = await claimAtOnce(throughInstance(sale, program), people(PEOPLE_A_WAVE), {
    spreadMs: EVERY_MS / 2,
  });
  told.push(...attempts);
  return attempts;
}

/** Whoever was left without an answer claims again, others come, and everything is judged. */
async function finish({ sale, row, told }: FaultSale): Promise<void> {
  const healedMs = performance.now();
  const left = told.filter(({ outcome }) => outcome === "unknown" || outcome === "refused");
  const again = [...new Set(left.map(({ person }) => person)), ...people(CROWD_AFTER)];
  told.push(...(await claimAtOnce(sale, again)));
  await until(async () => (await readStored(sale)).issued === LIMIT, `${sale.mechanism}: L1`);
  row.recovered("L1", performance.now() - healedMs);
  const asked = await askEverybody(sale, told);
  assert.deepEqual(unsettled(asked), [], sale.mechanism);
  row.recovered("L2", performance.now() - healedMs);
  const { violations, stored } = await verdict(sale, [...told, ...asked]);
  row.judged(told, violations.length);
  assert.deepEqual(violations, [], sale.mechanism);
  assert.equal(stored.rows.length, LIMIT);
}

test(
  "A5: all rows are committed and Redis knows nothing of it when the service is killed",
  { skip },
  async (t) => {
    const row = faultRow(t, {
      row: "A5",
      mechanism: "redis-counter",
      fault: "SIGKILL of the service after the last commit, before Redis has the latch",
      expects: [marksOfAllRows.latchedByReconciler],
    });
    const at = await startOnPrivateEngines(t);
    const limit = 50;
    const sale = await openSale(at.program, { mechanism: "redis-counter", limit });
    const crowd = people(2 * limit);
    const claims = await withWritesHeld(at.program, 0, async () => {
      const claims = claimAtOnce(sale, crowd);
      await until(async () => (await heldIn(at.redis.url, sale)) === limit, "all is reserved");
      at.redis.freeze();
      return { claims };
    });
    await until(async () => (await readStored(sale)).issued === limit, "all is committed");
    await at.program.kill();
    at.redis.thaw();
    row.injected();
    const told = [...(await claims.claims)];
    const latch = `stampede:{${sale.eventId}}:state`;
    assert.notEqual(await redisCommand(at.redis.url, "HGET", latch, "latch"), "1");
    await at.program.restart();
    const startedMs = performance.now();
    await until(
      async () => (await redisCommand(at.redis.url, "HGET", latch, "latch")) === "1",
      "the latch is set",
    );
    row.recovered("L4", performance.now() - startedMs);
    await until(async () => (await counted(at.program, LATCHED)) > 0, "the reconciler tells of it");
    row.met(marksOfAllRows.latchedByReconciler);
    told.push(...(await claimAtOnce(sale, crowd)));
    const { replay = 0, "sold-out": soldOut = 0 } = tally(told.slice(crowd.length));
    assert.deepEqual({ replay, soldOut }, { replay: limit, soldOut: limit });
    const { violations, stored } = await verdict(sale, told);
    row.judged(told, violations.length);
    assert.deepEqual(violations, []);
    assert.equal(stored.rows.length, limit);
  },
);

async function heldIn(url: string, { eventId }: Sale): Promise<number> {
  return Number(await redisCommand(url, "HLEN", `stampede:{${eventId}}:persons`));
}
