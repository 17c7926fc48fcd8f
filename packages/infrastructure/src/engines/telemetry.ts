// What adapters tell of their work, over `node:diagnostics_channel`: they do not know who listens, or
// whether anybody does. A fact is published for a batch, for one call of an engine, or for something
// rare; never for a single claim of a crowd that shares a call.
import { channel } from "node:diagnostics_channel";

/** What one transaction, script or produce request carried. */
export type BatchFact = {
  readonly fact: "batch";
  readonly kind: "group-commit" | "redis-script" | "redis-rows" | "kafka-produce" | "kafka-decide";
  /** Claims. */
  readonly size: number;
};

/**
 * A question to an engine that repeats. `transaction` is from BEGIN to the answer to COMMIT, without
 * the wait for a connection; `fetch` is a long poll that brought records, the wait for the first of
 * them included.
 */
export type RoundTrip =
  | { readonly engine: "postgres"; readonly operation: "query" | "transaction" }
  /** A script by its name, or "ping". */
  | { readonly engine: "redis"; readonly operation: string }
  | { readonly engine: "kafka"; readonly operation: "produce" | "fetch" | "metadata" };

/** How long it took until the engine had answered, or the call was given up. */
export type RoundTripFact = RoundTrip & {
  readonly fact: "round-trip";
  readonly durationMs: number;
};

/** How long a claim of v1 waited for the event row's lock that it then had. */
export type RowLockWaitFact = { readonly fact: "row-lock-wait"; readonly durationMs: number };

/** How far the wait told with a ticket was from the true one, for a sample of tickets. */
export type EstimateErrorFact = { readonly fact: "estimate-error"; readonly errorMs: number };

/**
 * What was found missing between Redis and the rows and mended: `rows-written` are reservations
 * written by somebody else than who made them, `merged` are rows that Redis was told of, `refused` are
 * reservations that no coupon was left for: Redis had lost some and let others in.
 */
export type RepairFact = {
  readonly fact: "repair";
  readonly kind: "rows-written" | "merged" | "refused";
  readonly count: number;
};

/**
 * Work that was taken up again after a failure. A takeover: a duty that another process had, or that
 * this one had lost. `queue-resume`: a queue decided from its committed mark on after a fault.
 * `redis-rebuild`: an event's persons built anew in Redis from the rows.
 */
export type RecoveryFact = {
  readonly fact: "recovery";
  readonly kind: "decider-takeover" | "reconciler-takeover" | "queue-resume" | "redis-rebuild";
};

/** Work that nobody waits for, so that nobody is told when it fails. */
export type BackgroundPart =
  | "connection"
  | "clock"
  | "leadership"
  | "reconciler"
  | "survey"
  | "patrol"
  | "decider"
  | "retirement"
  | "directory"
  | "issue-counts";

/** It failed or was refused, and is tried again. Whoever repeats it publishes it each time. */
export type FailureFact = {
  readonly fact: "failure";
  readonly part: BackgroundPart;
  readonly error: unknown;
};

type Fact =
  | BatchFact
  | RoundTripFact
  | RowLockWaitFact
  | EstimateErrorFact
  | RepairFact
  | RecoveryFact
  | FailureFact;

/** One function for each kind of fact. It must not throw, and not take long. */
export type FactListeners = {
  readonly batch: (fact: BatchFact) => void;
  readonly roundTrip: (fact: RoundTripFact) => void;
  readonly rowLockWait: (fact: RowLockWaitFact) => void;
  readonly estimateError: (fact: EstimateErrorFact) => void;
  readonly repair: (fact: RepairFact) => void;
  readonly recovery: (fact: RecoveryFact) => void;
  readonly failure: (fact: FailureFact) => void;
};

const facts = channel("stampede:fact");

/** Hears of everything from now on. Gives the function that ends it. */
export function listenToFacts(listeners: FactListeners): () => void {
  const listener = (message: unknown): void => {
    if (isFact(message)) tell(listeners, message);
  };
  facts.subscribe(listener);
  return () => {
    facts.unsubscribe(listener);
  };
}

export function publishBatch(kind: BatchFact["kind"], size: number): void {
  if (facts.hasSubscribers) publish({ fact: "batch", kind, size });
}

export function publishRoundTrip(roundTrip: RoundTrip, startedAtMs: number): void {
  if (!facts.hasSubscribers) return;
  publish({ ...roundTrip, fact: "round-trip", durationMs: performance.now() - startedAtMs });
}

export function publishRowLockWait(durationMs: number): void {
  if (facts.hasSubscribers) publish({ fact: "row-lock-wait", durationMs });
}

export function publishEstimateError(errorMs: number): void {
  if (facts.hasSubscribers) publish({ fact: "estimate-error", errorMs });
}

/** Nothing to repair is no fact. */
export function publishRepair(kind: RepairFact["kind"], count: number): void {
  if (facts.hasSubscribers && count > 0) publish({ fact: "repair", kind, count });
}

export function publishRecovery(kind: RecoveryFact["kind"]): void {
  if (facts.hasSubscribers) publish({ fact: "recovery", kind });
}

export function publishFailure(part: BackgroundPart, error: unknown): void {
  if (facts.hasSubscribers) publish({ fact: "failure", part, error });
}

/** Runs it and publishes how long it took, whatever came of it. */
export async function timed<Value>(
  roundTrip: RoundTrip,
  run: () => Promise<Value>,
): Promise<Value> {
  const startedAtMs = performance.now();
  try {
    return await run();
  } finally {
    publishRoundTrip(roundTrip, startedAtMs);
  }
}

function publish(fact: Fact): void {
  facts.publish(fact);
}

/** Nobody else publishes on this channel. */
function isFact(message: unknown): message is Fact {
  return typeof message === "object" && message !== null && "fact" in message;
}

function tell(listeners: FactListeners, fact: Fact): void {
  switch (fact.fact) {
    case "batch":
      return listeners.batch(fact);
    case "round-trip":
      return listeners.roundTrip(fact);
    case "row-lock-wait":
      return listeners.rowLockWait(fact);
    case "estimate-error":
      return listeners.estimateError(fact);
    case "repair":
      return listeners.repair(fact);
    case "recovery":
      return listeners.recovery(fact);
    case "failure":
      return listeners.failure(fact);
  }
}
