// What one `npm run lab -- compare` writes as JSON, and the report reads. Times are milliseconds
// unless the name says otherwise; a null is "could not be measured here", never zero.
import type { Mechanism, Outcome } from "../crowd/history.ts";

/** One who answers: a mechanism of the service, the empty handler, or somebody else's system. */
export type Subject = Mechanism | "ceiling" | "target";

export type Comparison = {
  readonly format: "stampede-comparison-1";
  readonly scenario: Scenario;
  readonly environment: Environment;
  readonly subjects: readonly Subject[];
  /** Every run that was made, void ones too, in the order they ran. */
  readonly runs: readonly Run[];
  /** Which subjects were compared with themselves, to learn what difference is only noise. */
  readonly sameAgainstSame: readonly SameAgainstSame[];
};

export type Scenario = {
  readonly name: string;
  readonly description: string;
  readonly people: number;
  readonly limit: number;
  /** Claims that each person sends. */
  readonly claimsPerPerson: number;
  readonly seed: number;
};

export type Environment = {
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  readonly command: string;
  readonly commit: string;
  /** Whether files differed from the commit. */
  readonly dirty: boolean;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGib: number;
  readonly platform: string;
  /** By name: node, postgres, redis, kafka, ... */
  readonly versions: Readonly<Record<string, string>>;
};

export type Run = {
  readonly subject: Subject;
  /** From 1. The order of subjects is reversed in every second round. */
  readonly round: number;
  readonly eventId: string;
  readonly verdict: RunVerdict;
  readonly outcomes: Readonly<Record<Outcome, number>>;
  /** All answers, by the time from the first claim to the last answer. */
  readonly answersPerSecond: number;
  /** Issued coupons, by the time from the first claim until the last row was committed. Null: none. */
  readonly issuedPerSecond: number | null;
  readonly lastAnswerMs: number;
  /** Until everybody had a final verdict; for a queue that is later than the last answer. */
  readonly lastVerdictMs: number | null;
  /** Until the last row was committed, by the server's clock. */
  readonly durableMs: number | null;
  /** From the intended time of each claim to its answer. */
  readonly latencyMs: Latency;
  /** How many answers came in each slice since the first claim; slices are `sliceMs` long. */
  readonly sliceMs: number;
  readonly answersPerSlice: readonly number[];
  /** From the first to the last claim of an instant; null where arrivals are spread on purpose. */
  readonly firingSkewMs: number | null;
  /** Of the machine, during the run; null where the kernel does not tell. */
  readonly listenOverflows: number | null;
  /** Microseconds of CPU per claim, by process: server, crowd, postgres, redis, kafka. */
  readonly cpuMicrosPerClaim: Readonly<Record<string, number>>;
  /** Requests to an engine per claim: postgres transactions, redis scripts, kafka produce and fetch. */
  readonly roundTripsPerClaim: Readonly<Record<string, number>>;
  readonly serverMemoryMiB: { readonly before: number; readonly max: number } | null;
  readonly eventLoopDelayMs: { readonly p50: number; readonly p99: number; readonly max: number } | null;
  readonly fairness: Fairness | null;
};

export type RunVerdict =
  | { readonly kind: "right" }
  /** The sale was wrong: this run has no throughput. */
  | { readonly kind: "wrong"; readonly violations: readonly string[] }
  /** The sale was right, but the figures are not the server's: generator bound, connections dropped. */
  | { readonly kind: "void"; readonly reasons: readonly string[] };

export type Latency = {
  readonly p50: number;
  readonly p90: number;
  readonly p95: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
  /** Ascending upper edges and the counts up to and including each: the distribution for plots. */
  readonly histogram: readonly { readonly upToMs: number; readonly count: number }[];
};

/** How far the order of issue (`seq`, or the ticket) differs from the order of arrival (sent). */
export type Fairness = {
  /** Pairs of people out of order, as a share of all pairs, 0 to 1. */
  readonly inversions: number;
  /** Places between somebody's arrival and somebody's number, absolute. */
  readonly displacement: { readonly p50: number; readonly p99: number; readonly max: number };
  /** Coupons that went to somebody who was not among the first `limit` to arrive. */
  readonly changedHands: number;
  readonly limit: number;
};

export type SameAgainstSame = {
  readonly subject: Subject;
  /** Ratio of answers per second, first half of the pair by the second, one for each round. */
  readonly ratios: readonly number[];
  /** The smallest difference from 1 that may be claimed: beyond the widest of these ratios. */
  readonly smallestClaim: number;
};
