// A sale of each mechanism with a fault in its middle: people come before, during and after it and
// claim until they are answered, a few come only while it lasts and never again; then the deadlines
// are measured from the moment of healing, and everything that anybody was told is judged.
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type { Attempt, Mechanism } from "@stampede/lab";
import type { Program } from "../../support/program.ts";
import { marks } from "../marks.ts";
import { observe } from "./observer.ts";
import type { Observer } from "./observer.ts";
import { logOf } from "./private-engines.ts";
import type { PrivateEngine, PrivateEngines } from "./private-engines.ts";
import { firstGoodMs } from "./proxy-program.ts";
import { answeredAt, recovery, resourcesBack, resourcesOf } from "./recovery.ts";
import type { Recovered } from "./recovery.ts";
import { faultRow } from "./row.ts";
import type { Deadline, Row } from "./row.ts";
import {
  askEverybody,
  assertAnswered,
  claimAtOnce,
  claimUntilAnswered,
  openSale,
  people,
  readStored,
  tally,
  unsettled,
  until,
  verdict,
} from "./sale.ts";
import type { Sale } from "./sale.ts";

const PEOPLE = 220;
const LIMIT = 150;
const SPREAD_MS = 3_000;
const DEADLINE_MS = 40_000;
/** Come at the moment of healing: the first of them who is served ends L3. */
const PEOPLE_AFTER = 20;
const SPREAD_AFTER_MS = 500;
/** Come in the middle of the fault, claim once, and never again. */
export const PASSERS_BY = 20;

const RESOURCES_MS_MAX = 60_000;

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
  const before = await resourcesOf(at.program);
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
  const after = await resourcesBack(at.program, before);
  const L5 = performance.now() - times.healedMs;
  if (before.heapBytes !== null) {
    t.diagnostic(`heap at rest: ${before.heapBytes} bytes before, ${after.heapBytes} after`);
  }
  for (const { row } of sales) row.recovered("L5", Math.round(L5));
  assert.ok(L5 <= RESOURCES_MS_MAX, `descriptors and memory were back after ${Math.round(L5)} ms`);
  assertGuardsSilent(at.postgres);
  return sales.map((one) => ({ ...one, ...times }));
}

/** What every snapshot showed while the sale ran, and not only its end. */
async function assertNothingSeen({ end }: Observer): Promise<void> {
  const { readings, wrong } = await end();
  assert.deepEqual(wrong, []);
  assert.ok(readings > 0, "the observer saw nothing");
}

async function comeAfter({ sale, told }: FaultSale): Promise<void> {
  const options = { spreadMs: SPREAD_AFTER_MS, deadlineMs: DEADLINE_MS };
  told.push(...(await claimUntilAnswered(sale, people(PEOPLE_AFTER), options)));
}

async function hasBegun({ sale }: FaultSale): Promise<boolean> {
  return (await readStored(sale)).issued > 0;
}

async function judgeSale(
  { sale, row, told, healedMs }: Finished,
  recovered: Recovered,
  goodClaimMsMax: number,
): Promise<void> {
  const { mechanism, limit } = sale;
  assertAnswered(told);
  const asked = await askEverybody(sale, told);
  assert.deepEqual(unsettled(asked), [], `${mechanism}: L2, everybody has a final answer`);
  const L2 = answeredAt([...told, ...asked], told, healedMs) - healedMs;
  const L3 = firstGoodMs(told, healedMs);
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

/** A fault of Redis is nobody's but v2's: v1 and v3 answer everybody on their merits. */
export function assertOthersNoticeNothing(sold: readonly FaultSale[]): void {
  for (const { sale, told } of sold) {
    if (sale.mechanism === "redis-counter") continue;
    const { refused = 0, unknown = 0 } = tally(told);
    assert.deepEqual({ refused, unknown }, { refused: 0, unknown: 0 }, sale.mechanism);
  }
}
