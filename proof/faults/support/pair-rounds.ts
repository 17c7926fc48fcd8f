// Rounds of two faults in one sale. The faults of v2 and of v3 that are not the same are paired up, so
// that one round serves both: a sale then meets its own pair, and sees an engine fail that is not its.
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type { Attempt, Mechanism } from "@stampede/lab";
import { observe } from "./observer.ts";
import type { Observer } from "./observer.ts";
import { endSale } from "./operations.ts";
import { pairFault } from "./pair-faults.ts";
import type { FaultName, PairFault, Thing } from "./pair-faults.ts";
import { burst, untilWhole } from "./pair-place.ts";
import type { PairPlace, PairSale } from "./pair-place.ts";
import { appendOnlyFile } from "./private-engines.ts";
import { firstGoodMs } from "./proxy-program.ts";
import { recovery } from "./recovery.ts";
import { faultRow } from "./row.ts";
import type { Row } from "./row.ts";
import {
  assertAnswered,
  claimAtOnce,
  claimUntilAnswered,
  openSale,
  people,
  readStored,
} from "./sale.ts";

/** A slot of a round: what each mechanism meets in it. */
export type Slot = Readonly<Partial<Record<Mechanism, FaultName>>>;

export type Pair = readonly [Slot, Slot];

const PEOPLE_BEFORE = 20;
const PEOPLE_AFTER = 60;
/** Above all who come before the last fault is gone, and below all who come. */
const LIMIT = 70;
const OVERLAP = "a second fault came while the first lasted";
const SPREAD_AFTER_MS = 500;
const DEADLINE_MS = 40_000;
const SETTLED_MS_MAX = 10_000;
/** L3 of the slowest engine that was away. */
const GOOD_CLAIM_MS_MAX: Readonly<Record<Mechanism, number>> = {
  "row-lock": 5_000,
  "redis-counter": 5_000,
  "kafka-queue": 15_000,
};

/** The faults that every mechanism can meet. */
const everywhere = ["A8", "P2", "P4", "P5"] as const;
/** v2's own beside v3's own. */
const own = [
  ["A4", "K12"],
  ["R2", "K1"],
  ["R3", "K4"],
  ["R6", "K10"],
] as const;

const slots: readonly Slot[] = [
  ...everywhere.map((name) => ({ "redis-counter": name, "kafka-queue": name })),
  ...own.map(([counter, queue]) => ({ "redis-counter": counter, "kafka-queue": queue })),
];

/** v1: 6 pairs of four faults. */
export const rowLockPairs: readonly Pair[] = pairsOf(
  everywhere.map((name): Slot => ({ "row-lock": name })),
);

/** v2 and v3: 28 pairs of eight faults each. */
export const otherPairs: readonly Pair[] = pairsOf(slots);

function pairsOf(all: readonly Slot[]): readonly Pair[] {
  return all.flatMap((one, n) => all.slice(n + 1).map((other): Pair => [one, other]));
}

type RowSale = PairSale & {
  readonly row: Row;
  readonly told: Attempt[];
  readonly observer: Observer;
};

type Open = { readonly fault: PairFault; readonly sales: readonly RowSale[] };

export function titleOf(pair: Pair): string {
  const names = (slot: Slot): string => [...new Set(Object.values(slot))].join(" | ");
  return `${names(pair[0])} with ${names(pair[1])}`;
}

export async function runRound(
  t: TestContext,
  open: () => Promise<PairPlace>,
  { row: name, pair }: { readonly row: string; readonly pair: Pair },
): Promise<void> {
  const rows = rowsOf(t, name, pair);
  const place = await open();
  await untilWhole(place);
  const sales: RowSale[] = [];
  for (const [mechanism, row] of rows) {
    const sale = await openSale(place.program, { mechanism, limit: LIMIT });
    const observer = observe(sale, mechanism === "redis-counter" ? place.redis.url : null);
    // Ended in any case, or a fault that could not be injected would leave it reading for ever.
    t.after(async () => observer.end());
    sales.push({ sale, row, bursts: [], told: [], observer });
  }
  const { bytes: fileBytes } = appendOnlyFile(place.redis);
  for (const { sale, told } of sales)
    told.push(...(await claimAtOnce(sale, people(PEOPLE_BEFORE))));
  const [first] = sales;
  const ordered = first!.row.random() < 0.5 ? pair : pair.toReversed();
  await injectAll(place, { slots: ordered, sales, fileBytes });
  const healedMs = performance.now();
  const outcomes = await Promise.allSettled(sales.map(async (one) => endOf(place, one, healedMs)));
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
}

/** A row for each mechanism, by one seed: they share the order. */
function rowsOf(t: TestContext, name: string, pair: Pair): readonly (readonly [Mechanism, Row])[] {
  const rows: [Mechanism, Row][] = [];
  for (const mechanism of Object.keys(pair[0]) as Mechanism[]) {
    const fault = `${pair[0][mechanism]} and ${pair[1][mechanism]} in one sale`;
    const seed = rows[0]?.[1].seed;
    const about = { row: name, mechanism, fault, ...(seed === undefined ? {} : { seed }) };
    rows.push([mechanism, faultRow(t, about)]);
  }
  return rows;
}

async function injectAll(
  place: PairPlace,
  course: {
    readonly slots: readonly Slot[];
    readonly sales: readonly RowSale[];
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
      if (taken().size > 0) for (const { row } of course.sales) row.met(OVERLAP);
      for (const one of next) {
        // Healed whatever becomes of it: the next round needs this place whole.
        opens.push({ ...one, fault: { ...one.fault, takes: [] } });
        await one.fault.inject(roundOf(one));
        opens = [...opens.slice(0, -1), one];
        for (const { row } of one.sales) row.injected();
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
function opensOf(slot: Slot, sales: readonly RowSale[]): readonly Open[] {
  const names = [...new Set([slot["kafka-queue"], slot["redis-counter"], slot["row-lock"]])];
  return names
    .filter((name) => name !== undefined)
    .map((name) => ({
      fault: pairFault(name),
      sales: sales.filter(({ sale }) => slot[sale.mechanism] === name),
    }));
}

/** The deadlines from the moment of healing, and the referee over all that anybody was told. */
async function endOf(place: PairPlace, one: RowSale, healedMs: number): Promise<void> {
  const { sale, row, told, bursts } = one;
  const { mechanism } = sale;
  const options = { spreadMs: SPREAD_AFTER_MS, deadlineMs: DEADLINE_MS };
  const after = await claimUntilAnswered(sale, people(PEOPLE_AFTER), options);
  told.push(...(await Promise.all(bursts)).flat(), ...after);
  const left = new Set(told.filter(isFault).map(({ person }) => person));
  told.push(...(await claimUntilAnswered(sale, [...left], options)));
  assertAnswered(told);
  // Who comes later than the healing is served later: from the last answer on.
  const lastMs = Math.max(healedMs, ...told.map(({ returnedMs }) => returnedMs));
  const { L1 = Number.NaN, L4 = Number.NaN } = await recovery(place, sale, lastMs);
  const L3 = firstGoodMs(after, healedMs);
  const reached = { L1, L3, L4 };
  const most = { L1: SETTLED_MS_MAX, L3: GOOD_CLAIM_MS_MAX[mechanism], L4: SETTLED_MS_MAX };
  for (const deadline of ["L1", "L3", "L4"] as const) {
    const ms = Math.round(reached[deadline]);
    row.recovered(deadline, ms);
    assert.ok(ms <= most[deadline], `${mechanism}: ${deadline} took ${ms} of ${most[deadline]} ms`);
  }
  await endSale(sale, { row, told, brokers: place.broker.broker });
  row.recovered("L2", Math.round(performance.now() - healedMs));
  assert.equal((await readStored(sale)).rows.length, LIMIT, mechanism);
  const { readings, wrong: seen } = await one.observer.end();
  assert.deepEqual(seen, [], mechanism);
  assert.ok(readings > 0, "the observer saw nothing");
}

function isFault({ outcome }: Attempt): boolean {
  return outcome === "refused" || outcome === "unknown";
}
