// A sale of each mechanism with a fault in its middle: people come before, during and after it and
// claim until they are answered, a few come only while it lasts and never again; then the deadlines
// are measured from the moment of healing, and everything that anybody was told is judged.
import assert from "node:assert/strict";
import type { Attempt } from "@stampede/lab";
import { until } from "@stampede/launcher/testing";
import type { Program } from "../support/program.ts";
import type { Stage } from "./case.ts";
import { firstGoodMs, judged } from "./finish.ts";
import { marks } from "./marks.ts";
import { reserves } from "./mechanisms.ts";
import type { Mechanism } from "./mechanisms.ts";
import type { Deadline } from "./notes.ts";
import { observe } from "./support/observer.ts";
import type { Observer } from "./support/observer.ts";
import { logOf } from "./support/private-engines.ts";
import type { PrivateEngine, PrivateEngines } from "./support/private-engines.ts";
import { answeredAt, recovery, resourcesBack, resourcesOf } from "./support/recovery.ts";
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
} from "./support/sale.ts";
import type { Sale } from "./support/sale.ts";

/** Long enough that on a busy machine, too, the sale is not over before the fault is there. */
const USUAL: Size = { people: 240, limit: 150, spreadMs: 4_500 };
const DEADLINE_MS = 40_000;
/** Come at the moment of healing: the first of them who is served ends L3. */
const PEOPLE_AFTER = 20;
const SPREAD_AFTER_MS = 500;
/** Come in the middle of the fault, claim once, and never again. */
export const PASSERS_BY = 20;

const RESOURCES_MS_MAX = 60_000;
/** L3 where the case says nothing else. */
const GOOD_CLAIM_MS_MAX = 5_000;

/** Milliseconds until each deadline's promise must be met. */
const DEADLINES_MS = { L1: 10_000, L2: 10_000, L4: 10_000 } as const;

export type FaultSale = {
  readonly sale: Sale;
  /** Every answer to a claim so far, in no order. */
  readonly told: Attempt[];
};

/** What happened when, on the same clock as the attempts. */
type FaultTimes = { readonly injectedMs: number; readonly healedMs: number };

export type Finished = FaultSale & FaultTimes;

/** What those were told who came once. */
export type PassBy = () => Promise<ReadonlyMap<Mechanism, Record<string, number>>>;

export type CourseStage<At> = Stage<At> & {
  readonly sales: readonly FaultSale[];
  /** Sends people who claim once; call it in the fault's middle. */
  readonly passBy: PassBy;
  /** The fault is there from now on; from the beginning of `inject`, unless called. */
  readonly begins: () => void;
  /** It is gone from now on, and deadlines count; from the end of `inject`, unless called. */
  readonly ends: () => void;
};

export type Course<At> = {
  /** Injects, lets it last, heals. */
  readonly inject: (stage: CourseStage<At>) => Promise<unknown>;
  /** Looks at what is right already for what only this fault shows. */
  readonly after?: (sold: readonly Finished[], stage: Stage<At>) => Promise<void> | void;
  /** L3: the first good claim after healing comes within this time. */
  readonly goodClaimMsMax?: number;
  /** Another size than the usual one. */
  readonly size?: Size;
  /** A longer sale for those who reserve in Redis, where the fault is theirs. */
  readonly reserving?: Size;
};

type Size = { readonly people: number; readonly limit: number; readonly spreadMs: number };

export type CoursePlace = PrivateEngines & { readonly program: Program };

/** Runs it all, one sale per mechanism at the same time. */
export async function sellUnderFault<At extends CoursePlace>(
  stage: Stage<At>,
  course: Course<At>,
): Promise<void> {
  const { size = USUAL, reserving = size } = course;
  const sizeOf = (sale: { readonly mechanism: Mechanism }): Size =>
    reserves(sale) ? reserving : size;
  const { t, at } = stage;
  const before = await resourcesOf(at.program);
  const sales: FaultSale[] = [];
  for (const mechanism of stage.mechanisms) {
    const { limit } = sizeOf({ mechanism });
    sales.push({ sale: await openSale(at.program, { mechanism, limit }), told: [] });
  }
  const observers = sales.map(({ sale }) => {
    const observer = observe(sale);
    // Ended in any case, or a fault that could not be injected would leave it reading for ever.
    t.after(async () => observer.end());
    return observer;
  });
  const crowds = sales.map(async ({ sale, told }) => {
    const { people: count, spreadMs } = sizeOf(sale);
    const options = { spreadMs, deadlineMs: DEADLINE_MS };
    told.push(...(await claimUntilAnswered(sale, people(count), options)));
  });
  // A fault that could not be injected ends the case before anybody awaits them.
  for (const crowd of crowds) crowd.catch(() => undefined);
  await until(
    async () => (await Promise.all(sales.map(hasBegun))).every(Boolean),
    "every sale has begun",
  );
  const times = await inject(stage, course, sales);
  stage.injected();
  const sold = sales.map((one) => ({ ...one, ...times }));
  const ends = sold.map(async (one, n) => {
    const [recovered] = await Promise.all([
      recovery(one.sale, times.healedMs),
      comeAfter(one),
      crowds[n]!,
    ]);
    await judgeSale(stage, one, { ...recovered, ...(await finalAnswers(one)) }, course);
  });
  const outcomes = await Promise.allSettled(ends);
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  await Promise.all(observers.map(assertNothingSeen));
  const after = await resourcesBack(at.program, before);
  const L5 = Math.round(performance.now() - times.healedMs);
  if (before.heapBytes !== null) {
    t.diagnostic(`heap at rest: ${before.heapBytes} bytes before, ${after.heapBytes} after`);
  }
  for (const { sale } of sales) stage.notes(sale.mechanism).recovered("L5", L5);
  assert.ok(L5 <= RESOURCES_MS_MAX, `descriptors and memory were back after ${L5} ms`);
  assertGuardsSilent(at.postgres);
  await course.after?.(sold, stage);
}

async function inject<At>(
  stage: Stage<At>,
  course: Course<At>,
  sales: readonly FaultSale[],
): Promise<FaultTimes> {
  let injectedMs = performance.now();
  let healedMs: number | null = null;
  const passBy: PassBy = async () => {
    const entries = sales.map(async ({ sale, told }) => {
      const answers = await claimAtOnce(sale, people(PASSERS_BY));
      told.push(...answers);
      return [sale.mechanism, tally(answers)] as const;
    });
    return new Map(await Promise.all(entries));
  };
  await course.inject({
    ...stage,
    sales,
    passBy,
    begins() {
      injectedMs = performance.now();
    },
    ends() {
      healedMs = performance.now();
    },
  });
  return { injectedMs, healedMs: healedMs ?? performance.now() };
}

/** What every snapshot showed while the sale ran, and not only its end. */
export async function assertNothingSeen({ end }: Observer): Promise<void> {
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

type Answered = { readonly asked: readonly Attempt[]; readonly L2: number; readonly L3: number };

async function finalAnswers({ sale, told, healedMs }: Finished): Promise<Answered> {
  assertAnswered(told);
  const asked = await askEverybody(sale, told);
  assert.deepEqual(unsettled(asked), [], `${sale.mechanism}: L2, everybody has a final answer`);
  const L2 = answeredAt([...told, ...asked], told, healedMs) - healedMs;
  return { asked, L2, L3: firstGoodMs(told, healedMs) };
}

async function judgeSale(
  stage: Pick<Stage, "notes">,
  { sale, told }: Finished,
  { asked, ...reached }: Answered & { readonly L1: number; readonly L4: number },
  { goodClaimMsMax = GOOD_CLAIM_MS_MAX }: Pick<Course<never>, "goodClaimMsMax">,
): Promise<void> {
  const { mechanism, limit } = sale;
  const notes = stage.notes(mechanism);
  const stored = await judged(stage, sale, [...told, ...asked]);
  assert.equal(stored.rows.length, limit, mechanism);
  noteSituations(notes, told);
  for (const [deadline, ms] of Object.entries(reached)) {
    notes.recovered(deadline as Deadline, Math.max(0, ms));
  }
  for (const [deadline, msMax] of Object.entries({ ...DEADLINES_MS, L3: goodClaimMsMax })) {
    const ms = reached[deadline as "L1"];
    assert.ok(ms <= msMax, `${mechanism}: ${deadline} took ${Math.round(ms)} of ${msMax} ms`);
  }
}

/** Situations that the history itself shows. */
function noteSituations({ met }: Pick<Stage, "met">, told: readonly Attempt[]): void {
  const unknown = new Set(
    told.flatMap(({ outcome, person }) => (outcome === "unknown" ? [person] : [])),
  );
  for (const { person, outcome } of told) {
    if (!unknown.has(person)) continue;
    if (outcome === "replay") met(marks.foundOwnRow);
    if (outcome === "replay") met(marks.unknownApplied);
    if (outcome === "issued") met(marks.unknownNotApplied);
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

/** A fault of Redis is nobody's but theirs who reserve in it: all others answer on the merits. */
export function assertOthersNoticeNothing(sold: readonly FaultSale[]): void {
  for (const { sale, told } of sold) {
    if (reserves(sale)) continue;
    const { refused = 0, unknown = 0 } = tally(told);
    assert.deepEqual({ refused, unknown }, { refused: 0, unknown: 0 }, sale.mechanism);
  }
}
