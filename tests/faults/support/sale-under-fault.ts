// A sale of each mechanism with a fault in its middle: people come before, during and after it and
// claim until they are answered, a few come only while it lasts and never again; then the deadlines
// are measured from the moment of healing, and everything that anybody was told is judged.
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import type { TestContext } from "node:test";
import type { Attempt, Mechanism } from "@stampede/lab";
import type pg from "pg";
import type { Program } from "../../support/program.ts";
import { marks } from "../marks.ts";
import { observe } from "./observer.ts";
import type { Observer } from "./observer.ts";
import { logOf } from "./private-engines.ts";
import type { PrivateEngine, PrivateEngines } from "./private-engines.ts";
import { descriptorsOf } from "./processes.ts";
import { redisCommand } from "./redis-command.ts";
import { faultRow } from "./row.ts";
import type { Deadline, Row } from "./row.ts";
import {
  askEverybody,
  claimAtOnce,
  claimUntilAnswered,
  openSale,
  people,
  readStored,
  tally,
  unsettled,
  until,
  verdict,
  withDatabase,
} from "./sale.ts";
import type { Sale } from "./sale.ts";

const PEOPLE = 220;
const LIMIT = 150;
const SPREAD_MS = 3_000;
const DEADLINE_MS = 40_000;
const POLL_MS = 20;
/** Come at the moment of healing: the first of them who is served ends L3. */
const PEOPLE_AFTER = 20;
const SPREAD_AFTER_MS = 500;
/** Come in the middle of the fault, claim once, and never again. */
export const PASSERS_BY = 20;

const DESCRIPTORS_MS_MAX = 60_000;
/** The pools' connections, which are opened when they are first needed. */
const DESCRIPTORS_MORE_MAX = 25;

/** Milliseconds until each deadline's promise must be met; L3 is the engine's. */
const DEADLINES_MS = { L1: 10_000, L2: 10_000, L4: 10_000 } as const;

export type FaultSale = {
  readonly sale: Sale;
  readonly row: Row;
  /** Every answer to a claim so far, in no order. */
  readonly told: Attempt[];
};

/** What happened when, on the same clock as the attempts. */
export type FaultTimes = { readonly injectedMs: number; readonly healedMs: number };

/** What those were told who came once, by mechanism. */
export type PassBy = () => Promise<Partial<Record<Mechanism, Record<string, number>>>>;

export type FaultCourse = {
  readonly row: string;
  readonly fault: string;
  readonly mechanisms: readonly Mechanism[];
  readonly expects?: readonly string[];
  /** L3: the first good claim after healing comes within this time. */
  readonly goodClaimMsMax: number;
  /** Injects, lets it last, heals. `passBy` sends the people who claim once; call it in its middle. */
  readonly inject: (sales: readonly FaultSale[], passBy: PassBy) => Promise<FaultTimes>;
  readonly limit?: number;
  readonly people?: number;
  readonly spreadMs?: number;
};

export type Finished = FaultSale & FaultTimes;

/** Runs it all, one sale per mechanism at the same time; what it gives is judged already. */
export async function sellUnderFault(
  t: TestContext,
  at: PrivateEngines & { readonly program: Program },
  course: FaultCourse,
): Promise<readonly Finished[]> {
  const { people: count = PEOPLE, limit = LIMIT, spreadMs = SPREAD_MS } = course;
  const descriptorsBefore = descriptorsOf(at.program.pid);
  const sales: FaultSale[] = [];
  for (const mechanism of course.mechanisms) {
    const row = faultRow(t, { ...course, mechanism });
    sales.push({ sale: await openSale(at.program, { mechanism, limit }), row, told: [] });
  }
  const observers = sales.map(({ sale }) => {
    const observer = observe(sale, sale.mechanism === "redis-counter" ? at.redis.url : null);
    // Ended in any case, or a fault that could not be injected would leave it reading for ever.
    t.after(async () => observer.end());
    return observer;
  });
  const crowds = sales.map(async ({ sale, told }) => {
    const options = { spreadMs, deadlineMs: DEADLINE_MS };
    told.push(...(await claimUntilAnswered(sale, people(count), options)));
  });
  // A fault that could not be injected ends the test before anybody awaits them.
  for (const crowd of crowds) crowd.catch(() => undefined);
  const passBy: PassBy = async () => {
    const entries = sales.map(async ({ sale, told }) => {
      const answers = await claimAtOnce(sale, people(PASSERS_BY));
      told.push(...answers);
      return [sale.mechanism, tally(answers)] as const;
    });
    return Object.fromEntries(await Promise.all(entries));
  };
  await until(
    async () => (await Promise.all(sales.map(hasBegun))).every(Boolean),
    "every sale has begun",
  );
  const times = await course.inject(sales, passBy);
  const ends = sales.map(async (one, n) => {
    one.row.injected();
    const [recovered] = await Promise.all([
      recovery(at, one.sale, times.healedMs),
      comeAfter(one),
      crowds[n]!,
    ]);
    await judgeSale({ ...one, ...times }, recovered, course.goodClaimMsMax);
  });
  const outcomes = await Promise.allSettled(ends);
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  await Promise.all(observers.map(assertNothingSeen));
  const L5 = (await descriptorsBack(at.program, descriptorsBefore)) - times.healedMs;
  for (const { row } of sales) row.recovered("L5", Math.round(L5));
  assert.ok(L5 <= DESCRIPTORS_MS_MAX, `descriptors were back after ${Math.round(L5)} ms`);
  assertGuardsSilent(at.postgres);
  return sales.map((one) => ({ ...one, ...times }));
}

/** What every snapshot showed while the sale ran, and not only its end. */
async function assertNothingSeen({ end }: Observer): Promise<void> {
  const { readings, wrong } = await end();
  assert.deepEqual(wrong, []);
  assert.ok(readings > 0, "the observer saw nothing");
}

/** L5 by descriptors: when they were back to what they were before anybody came. */
async function descriptorsBack({ pid }: Program, before: number): Promise<number> {
  await until(
    () => descriptorsOf(pid) <= before * 1.1 + DESCRIPTORS_MORE_MAX,
    `${before} descriptors before, ${descriptorsOf(pid)} after: they come back`,
  );
  return performance.now();
}

async function comeAfter({ sale, told }: FaultSale): Promise<void> {
  const options = { spreadMs: SPREAD_AFTER_MS, deadlineMs: DEADLINE_MS };
  told.push(...(await claimUntilAnswered(sale, people(PEOPLE_AFTER), options)));
}

async function hasBegun({ sale }: FaultSale): Promise<boolean> {
  return (await readStored(sale)).issued > 0;
}

type Recovered = Readonly<Partial<Record<Deadline, number>>>;

/** How long after healing all coupons were rows (L1), and nothing was stuck (L4). */
export async function recovery(
  { redis }: { readonly redis: PrivateEngine },
  sale: Sale,
  healedMs: number,
): Promise<Recovered> {
  const endMs = healedMs + DEADLINE_MS;
  const reached = async (condition: () => Promise<boolean>, what: string): Promise<number> => {
    while (!(await condition())) {
      assert.ok(performance.now() < endMs, `${sale.mechanism}: never ${what}`);
      await pause(POLL_MS);
    }
    return performance.now() - healedMs;
  };
  const L1 = await reached(
    async () => (await readStored(sale)).issued === sale.limit,
    "issued all coupons",
  );
  const L4 = await reached(
    async () => (await stuckSessions(sale)) === 0 && (await redisIsEven(redis, sale)),
    "free of stuck sessions and reservations",
  );
  return { L1, L4 };
}

/** Sessions of the service that sit in a transaction: none of its own lasts longer than its locks. */
async function stuckSessions({ program }: Sale): Promise<number> {
  return withDatabase(program, async (client) => {
    const { rows } = await client.query<{ stuck: number }>(
      `SELECT count(*)::integer AS stuck FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'stampede'
          AND xact_start < clock_timestamp() - interval '5 s'`,
    );
    return rows[0]!.stuck;
  });
}

/** S16: Redis has the latch and exactly as many persons as there are rows. */
async function redisIsEven(redis: PrivateEngine, sale: Sale): Promise<boolean> {
  if (sale.mechanism !== "redis-counter") return true;
  const prefix = `stampede:{${sale.eventId}}`;
  const held = await redisCommand(redis.url, "HLEN", `${prefix}:persons`);
  const latch = await redisCommand(redis.url, "HGET", `${prefix}:state`, "latch");
  return latch === "1" && held === sale.limit;
}

async function judgeSale(
  { sale, row, told, healedMs }: Finished,
  recovered: Recovered,
  goodClaimMsMax: number,
): Promise<void> {
  const { mechanism, limit } = sale;
  assert.deepEqual(
    told.filter(({ status }) => ![200, 201, 202, 409, 503, null].includes(status)),
    [],
  );
  const asked = await askEverybody(sale, told);
  assert.deepEqual(unsettled(asked), [], `${mechanism}: L2, everybody has a final answer`);
  const L2 = answeredAt([...told, ...asked], told, healedMs) - healedMs;
  const L3 = firstGoodAt(told, healedMs) - healedMs;
  const { violations, stored } = await verdict(sale, [...told, ...asked]);
  row.judged(told, violations.length);
  assert.deepEqual(violations, [], mechanism);
  assert.equal(stored.rows.length, limit, mechanism);
  noteSituations(row, told);
  for (const [deadline, ms] of Object.entries({ ...recovered, L2, L3 })) {
    row.recovered(deadline as Deadline, Math.max(0, Math.round(ms)));
  }
  for (const [deadline, msMax] of Object.entries({ ...DEADLINES_MS, L3: goodClaimMsMax })) {
    const ms = { ...recovered, L2, L3 }[deadline as "L1"] ?? Number.NaN;
    assert.ok(ms <= msMax, `${mechanism}: ${deadline} took ${Math.round(ms)} of ${msMax} ms`);
  }
}

/** When the last of those who were left without a final answer before healing had one. */
function answeredAt(
  answers: readonly Attempt[],
  told: readonly Attempt[],
  healedMs: number,
): number {
  const left = new Set(
    told
      .filter(({ outcome, sentMs }) => ["queued", "unknown"].includes(outcome) && sentMs < healedMs)
      .map(({ person }) => person),
  );
  const first = new Map<string, number>();
  for (const { person, outcome, returnedMs } of answers) {
    if (!left.has(person) || !["issued", "replay", "sold-out"].includes(outcome)) continue;
    first.set(person, Math.min(first.get(person) ?? Infinity, returnedMs));
  }
  return Math.max(healedMs, ...first.values());
}

function firstGoodAt(told: readonly Attempt[], healedMs: number): number {
  const good = told.filter(
    ({ outcome, returnedMs }) =>
      returnedMs >= healedMs && !["refused", "unknown", "none"].includes(outcome),
  );
  return Math.min(...good.map(({ returnedMs }) => returnedMs));
}

/** Situations that the history itself shows. */
function noteSituations(row: Row, told: readonly Attempt[]): void {
  const unknown = new Set(
    told.flatMap(({ outcome, person }) => (outcome === "unknown" ? [person] : [])),
  );
  for (const { person, outcome } of told) {
    if (!unknown.has(person)) continue;
    if (outcome === "replay") row.met(marks.foundOwnRow);
    if (outcome === "replay") row.met(marks.unknownApplied);
    if (outcome === "issued") row.met(marks.unknownNotApplied);
  }
}

/** Answers to claims that were sent and answered between the two moments. */
export function answersBetween(
  told: readonly Attempt[],
  fromMs: number,
  toMs: number,
): Record<string, number> {
  return tally(told.filter(({ sentMs, returnedMs }) => sentMs >= fromMs && returnedMs <= toMs));
}

/** S24: the constraints stand behind the locks; where one has to speak, the lock did not hold. */
export function assertGuardsSilent(postgres: PrivateEngine): void {
  const spoken = logOf(postgres)
    .split("\n")
    .filter((line) => /violates (?:unique|check) constraint "(?:events|coupon_issues)/.test(line));
  assert.deepEqual(spoken, []);
}

/** Waits until the service itself says of the engine that it is up, or down. */
export async function untilEngine(
  { url }: Program,
  engine: "postgres" | "redis",
  state: "up" | "down",
): Promise<void> {
  await until(async () => {
    const answer = await fetch(`${url}/readyz`);
    const { engines } = (await answer.json()) as { engines: Record<string, string> };
    return engines[engine] === state;
  }, `the service sees that ${engine} is ${state}`);
}

/** Runs while the table is locked and so many writers hold their event's row and wait for it. */
export async function withWritesHeld<Value>(
  program: Program,
  writers: number,
  run: (client: pg.Client) => Promise<Value>,
): Promise<Value> {
  return withDatabase(program, async (client) => {
    await client.query("BEGIN");
    await client.query("LOCK TABLE coupon_issues IN EXCLUSIVE MODE");
    await until(
      async () => (await waitingWriters(client)).length >= writers,
      `${writers} writers wait for the table`,
    );
    const value = await run(client);
    await client.query("ROLLBACK");
    return value;
  });
}

/** Sessions that wait to write a row. (`pg_stat_activity` would not change within a transaction.) */
export async function waitingWriters(client: pg.Client): Promise<readonly number[]> {
  const { rows } = await client.query<{ pid: number }>(
    `SELECT pid FROM pg_locks
      WHERE NOT granted AND relation = 'coupon_issues'::regclass AND mode = 'RowExclusiveLock'`,
  );
  return rows.map(({ pid }) => pid);
}

/** A fault of Redis is nobody's but v2's: v1 and v3 answer everybody on their merits. */
export function assertOthersNoticeNothing(sold: readonly FaultSale[]): void {
  for (const { sale, told } of sold) {
    if (sale.mechanism === "redis-counter") continue;
    const { refused = 0, unknown = 0 } = tally(told);
    assert.deepEqual({ refused, unknown }, { refused: 0, unknown: 0 }, sale.mechanism);
  }
}

/** A counter of the program's metrics, with its labels as they stand in the text; 0 before it counts. */
export async function counted({ url }: Program, series: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const line = text.split("\n").find((one) => one.startsWith(`${series} `));
  return Number(line?.slice(series.length + 1) ?? 0);
}
