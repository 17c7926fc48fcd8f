// Metrics of the facts that adapters publish while they work.
import { Counter, Histogram } from "prom-client";
import type { Registry } from "prom-client";

/** The shape of infrastructure's `FactListeners`: serve.ts hands one to the other. */
export type FactMetrics = {
  readonly batch: (fact: { readonly kind: string; readonly size: number }) => void;
  readonly roundTrip: (fact: {
    readonly engine: string;
    readonly operation: string;
    readonly durationMs: number;
  }) => void;
  readonly rowLockWait: (fact: { readonly durationMs: number }) => void;
  readonly estimateError: (fact: { readonly errorMs: number }) => void;
  readonly repair: (fact: { readonly kind: RepairKind; readonly count: number }) => void;
  readonly recovery: (fact: { readonly kind: RecoveryKind }) => void;
  readonly failure: (fact: { readonly part: FailedPart }) => void;
};

/** Known beforehand, so that a series starts at 0 and its first increase is seen as one. */
const OPERATIONS = {
  postgres: ["query", "transaction"],
  redis: ["claim", "merge", "rebuild", "delete", "ping"],
  kafka: ["produce", "fetch", "metadata"],
};
const REPAIR_KINDS = ["rows-written", "merged", "refused"] as const;
const RECOVERY_KINDS = [
  "decider-takeover",
  "reconciler-takeover",
  "queue-resume",
  "redis-rebuild",
] as const;
const BACKGROUND_PARTS = [
  "connection",
  "clock",
  "leadership",
  "reconciler",
  "survey",
  "patrol",
  "decider",
  "retirement",
  "directory",
  "issue-counts",
  "unforeseen",
] as const;
type FailedPart = (typeof BACKGROUND_PARTS)[number];
type RepairKind = (typeof REPAIR_KINDS)[number];
type RecoveryKind = (typeof RECOVERY_KINDS)[number];

const BATCH_BUCKETS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000];
/** A script in Redis takes less than the first bucket of an answer. */
const QUICK_BUCKETS_SECONDS = [0.000_1, 0.000_25, 0.000_5];
/** A good estimate is a second off, a useless one minutes. */
const ERROR_BUCKETS_SECONDS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

export function factMetrics(
  registry: Registry,
  latencyBuckets: readonly number[],
  batches: readonly string[],
): FactMetrics {
  const registers = [registry];
  const batchSize = new Histogram({
    name: "stampede_batch_size",
    help: "Claims carried by one database transaction, Redis script or Kafka produce request.",
    labelNames: ["kind"],
    buckets: BATCH_BUCKETS,
    registers,
  });
  const roundTrips = new Histogram({
    name: "stampede_round_trip_seconds",
    help: "From a question to an engine until it had answered or the question was given up.",
    labelNames: ["engine", "operation"],
    buckets: [...QUICK_BUCKETS_SECONDS, ...latencyBuckets],
    registers,
  });
  const rowLockWaits = new Histogram({
    name: "stampede_row_lock_wait_seconds",
    help: "From asking for the event row's lock to having it (row-lock claims).",
    buckets: [...latencyBuckets],
    registers,
  });
  const estimateErrors = new Histogram({
    name: "stampede_queue_estimate_error_seconds",
    help: "How far the wait told with a ticket was from the true one, for a sample of tickets.",
    buckets: ERROR_BUCKETS_SECONDS,
    registers,
  });
  const repairs = new Counter({
    name: "stampede_reconciler_repairs_total",
    help: "What redis-counter found missing between Redis and the rows and mended, by kind.",
    labelNames: ["kind"],
    registers,
  });
  const recoveries = new Counter({
    name: "stampede_recoveries_total",
    help: "Work taken up again after a failure, by kind.",
    labelNames: ["kind"],
    registers,
  });
  const failures = new Counter({
    name: "stampede_background_failures_total",
    help: "Background work that failed or was refused and is tried again, by part.",
    labelNames: ["part"],
    registers,
  });
  for (const kind of batches) batchSize.zero({ kind });
  for (const [engine, operations] of Object.entries(OPERATIONS)) {
    for (const operation of operations) roundTrips.zero({ engine, operation });
  }
  for (const kind of REPAIR_KINDS) repairs.inc({ kind }, 0);
  for (const kind of RECOVERY_KINDS) recoveries.inc({ kind }, 0);
  for (const part of BACKGROUND_PARTS) failures.inc({ part }, 0);
  return {
    batch: ({ kind, size }) => batchSize.observe({ kind }, size),
    roundTrip: ({ engine, operation, durationMs }) =>
      roundTrips.observe({ engine, operation }, durationMs / 1_000),
    rowLockWait: ({ durationMs }) => rowLockWaits.observe(durationMs / 1_000),
    estimateError: ({ errorMs }) => estimateErrors.observe(errorMs / 1_000),
    repair: ({ kind, count }) => repairs.inc({ kind }, count),
    recovery: ({ kind }) => recoveries.inc({ kind }),
    failure: ({ part }) => failures.inc({ part }),
  };
}
