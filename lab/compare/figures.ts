// What a crowd's claims say about the time they took, by the one definition of latency that the rush,
// the comparisons and the report share. Pure functions of attempts and due times.
import type { CrowdRun } from "../crowd/crowd.ts";
import { countsOf, percentile } from "../crowd/statistics.ts";
import type { Latency, Run } from "./result.ts";

export type ClaimFigures = Pick<
  Run,
  "outcomes" | "lastAnswerMs" | "latencyMs" | "sliceMs" | "answersPerSlice" | "firingSkewMs"
> & {
  readonly answersPerSecond: number;
  /** When the first claim was sent, on the monotonic clock. */
  readonly firstMs: number;
  /** From when a claim was due until it was written. */
  readonly lateMs: { readonly p99: number; readonly max: number };
};

/** At most this many slices, or a report draws more points than a screen has. */
const slicesMax = 200;
const sliceSizesMs = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000];

/** 40 edges for each factor of ten, 6 % apart, and the same in every run: histograms can be added. */
const edgesPerDecade = 40;

/** Latency counts from when a claim was due and only for those who got an answer. */
export function claimFigures(
  { claims, dueMs }: Pick<CrowdRun, "claims" | "dueMs">,
  atOneInstant: boolean,
): ClaimFigures {
  const firstMs = claims.reduce((first, { sentMs }) => Math.min(first, sentMs), Infinity);
  const answered = claims.flatMap(({ status, returnedMs }, index) =>
    status === null ? [] : [{ returnedMs, latencyMs: returnedMs - (dueMs[index] ?? returnedMs) }],
  );
  const late = sorted(claims.map(({ sentMs }, index) => sentMs - (dueMs[index] ?? sentMs)));
  const firing = claims.filter(({ attempt }) => attempt === 1).map(({ sentMs }) => sentMs);
  const lastMs = firing.reduce((last, sentMs) => Math.max(last, sentMs), firstMs);
  const lastAnswerAtMs = answered.reduce((l, { returnedMs }) => Math.max(l, returnedMs), firstMs);
  const lastAnswerMs = answered.length === 0 ? 0 : lastAnswerAtMs - firstMs;
  return {
    outcomes: countsOf(claims),
    answersPerSecond: lastAnswerMs > 0 ? answered.length / (lastAnswerMs / 1_000) : 0,
    lastAnswerMs,
    latencyMs: latencyOf(answered.map(({ latencyMs }) => latencyMs)),
    ...slicesOf(answered.map(({ returnedMs }) => returnedMs - firstMs)),
    firingSkewMs: atOneInstant ? lastMs - firstMs : null,
    firstMs,
    lateMs: { p99: percentile(late, 99), max: percentile(late, 100) },
  };
}

/** Percentiles by nearest rank, and the distribution behind them. */
export function latencyOf(latencies: readonly number[]): Latency {
  const ascending = sorted(latencies);
  return {
    p50: percentile(ascending, 50),
    p90: percentile(ascending, 90),
    p95: percentile(ascending, 95),
    p99: percentile(ascending, 99),
    p999: percentile(ascending, 99.9),
    max: percentile(ascending, 100),
    histogram: histogramOf(ascending),
  };
}

function histogramOf(ascending: readonly number[]): Latency["histogram"] {
  const [least, most] = [ascending[0], ascending.at(-1)];
  if (least === undefined || most === undefined) return [];
  const first = Math.floor(Math.log10(Math.max(least, 0.01)) * edgesPerDecade);
  const buckets: { upToMs: number; count: number }[] = [];
  let count = 0;
  for (let step = first; count < ascending.length; step++) {
    const upToMs = Number((10 ** (step / edgesPerDecade)).toPrecision(6));
    while (count < ascending.length && Number(ascending[count]) <= upToMs) count += 1;
    buckets.push({ upToMs, count });
  }
  return buckets;
}

/** `timesMs` are those of the answers since the first claim. */
function slicesOf(timesMs: readonly number[]): Pick<Run, "sliceMs" | "answersPerSlice"> {
  const lastMs = timesMs.reduce((last, timeMs) => Math.max(last, timeMs), 0);
  const fitting = sliceSizesMs.find((sizeMs) => lastMs / sizeMs < slicesMax);
  const sliceMs = fitting ?? Math.ceil(lastMs / slicesMax / 1_000) * 1_000;
  const answersPerSlice = Array.from({ length: Math.floor(lastMs / sliceMs) + 1 }, () => 0);
  for (const timeMs of timesMs) {
    const slice = Math.floor(timeMs / sliceMs);
    answersPerSlice[slice] = (answersPerSlice[slice] ?? 0) + 1;
  }
  return { sliceMs, answersPerSlice: timesMs.length === 0 ? [] : answersPerSlice };
}

function sorted(values: readonly number[]): number[] {
  return [...values].sort((a, b) => a - b);
}
