// A FIXTURE: a comparison that never ran. Its figures are made up by a formula, in the size of what
// a small machine gives, so that the report can be tested and looked at. Nothing here is a result.
import type { Comparison } from "@stampede/lab/report";

type Run = Comparison["runs"][number];
type Subject = Run["subject"];
type Sizes = {
  readonly perSecond: number;
  readonly issuedPerSecond: number | null;
  readonly cpu: Readonly<Record<string, number>>;
  readonly trips: Readonly<Record<string, number>>;
  readonly displaced: number | null;
};

const people = 10_000;
const limit = 100;

const sizes: Readonly<Record<Subject, Sizes>> = {
  "row-lock": {
    perSecond: 1_130,
    issuedPerSecond: 560,
    cpu: { server: 410, crowd: 62, postgres: 690 },
    trips: { postgres: 1 },
    displaced: 9,
  },
  "redis-counter": {
    perSecond: 9_240,
    issuedPerSecond: 4_900,
    cpu: { server: 71, crowd: 55, postgres: 3.1, redis: 6.4 },
    trips: { postgres: 0.0004, redis: 0.0041 },
    displaced: 31,
  },
  "kafka-queue": {
    perSecond: 8_900,
    issuedPerSecond: 3_100,
    cpu: { server: 78, crowd: 57, postgres: 2.2, kafka: 39 },
    trips: { postgres: 0.0009, kafka: 0.0068 },
    displaced: 38,
  },
  ceiling: {
    perSecond: 10_350,
    issuedPerSecond: null,
    cpu: { server: 52, crowd: 54 },
    trips: {},
    displaced: null,
  },
  "group-commit": {
    perSecond: 9_050,
    issuedPerSecond: 5_200,
    cpu: { server: 63, crowd: 55, postgres: 4.4 },
    trips: { postgres: 0.002 },
    displaced: 22,
  },
  target: { perSecond: 2_400, issuedPerSecond: null, cpu: {}, trips: {}, displaced: null },
};

/** As a server would tell of them; the last one is of nobody's list. */
const mechanisms: Comparison["mechanisms"] = [
  { name: "row-lock", version: "v1", title: "Row lock", summary: "locks the event's row" },
  { name: "redis-counter", version: "v2", title: "Redis counter", summary: "counts in Redis" },
  { name: "kafka-queue", version: "v3", title: "Kafka queue", summary: "answers with a place" },
  { name: "group-commit", version: "v4", title: "Group commit", summary: "locks once for many" },
];

/** About 1, and the same every time: a test that draws lots cannot be repeated. */
function wobble(subject: Subject, round: number): number {
  const noise = Math.sin(subject.length * 12.9 + round * 78.2) * 43_758.5;
  return 0.95 + 0.1 * (noise - Math.floor(noise));
}

/** A right run of a made-up size; `change` replaces what a test is about. */
export function fixtureRun(subject: Subject, round: number, change: Partial<Run> = {}): Run {
  const { perSecond, issuedPerSecond, cpu, trips, displaced } = sizes[subject]!;
  const answersPerSecond = perSecond * wobble(subject, round);
  const lastAnswerMs = (people / answersPerSecond) * 1_000;
  const issued = issuedPerSecond === null ? 0 : limit;
  return {
    subject,
    round,
    twin: false,
    eventId: `fixture-${subject}-${round}`,
    verdict: { kind: "right" },
    outcomes: {
      issued: subject === "kafka-queue" ? 0 : issued,
      replay: 0,
      "sold-out": subject === "kafka-queue" ? 0 : people - issued,
      voided: 0,
      queued: subject === "kafka-queue" ? people : 0,
      refused: 0,
      unknown: 0,
      none: 0,
    },
    answersPerSecond,
    issuedPerSecond: issuedPerSecond === null ? null : issuedPerSecond * wobble(subject, round + 3),
    lastAnswerMs,
    lastVerdictMs: subject === "kafka-queue" ? lastAnswerMs * 1.12 : lastAnswerMs,
    durableMs:
      issuedPerSecond === null ? null : (limit / issuedPerSecond) * 1_000 * wobble(subject, round),
    latencyMs: latency(lastAnswerMs),
    sliceMs: 50,
    answersPerSlice: slices(lastAnswerMs),
    firingSkewMs: 38.4 * wobble(subject, round),
    listenOverflows: 0,
    cpuMicrosPerClaim: Object.fromEntries(
      Object.entries(cpu).map(([name, micros]) => {
        const whole = micros * wobble(subject, round);
        return [name, { user: whole * 0.75, system: whole * 0.25 }];
      }),
    ),
    roundTripsPerClaim: trips,
    serverMemoryMiB: { before: 92.4, max: 231.7 * wobble(subject, round) },
    eventLoopDelayMs: { p50: 10.6, p99: 41.2 * wobble(subject, round), max: 187.3 },
    fairness:
      displaced === null
        ? null
        : {
            inversions: 0.0021 * displaced * wobble(subject, round),
            displacement: {
              p50: Math.round(displaced * wobble(subject, round)),
              p99: Math.round(displaced * 7 * wobble(subject, round + 1)),
              max: Math.round(displaced * 11 * wobble(subject, round + 2)),
            },
            changedHands: Math.round(displaced * 0.9 * wobble(subject, round + 4)),
            limit,
          },
    generator: { lateMs: { p99: 3.1, max: 9.7 }, cpuShare: 0.61 * wobble(subject, round) },
    issuedRows: issued,
    watching: null,
    ...change,
  };
}

/** A small comparison of exactly these runs. */
export function fixtureComparison(change: Partial<Comparison> = {}): Comparison {
  return {
    format: "stampede-comparison-2",
    scenario: {
      name: "rush (fixture)",
      description:
        "Made-up figures for tests: ten thousand people, a hundred coupons, one instant.",
      people,
      limit,
      claimsPerPerson: 1,
      perSecond: null,
      pace: null,
      earlierPeople: 0,
      seed: 20_261_201,
    },
    environment: {
      startedAt: "2026-12-01T09:30:00.000Z",
      command: "npm run lab -- compare rush --rounds 5",
      commit: "0123456789abcdef0123456789abcdef01234567",
      dirty: false,
      cpu: "Made-up CPU at 2.5 GHz",
      cores: 2,
      memoryGib: 7.8,
      platform: "linux x64",
      versions: { node: "26.10.0", postgres: "18.4", redis: "6.2.6", kafka: "4.1.0" },
      durability: { "postgres synchronous_commit": "on", "redis appendfsync": "always" },
    },
    subjects: ["ceiling", "row-lock", "redis-counter", "kafka-queue"],
    mechanisms,
    runs: [],
    sameAgainstSame: [],
    target: null,
    ...change,
  };
}

/** Five rounds, one void run, one wrong one, an A/A pair: all that the report can have to show. */
export function fullFixture(): Comparison {
  const subjects = ["ceiling", "row-lock", "redis-counter", "kafka-queue", "group-commit"];
  const rounds = [1, 2, 3, 4, 5].flatMap((round) => {
    const order = round % 2 === 0 ? subjects.toReversed() : subjects;
    return order.map((subject) => fixtureRun(subject, round));
  });
  const runs = rounds.map((run) => {
    if (run.subject === "ceiling" && run.round === 3) return { ...run, ...voided };
    if (run.subject === "kafka-queue" && run.round === 4) return { ...run, ...broken };
    return run;
  });
  const twin = fixtureRun("redis-counter", 5, { twin: true, eventId: "fixture-twin" });
  return fixtureComparison({
    subjects,
    runs: [...runs, twin],
    sameAgainstSame: pairsOf("redis-counter", [1.04, 0.97, 1.06]),
  });
}

/** A subject against itself, alike in both measures. */
export function pairsOf(
  subject: Subject,
  ratios: readonly number[],
): Comparison["sameAgainstSame"] {
  const smallestClaim = Math.max(...ratios.map((ratio) => Math.max(ratio, 1 / ratio) - 1));
  const measures = ["answers", "server-cpu"] as const;
  return measures.map((measure) => ({ subject, measure, ratios, smallestClaim }));
}

const voided: Partial<Run> = {
  answersPerSecond: null,
  verdict: { kind: "void", reasons: ["the crowd's process was busy 99 % of the time"] },
};

const broken: Partial<Run> = {
  answersPerSecond: null,
  issuedPerSecond: null,
  verdict: {
    kind: "wrong",
    violations: ["told-issued-has-row: p-4711: told coupon 17, which has no row"],
  },
};

/** Answers come at an even pace, a little slower at the start. */
function latency(lastAnswerMs: number): Run["latencyMs"] {
  const within = (share: number): number => lastAnswerMs * share ** 0.82;
  const edges = Array.from({ length: 120 }, (_, step) => 2 * 10 ** (step / 30));
  const needed = edges.filter((edge, index) => index === 0 || edges[index - 1]! < lastAnswerMs);
  return {
    p50: within(0.5),
    p90: within(0.9),
    p95: within(0.95),
    p99: within(0.99),
    p999: within(0.999),
    max: lastAnswerMs,
    histogram: needed.map((upToMs) => ({
      upToMs,
      count: Math.round(people * Math.min(1, (upToMs / lastAnswerMs) ** (1 / 0.82))),
    })),
  };
}

function slices(lastAnswerMs: number): number[] {
  const length = Math.ceil(lastAnswerMs / 50);
  const until = (slice: number): number =>
    Math.round(people * Math.min(1, (slice * 50) / lastAnswerMs) ** 1.22);
  return Array.from({ length }, (_, slice) => until(slice + 1) - until(slice));
}
