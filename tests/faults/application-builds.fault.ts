// A12: a rolling deployment. An old build sells on all mechanisms when a newer one joins it on the same
// engines, with other scripts for Redis and a higher schema for Kafka's records. v1: both obey the
// event row's lock. v2: one of them counts at a time; the newer one takes over, and the old one says
// "not applied". v3: the old decider halts at the first record that it does not understand, and the
// operator lets the new one go on when the old one is gone.
//
// Red when `open` does not name the scripts (`openedBy` in redis/scripts.ts; the old build counts on),
// when a build opens what a newer one has opened (`isOthers` there; generations change without end),
// or when a newer schema is taken for a claim or for none (`schema > CLAIM_SCHEMA` in
// kafka/claim-codec.ts).
import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { testEngine } from "@stampede/infrastructure/embedded";
import type { Attempt } from "@stampede/lab";
import { startProgram } from "../support/program.ts";
import type { Program } from "../support/program.ts";
import { assertHalts, isAvailable } from "./support/kafka-sale.ts";
import { makeOtherBuild } from "./support/other-build.ts";
import type { Change } from "./support/other-build.ts";
import { finishRow, firstGoodMs } from "./support/proxy-program.ts";
import { redisCommand } from "./support/redis-command.ts";
import { faultRow } from "./support/row.ts";
import type { Row } from "./support/row.ts";
import {
  claimAtOnce,
  claimUntilAnswered,
  engineMissing,
  MECHANISMS,
  openSale,
  people,
  tally,
  throughInstance,
  until,
  withDatabase,
} from "./support/sale.ts";
import type { Sale } from "./support/sale.ts";

const LIMIT = 150;
const BEFORE = 30;
/** Come to the old build, once, while the newer one starts. */
const MEANWHILE = 60;
const MEANWHILE_MS = 4_000;
const HERE = 30;
const THERE = 30;
const BOTH_MS = { from: 500, to: 2_000 };
const AFTER = 200;

const newer: readonly Change[] = [
  {
    file: "infrastructure/src/redis/scripts.ts",
    replace: /SCRIPTS_NUMBER = \d+;/,
    by: "SCRIPTS_NUMBER = 1_000_000;",
  },
  {
    file: "infrastructure/src/redis/claim.lua",
    replace: /^local limit/m,
    by: "-- The next build's.\nlocal limit",
  },
  {
    file: "infrastructure/src/kafka/claim-codec.ts",
    replace: /CLAIM_SCHEMA = \d+;/,
    by: "CLAIM_SCHEMA = 1_000_000;",
  },
];

type Selling = { readonly row: Row; readonly sale: Sale; readonly told: Attempt[] };
type Builds = { readonly old: Program; readonly next: Program };

test("A12: an old build and a newer one sell together", { skip: engineMissing }, async (t) => {
  const fault = "a build with other scripts and a higher record schema joins in mid-sale";
  const expects = { "row-lock": [], "redis-counter": [REFUSED], "kafka-queue": [HALTED] };
  const rows = MECHANISMS.map((mechanism) =>
    faultRow(t, { row: "A12", mechanism, fault, expects: expects[mechanism] }),
  );
  const folder = makeOtherBuild(t, newer);
  const old = await startProgram(t);
  const sellings: Selling[] = [];
  for (const [n, mechanism] of MECHANISMS.entries()) {
    const sale = await openSale(old, { mechanism, limit: LIMIT });
    sellings.push({ row: rows[n]!, sale, told: await claimAtOnce(sale, people(BEFORE)) });
  }
  const waves = sellings.map(async ({ sale, told }) => {
    told.push(...(await claimAtOnce(sale, people(MEANWHILE), { spreadMs: MEANWHILE_MS })));
  });
  const next = await startNext(t, old, folder);
  for (const row of rows) row.injected();
  await Promise.all(waves);
  const builds = { old, next };
  await Promise.all([
    bothSell(sellings[0]!, builds),
    oneCounts(sellings[1]!, builds),
    oldHalts(sellings[2]!, builds),
  ]);

  await old.stop();
  await withDatabase(next, async (client) => client.query("UPDATE queues SET halted = NULL"));
  const healedMs = performance.now();
  await Promise.all(sellings.map(async (selling) => finish(selling, next, healedMs)));
});

const REFUSED = "the older build was refused by the newer one's scripts";
const HALTED = "an event was halted";

async function startNext(t: TestContext, old: Program, folder: string): Promise<Program> {
  const { databaseUrl } = old;
  const next = await startProgram(t, { DATABASE_URL: databaseUrl }, { folder });
  // Its own database stays empty and is dropped with it.
  return Object.defineProperty(next, "databaseUrl", { value: databaseUrl });
}

async function bothSell(selling: Selling, builds: Builds): Promise<void> {
  const { here, there } = await sellTogether(selling, builds);
  assert.deepEqual(tally(here), { issued: HERE });
  assert.deepEqual(tally(there), { issued: THERE });
}

async function oneCounts(selling: Selling, builds: Builds): Promise<void> {
  const { sale, row } = selling;
  // Nobody has claimed there yet: its reconciler takes over.
  await until(async () => (await openIn(sale)).includes(":1000000-"), "the newer build counts");
  const opened = await openIn(sale);
  const { here, there } = await sellTogether(selling, builds);
  assert.deepEqual(tally(there), { issued: THERE });
  assert.deepEqual(tally(here), { refused: HERE }, "certainly not applied");
  const held = await redisCommand(testEngine("redis"), "HKEYS", keyOf(sale, "persons"));
  assert.ok(Array.isArray(held));
  assert.ok(!here.some(({ person }) => held.includes(person)), "the old build reserved");
  assert.equal(await openIn(sale), opened, "builds that take over from each other");
  assert.equal(await isAvailable({ ...sale, program: builds.old }), false);
  assert.equal(await isAvailable({ ...sale, program: builds.next }), true);
  row.met(REFUSED);
}

async function oldHalts(selling: Selling, builds: Builds): Promise<void> {
  const sinceMs = performance.now();
  await sellTogether(selling, builds);
  const reason = /has schema 1000000: update every decider/;
  selling.told.push(...(await assertHalts(selling, { reason, sinceMs })));
  assert.equal(await isAvailable({ ...selling.sale, program: builds.next }), false);
}

type Together = { readonly here: readonly Attempt[]; readonly there: readonly Attempt[] };

/** Some claim at the old build, others at the newer one, all once and at the same time. */
async function sellTogether({ sale, row, told }: Selling, { next }: Builds): Promise<Together> {
  const spreadMs = row.pick(BOTH_MS.from, BOTH_MS.to);
  const [here, there] = await Promise.all([
    claimAtOnce(sale, people(HERE), { spreadMs }),
    claimAtOnce(throughInstance(sale, next), people(THERE), { spreadMs }),
  ]);
  told.push(...here, ...there);
  return { here, there };
}

/** Everybody who was left claims at the build that stays, others come, and all is judged. */
async function finish(
  { sale, row, told }: Selling,
  next: Program,
  healedMs: number,
): Promise<void> {
  const there = throughInstance(sale, next);
  const left = told.filter(({ outcome }) => outcome === "refused" || outcome === "unknown");
  const persons = [...new Set(left.map(({ person }) => person)), ...people(AFTER)];
  const within = { spreadMs: 500, deadlineMs: 20_000 };
  const again = await claimUntilAnswered(there, persons, within);
  row.recovered("L3", firstGoodMs(again, healedMs));
  await finishRow(row, there, [...told, ...again], healedMs);
  if (sale.mechanism !== "redis-counter") return;
  const held = async (): Promise<unknown> =>
    redisCommand(testEngine("redis"), "HLEN", keyOf(sale, "persons"));
  await until(async () => (await held()) === LIMIT, "S16: Redis' persons are those of the rows");
}

function keyOf({ eventId }: Sale, name: string): string {
  return `stampede:{${eventId}}:${name}`;
}

async function openIn(sale: Sale): Promise<string> {
  return String(await redisCommand(testEngine("redis"), "HGET", keyOf(sale, "state"), "open"));
}
