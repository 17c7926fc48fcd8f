import type { Run } from "@stampede/lab/compare";

/** A right run of nothing in particular, for tests that look at some of its fields. */
export function madeRun(more: Partial<Run>): Run {
  return {
    subject: "row-lock",
    round: 1,
    twin: false,
    eventId: "spring",
    verdict: { kind: "right" },
    outcomes: {
      issued: 1,
      replay: 0,
      "sold-out": 0,
      voided: 0,
      queued: 0,
      refused: 0,
      unknown: 0,
      none: 0,
    },
    answersPerSecond: 100,
    issuedPerSecond: null,
    lastAnswerMs: 10,
    lastVerdictMs: 10,
    durableMs: null,
    latencyMs: { p50: 1, p90: 1, p95: 1, p99: 1, p999: 1, max: 1, histogram: [] },
    sliceMs: 1,
    answersPerSlice: [],
    firingSkewMs: 1,
    listenOverflows: 0,
    cpuMicrosPerClaim: {},
    roundTripsPerClaim: {},
    serverMemoryMiB: null,
    eventLoopDelayMs: null,
    fairness: null,
    generator: { lateMs: { p99: 1, max: 1 }, cpuShare: 0.1 },
    issuedRows: 1,
    watching: null,
    ...more,
  };
}
