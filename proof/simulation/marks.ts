// What has to happen in some sale of a run, or the run has shown nothing: the "sometimes" marks that
// can be met without real engines.
import type { Mechanism } from "@stampede/domain";
import { listenToFacts } from "@stampede/infrastructure";
import type { Attempt } from "@stampede/referee";
import type { Engines } from "./fleet.ts";
import { reservation } from "./observer.ts";
import type { Observer } from "./observer.ts";

/** Those that a full run of this mechanism has to meet. */
export function marksOf(mechanism: Mechanism): readonly string[] {
  return [...(MARKS[mechanism] ?? []), ...Object.values(MANY)];
}

/** Of worlds of several sales. */
export const MANY = {
  over: "a sale was over before the faults",
  made: "an event was made while something was wrong",
  broken: "a broken event beside others",
  calm: "a broken event, and nothing else was wrong",
} as const;

const MARKS: Readonly<Record<Mechanism, readonly string[]>> = {
  "row-lock": [
    "COMMIT reply lost after the commit",
    "COMMIT answered by ROLLBACK",
    "retry after unknown found its own row",
    "unknown that was not applied",
    "40001",
    "lock_timeout",
  ],
  "group-commit": [
    "COMMIT reply lost after the commit",
    "COMMIT answered by ROLLBACK",
    "several claims in one transaction",
    "issued by a COMMIT whose reply was lost",
    "retry after unknown found its own row",
    "unknown that was not applied",
    "40001",
    "lock_timeout",
  ],
  "redis-counter": [
    "COMMIT reply lost after the commit",
    "COMMIT answered by ROLLBACK",
    "crash between reservation and commit",
    "rebuild with claims in flight",
    "reconciler wrote a reservation",
    "row merged into Redis",
    "Redis forgot a finished sale",
    "reconciler taken over",
    "reservation refused by the guard",
    "claim waited for the rows",
    "claim came after Redis had forgotten the sale",
    "retry after unknown found its own row",
    "unknown that was not applied",
    "NOSCRIPT",
    "40001",
  ],
  "kafka-queue": [
    "COMMIT reply lost after the commit",
    "duplicate person in the log",
    "stale decider fenced",
    "decider taken over",
    "queue resumed after a fault",
    "batch split across the last coupon",
    "sold out told while records were undecided",
    "retry after unknown found its own row",
    "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
    "record rejected",
  ],
};

export type Marks = { readonly met: Set<string>; readonly end: () => void };

const REPAIRS = {
  "rows-written": "reconciler wrote a reservation",
  merged: "row merged into Redis",
  refused: "reservation refused by the guard",
} as const;

const RECOVERIES = {
  "decider-takeover": "decider taken over",
  "reconciler-takeover": "reconciler taken over",
  "queue-resume": "queue resumed after a fault",
  "redis-rebuild": "Redis rebuilt",
} as const;

/** Hears of what the adapters tell of their work, in this thread's one sale. */
export function collectMarks(): Marks {
  const met = new Set<string>();
  const nothing = (): void => undefined;
  const end = listenToFacts({
    batch: ({ kind, size }) => {
      if (kind === "group-commit" && size > 1) met.add("several claims in one transaction");
    },
    roundTrip: nothing,
    rowLockWait: nothing,
    estimateError: nothing,
    repair: ({ kind }) => void met.add(REPAIRS[kind]),
    failure: nothing,
    recovery: ({ kind }) => void met.add(RECOVERIES[kind]),
  });
  return { met, end };
}

/** What the history and the engines show in the end. */
export function noteEnd(
  met: Set<string>,
  {
    database,
    broker,
    history,
    reserved,
    lostCommitsMs,
  }: Engines & Omit<Observer, "violations"> & { readonly history: readonly Attempt[] },
): void {
  if (
    history.some(
      ({ eventId, person, outcome }) =>
        outcome === "sold-out" && reserved.has(reservation(eventId, person)),
    )
  ) {
    met.add("reservation refused by the guard");
  }
  for (const { eventId, person, outcome } of history) {
    const row = outcome === "issued" ? database.tables.mine(eventId, person) : undefined;
    if (row !== undefined && lostCommitsMs.has(row.committedMs)) {
      met.add("issued by a COMMIT whose reply was lost");
    }
  }
  for (const attempts of Map.groupBy(history, (attempt) =>
    reservation(attempt.eventId, attempt.person),
  ).values()) {
    const unknown = attempts.findIndex(
      ({ kind, outcome }) => kind === "claim" && outcome === "unknown",
    );
    if (unknown === -1) continue;
    const next = new Set(attempts.slice(unknown + 1).map(({ outcome }) => outcome));
    if (!next.has("issued") && next.has("replay")) {
      met.add("retry after unknown found its own row");
    }
    if (next.has("issued")) met.add("unknown that was not applied");
  }
  for (const { records } of broker.logs.values()) {
    const persons = records.flatMap(({ key }) => (key === null ? [] : [key.toString()]));
    if (new Set(persons).size < persons.length) met.add("duplicate person in the log");
  }
  for (const rejected of database.tables.rejected.values()) {
    if (rejected.size > 0) met.add("record rejected");
  }
}
