// What one `npm run lab -- compare` writes as JSON, and the report reads. Times are milliseconds
// unless the name says otherwise; a null is "could not be measured here", never zero.
import type { Outcome } from "../crowd/history.ts";
import type { Watching } from "../crowd/run-sale.ts";
import type { Mechanism } from "../mechanisms.ts";

/**
 * One who answers: a mechanism by its name, the empty handler ("ceiling"), or somebody else's system
 * ("target").
 */
export type Subject = string;

export const comparisonFormat = "stampede-comparison-2";

export type Comparison = {
  readonly format: typeof comparisonFormat;
  readonly scenario: Scenario;
  readonly environment: Environment;
  readonly subjects: readonly Subject[];
  /** The mechanisms among the subjects, as the server tells of them, in order of version. */
  readonly mechanisms: readonly Pick<Mechanism, "name" | "version" | "title" | "summary">[];
  /** Every run that was made, void ones too, in the order they ran. */
  readonly runs: readonly Run[];
  /** Which subjects were compared with themselves, to learn what difference is only noise. */
  readonly sameAgainstSame: readonly SameAgainstSame[];
  /** Somebody else's system, where one came along; it is judged by its answers alone. */
  readonly target: { readonly name: string; readonly url: string } | null;
};

export type Scenario = {
  readonly name: string;
  readonly description: string;
  readonly people: number;
  readonly limit: number;
  /** Claims that each person sends. */
  readonly claimsPerPerson: number;
  /** Arrivals per second, spread by the seed; null: all at one instant. */
  readonly perSecond: number | null;
  /** A queue's pace in tickets per second; 0: it rests until everybody is answered; null: none. */
  readonly pace: number | null;
  /** People who had bought everything before the measured crowd came; 0: nobody. */
  readonly earlierPeople: number;
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
  /** What the engines promise to keep, such as "postgres synchronous_commit": "on". */
  readonly durability: Readonly<Record<string, string>>;
};

export type Run = {
  readonly subject: Subject;
  /** From 1. The order of subjects is reversed in every second round. */
  readonly round: number;
  /** The second half of an A/A pair: shown, but in no median; see `sameAgainstSame`. */
  readonly twin: boolean;
  readonly eventId: string;
  readonly verdict: RunVerdict;
  readonly outcomes: Readonly<Record<Outcome, number>>;
  /** All answers, by the time from the first claim to the last answer. Null unless right. */
  readonly answersPerSecond: number | null;
  /** Issued coupons, by the time from the first claim until `durableMs`. Null: none, or not right. */
  readonly issuedPerSecond: number | null;
  readonly lastAnswerMs: number;
  /** Until everybody had a final verdict; for a queue that is later than the last answer. */
  readonly lastVerdictMs: number | null;
  /**
   * Until the last row was written, by the database's clock: its `issued_at`, which is read in the
   * very transaction that commits the row, so the commit itself comes a few milliseconds later.
   */
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
  readonly cpuMicrosPerClaim: Readonly<Record<string, Cpu>>;
  /** Requests to an engine per claim: postgres transactions, redis scripts, kafka produce and fetch. */
  readonly roundTripsPerClaim: Readonly<Record<string, number>>;
  readonly serverMemoryMiB: { readonly before: number; readonly max: number } | null;
  readonly eventLoopDelayMs: {
    readonly p50: number;
    readonly p99: number;
    readonly max: number;
  } | null;
  readonly fairness: Fairness | null;
  readonly generator: Generator;
  /** Coupon issues counted by SQL, of all crowds of the event; null where there is no database. */
  readonly issuedRows: number | null;
  /** People who watched the stream meanwhile; null: nobody was to. */
  readonly watching: Watching | null;
};

/** Of a process and all its children, in its own code and in the kernel. */
export type Cpu = { readonly user: number; readonly system: number };

/** How hard the crowd's own process had to work: a run it could not keep up with is void. */
type Generator = {
  /** From when a claim was due until it was written. */
  readonly lateMs: { readonly p99: number; readonly max: number };
  /** CPU of its one thread by the time until the last answer, 0 to 1. */
  readonly cpuShare: number;
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

/**
 * How far the order of issue (`seq`, which in v3 follows the tickets) differs from the order of
 * arrival (first sending). Whoever got nothing comes after everybody who got a coupon.
 */
export type Fairness = {
  /** Pairs out of order, as a share of all pairs in which somebody got a coupon, 0 to 1. */
  readonly inversions: number;
  /** Places between a coupon holder's arrival among all people and their `seq`, absolute. */
  readonly displacement: { readonly p50: number; readonly p99: number; readonly max: number };
  /** Coupons that went to somebody who was not among the first `limit` to arrive. */
  readonly changedHands: number;
  readonly limit: number;
};

/** What a subject is compared with itself in. */
export type NoiseMeasure = "answers" | "server-cpu";

export type SameAgainstSame = {
  readonly subject: Subject;
  /** Answers per second, or the server's CPU per claim. */
  readonly measure: NoiseMeasure;
  /** First half of the pair by its twin, for each round where both are right. */
  readonly ratios: readonly number[];
  /** The smallest difference from 1 that may be claimed: how far their median is noise (noise.ts). */
  readonly smallestClaim: number;
};
