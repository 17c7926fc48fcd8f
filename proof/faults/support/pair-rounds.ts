// Rounds of two faults in one sale. The faults of v2 and of v3 that are not the same are paired up, so
// that one round serves both: a sale then meets its own pair, and sees an engine fail that is not its.
import assert from "node:assert/strict";
import type { Attempt } from "@stampede/lab";
import type { Stage } from "../case.ts";
import { assertGuardsSilent, assertNothingSeen } from "../course.ts";
import { finish, firstGoodMs } from "../finish.ts";
import { KAFKA_MECHANISMS, queues, REDIS_MECHANISMS, ROW_MECHANISMS } from "../mechanisms.ts";
import type { Mechanism } from "../mechanisms.ts";
import { observe } from "./observer.ts";
import type { Observer } from "./observer.ts";
import { pairFault } from "./pair-faults.ts";
import type { FaultName, PairFault, Thing } from "./pair-faults.ts";
import { burst, untilWhole } from "./pair-place.ts";
import type { PairPlace, PairSale } from "./pair-place.ts";
import { appendOnlyFile } from "./private-engines.ts";
import { recovery } from "./recovery.ts";
import { assertAnswered, claimAtOnce, claimUntilAnswered, openSale, people } from "./sale.ts";

/** A slot of a round: what each mechanism meets in it. */
type Slot = Readonly<Partial<Record<Mechanism, FaultName>>>;

export type Pair = readonly [Slot, Slot];

const PEOPLE_BEFORE = 20;
const PEOPLE_AFTER = 60;
/** Above all who come before the last fault is gone, and below all who come. */
const LIMIT = 70;
const OVERLAP = "a second fault came while the first lasted";
const SPREAD_AFTER_MS = 500;
const DEADLINE_MS = 40_000;
const SETTLED_MS_MAX = 10_000;
/** The faults that every mechanism can meet. */
const everywhere = ["A8", "P2", "P4", "P5"] as const;
/** v2's own beside v3's own. */
const own = [
  ["A4", "K12"],
  ["R2", "K1"],
  ["R3", "K4"],
  ["R6", "K10"],
] as const;

const slotOf = (mechanisms: readonly Mechanism[], name: FaultName): Slot =>
  Object.fromEntries(mechanisms.map((mechanism) => [mechanism, name]));

const slots: readonly Slot[] = [...everywhere.map((name) => [name, name] as const), ...own].map(
  ([counter, queue]) => ({
    ...slotOf(REDIS_MECHANISMS, counter),
    ...slotOf(KAFKA_MECHANISMS, queue),
  }),
);

/** v1 and its kind: 6 pairs of four faults. */
export const rowPairs: readonly Pair[] = pairsOf(
  everywhere.map((name) => slotOf(ROW_MECHANISMS, name)),
);

/** v2 and v3: 28 pairs of eight faults each. */
export const otherPairs: readonly Pair[] = pairsOf(slots);

function pairsOf(all: readonly Slot[]): readonly Pair[] {
  return all.flatMap((one, n) => all.slice(n + 1).map((other): Pair => [one, other]));
}

type RoundSale = PairSale & {
  readonly told: Attempt[];
  readonly observer: Observer;
};

type Open = { readonly fault: PairFault; readonly sales: readonly RoundSale[] };

/** What each mechanism meets: "A8 and K1 | A8 and R2 in one sale". */
export function titleOf([one, other]: Pair): string {
  const names = Object.keys(one) as Mechanism[];
  const each = names.map((mechanism) => `${one[mechanism]} and ${other[mechanism]}`);
  return `${[...new Set(each)].join(" | ")} in one sale`;
}

export async function runRound(stage: Stage<PairPlace>, pair: Pair): Promise<void> {
  const place = stage.at;
  await untilWhole(place);
  const sales: RoundSale[] = [];
  for (const mechanism of stage.mechanisms) {
    const sale = await openSale(place.program, { mechanism, limit: LIMIT });
    const observer = observe(sale);
    // Ended in any case, or a fault that could not be injected would leave it reading for ever.
    stage.t.after(async () => observer.end());
    sales.push({ sale, bursts: [], told: [], observer });
  }
  const { bytes: fileBytes } = appendOnlyFile(place.redis);
  for (const { sale, told } of sales)
    told.push(...(await claimAtOnce(sale, people(PEOPLE_BEFORE))));
  const ordered = stage.random() < 0.5 ? pair : pair.toReversed();
  await injectAll(stage, { slots: ordered, sales, fileBytes });
  const healedMs = performance.now();
  const outcomes = await Promise.allSettled(sales.map(async (one) => endOf(stage, one, healedMs)));
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  assertGuardsSilent(place.postgres);
}

async function injectAll(
  { at: place, met, notes }: Stage<PairPlace>,
  course: {
    readonly slots: readonly Slot[];
    readonly sales: readonly RoundSale[];
    readonly fileBytes: number;
  },
): Promise<void> {
  let opens: Open[] = [];
  const taken = (): ReadonlySet<Thing> => new Set(opens.flatMap(({ fault }) => fault.takes));
  const roundOf = ({ sales }: Open) => ({ ...course, place, sales, taken });
  const heal = async (those: readonly Open[]): Promise<void> => {
    opens = opens.filter((one) => !those.includes(one));
    // Engines first: a process that is started again waits for them.
    const engines = those.filter(({ fault }) => !restartsProcess(fault));
    for (const one of engines) await one.fault.heal(roundOf(one));
    for (const one of those) if (!engines.includes(one)) await one.fault.heal(roundOf(one));
  };
  try {
    for (const slot of course.slots) {
      const next = opensOf(slot, course.sales);
      const needs = new Set(next.flatMap(({ fault }) => fault.needs));
      await heal(opens.filter(({ fault }) => fault.takes.some((thing) => needs.has(thing))));
      if (taken().size > 0) met(OVERLAP);
      for (const one of next) {
        // Healed whatever becomes of it: the next round needs this place whole.
        opens.push({ ...one, fault: { ...one.fault, takes: [] } });
        await one.fault.inject(roundOf(one));
        opens = [...opens.slice(0, -1), one];
        for (const { sale } of one.sales) notes(sale.mechanism).injected();
      }
    }
    // While it all lasts: whoever comes now is told what can be told.
    if (!taken().has("door")) await Promise.all(course.sales.map(burst));
  } finally {
    await heal(opens);
  }
}

function restartsProcess({ name }: PairFault): boolean {
  return name === "A4" || name === "K10";
}

/** v3's own comes first: it may need what v2's own takes away. */
function opensOf(slot: Slot, sales: readonly RoundSale[]): readonly Open[] {
  const order = [...KAFKA_MECHANISMS, ...REDIS_MECHANISMS, ...ROW_MECHANISMS];
  return [...new Set(order.map((mechanism) => slot[mechanism]))]
    .filter((name) => name !== undefined)
    .map((name) => ({
      fault: pairFault(name),
      sales: sales.filter(({ sale }) => slot[sale.mechanism] === name),
    }));
}

/** The deadlines from the moment of healing, and the referee over all that anybody was told. */
async function endOf(
  stage: Stage<PairPlace>,
  { sale, told, bursts, observer }: RoundSale,
  healedMs: number,
): Promise<void> {
  const { mechanism } = sale;
  const options = { spreadMs: SPREAD_AFTER_MS, deadlineMs: DEADLINE_MS };
  const after = await claimUntilAnswered(sale, people(PEOPLE_AFTER), options);
  told.push(...(await Promise.all(bursts)).flat(), ...after);
  const left = new Set(told.filter(isFault).map(({ person }) => person));
  told.push(...(await claimUntilAnswered(sale, [...left], options)));
  assertAnswered(told);
  // Who comes later than the healing is served later: from the last answer on.
  const lastMs = Math.max(healedMs, ...told.map(({ returnedMs }) => returnedMs));
  const reached = { ...(await recovery(sale, lastMs)), L3: firstGoodMs(after, healedMs) };
  const most = { L1: SETTLED_MS_MAX, L3: goodClaimMsMax(sale), L4: SETTLED_MS_MAX };
  for (const deadline of ["L1", "L3", "L4"] as const) {
    const ms = Math.round(reached[deadline]);
    stage.notes(mechanism).recovered(deadline, ms);
    assert.ok(ms <= most[deadline], `${mechanism}: ${deadline} took ${ms} of ${most[deadline]} ms`);
  }
  await finish(stage, sale, told);
  await assertNothingSeen(observer);
}

/** L3 of the slowest engine that was away. */
function goodClaimMsMax(sale: { readonly mechanism: Mechanism }): number {
  return queues(sale) ? 15_000 : 5_000;
}

function isFault({ outcome }: Attempt): boolean {
  return outcome === "refused" || outcome === "unknown";
}
