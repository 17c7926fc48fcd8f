// A4: the service is killed with every coupon reserved in Redis and no row of them committed. The one
// that is started next finds them there and writes their rows, whether or not anybody asks again; and
// until it has, nobody is told "sold out", since a reservation is no coupon yet.
//
// Red when the reconciler never starts (`new infrastructure.Reconciler` in main.ts: B11), and when
// the script says sold out while the counter is at the limit (`'wait'` in redis/claim.lua: B12).
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { testEngine } from "@stampede/infrastructure/embedded";
import type { Attempt } from "@stampede/lab";
import { startProgram } from "../support/program.ts";
import { marks } from "./marks.ts";
import { withWritesHeld } from "./support/held-row.ts";
import { redisCommand } from "./support/redis-command.ts";
import { faultRow } from "./support/row.ts";
import {
  askEverybody,
  claimAtOnce,
  engineMissing,
  openSale,
  people,
  readStored,
  tally,
  unsettled,
  until,
  verdict,
} from "./support/sale.ts";
import type { Sale } from "./support/sale.ts";
import { counted } from "./support/service-state.ts";

const LIMIT = 60;
const SERVED_BEFORE = 10;
const PEOPLE = 120;
const LATE = 20;
/** The late ones wait in the line this long before the rows may be written. */
const HELD_MS = 1_000;
const WRITTEN_MS_MAX = 2_000;
const WRITTEN = 'stampede_reconciler_repairs_total{kind="rows-written"}';

test(
  "A4: what was reserved when the service was killed gets its rows within two seconds",
  { skip: engineMissing },
  async (t) => {
    const row = faultRow(t, {
      row: "A4",
      mechanism: "redis-counter",
      fault: "SIGKILL of the service with all coupons reserved and no row committed",
      expects: [marks.crashReserved, marks.waitedForLatch, marks.writtenForAnother],
    });
    const program = await startProgram(t);
    const sale = await openSale(program, { mechanism: "redis-counter", limit: LIMIT });
    const told: Attempt[] = [...(await claimAtOnce(sale, people(SERVED_BEFORE)))];
    const crowd = people(PEOPLE);
    const { late, healedMs } = await withWritesHeldFor(sale, crowd, async (claims) => {
      await program.kill();
      row.injected();
      const cut = await claims;
      assert.deepEqual(tally(cut), { unknown: PEOPLE });
      row.met(marks.crashReserved);
      told.push(...cut);
      await program.restart();
    });
    await until(async () => (await readStored(sale)).issued === LIMIT, "L1: the rows are written");
    const writtenMs = performance.now() - healedMs;
    row.recovered("L1", writtenMs);
    assert.ok(writtenMs < WRITTEN_MS_MAX, `${writtenMs} ms`);
    if ((await counted(program, WRITTEN)) >= LIMIT - SERVED_BEFORE) {
      row.met(marks.writtenForAnother);
    }
    const lateAnswers = await late;
    const early = lateAnswers.filter(({ returnedMs }) => returnedMs < healedMs);
    assert.equal(tally(early)["sold-out"] ?? 0, 0, "sold out was told before the rows were there");
    if (early.length < LATE) row.met(marks.waitedForLatch);
    told.push(...lateAnswers);
    await finish(sale, { told, crowd });
    const { violations, stored } = await verdict(sale, told);
    row.judged(told, violations.length);
    assert.deepEqual(violations, []);
    assert.equal(stored.rows.length, LIMIT);
  },
);

/** Holds the rows back from before the crowd's claims until after `run`; late people come behind it. */
async function withWritesHeldFor(
  sale: Sale,
  crowd: readonly string[],
  run: (claims: Promise<readonly Attempt[]>) => Promise<void>,
): Promise<{ readonly late: Promise<readonly Attempt[]>; readonly healedMs: number }> {
  return withWritesHeld(sale.program, 0, async (holder) => {
    const claims = claimAtOnce(sale, crowd);
    await until(async () => (await reserved(sale)) === LIMIT, "every coupon is reserved");
    await run(claims);
    const late = claimAtOnce(sale, people(LATE));
    await pause(HELD_MS);
    const healedMs = performance.now();
    await holder.query("ROLLBACK");
    return { late, healedMs };
  });
}

async function reserved({ eventId }: Sale): Promise<number> {
  return Number(await redisCommand(testEngine("redis"), "HLEN", `stampede:{${eventId}}:persons`));
}

/** Everybody claims again and asks: whoever was cut off finds their coupon, or hears the end. */
async function finish(
  sale: Sale,
  { told, crowd }: { readonly told: Attempt[]; readonly crowd: readonly string[] },
): Promise<void> {
  const again = await claimAtOnce(sale, crowd);
  assert.deepEqual(tally(again), {
    replay: LIMIT - SERVED_BEFORE,
    "sold-out": PEOPLE - LIMIT + SERVED_BEFORE,
  });
  told.push(...again);
  const asked = await askEverybody(sale, told);
  assert.deepEqual(unsettled(asked), []);
  told.push(...asked);
}
