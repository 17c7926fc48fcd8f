// What a comparison says, without how it is shown. Only right runs have figures: a wrong run's are
// of a sale that must not have happened, a void run's are not the server's.
import { serverCpuMicros } from "../compare/noise.ts";
import type { Comparison, NoiseMeasure, Run, Subject } from "../compare/result.ts";
import { median } from "../crowd/statistics.ts";
import { ratio, share } from "./numbers.ts";

/** What a run measured, or null where it could not or does not apply. */
export type Value = (run: Run) => number | null;

/** One figure of one subject by round. A round without a right run is not in it. */
export type ByRound = ReadonlyMap<number, number>;

export type Spread = { readonly median: number; readonly min: number; readonly max: number };

export type Pair = { readonly subject: Subject; readonly base: Subject };

/**
 * Whether a ratio may be claimed: it differs from 1 by more than the A/A runs do, and no round says
 * the opposite of the median.
 */
export type Judgement = "beyond-noise" | "within-noise" | "rounds-disagree";

export const answersPerSecond: Value = (run) => run.answersPerSecond;
export const issuedPerSecond: Value = (run) => run.issuedPerSecond;
export const serverCpu: Value = serverCpuMicros;

/** A figure whose ratios are claimed, and the A/A ratios that they are held against. */
export type Claimed = { readonly value: Value; readonly noise: NoiseMeasure };

export const claimed = {
  cpu: { value: serverCpu, noise: "server-cpu" },
  answers: { value: answersPerSecond, noise: "answers" },
  // Coupons are fewer than answers: no A/A run has enough of them for a measure of their own.
  coupons: { value: issuedPerSecond, noise: "answers" },
} as const satisfies Readonly<Record<string, Claimed>>;

/** A comparison whose subjects differ from themselves by more than this is not published. */
const noiseMax = 0.25;

const noiseNames: Readonly<Record<NoiseMeasure, string>> = {
  "server-cpu": "server CPU per claim",
  answers: "answers per second",
};

export function spreadOf(values: Iterable<number>): Spread | null {
  const list = [...values];
  if (list.length === 0) return null;
  return { median: median(list), min: Math.min(...list), max: Math.max(...list) };
}

export function roundsOf(comparison: Comparison): readonly number[] {
  return [...new Set(comparison.runs.map(({ round }) => round))].sort((a, b) => a - b);
}

/** The runs that medians and plots are made of: right, and no twin of an A/A pair. */
export function rightRuns(comparison: Comparison, subject: Subject): readonly Run[] {
  const own = comparison.runs.filter((run) => run.subject === subject && !run.twin);
  return own.filter(({ verdict }) => verdict.kind === "right");
}

export function byRound(comparison: Comparison, subject: Subject, value: Value): ByRound {
  const found = new Map<number, number[]>();
  for (const run of rightRuns(comparison, subject)) {
    const own = value(run);
    if (own === null || !Number.isFinite(own)) continue;
    found.set(run.round, [...(found.get(run.round) ?? []), own]);
  }
  return new Map([...found].map(([round, values]) => [round, median(values)]));
}

/**
 * How many times the base's figure the subject's is, round by round. Only runs of one round shared
 * the machine's mood, so the ratio of two medians would compare what was never side by side.
 */
export function ratiosByRound(comparison: Comparison, pair: Pair, value: Value): ByRound {
  const own = byRound(comparison, pair.subject, value);
  const base = byRound(comparison, pair.base, value);
  const ratios = [...own].flatMap(([round, figure]): [number, number][] => {
    const divisor = base.get(round) ?? 0;
    return divisor > 0 ? [[round, figure / divisor]] : [];
  });
  return new Map(ratios);
}

/**
 * The smallest difference that may be claimed between two subjects: the wider of their own A/A
 * runs; where a subject had none, the widest of all. Infinite where there was none at all.
 */
export function noiseOf(comparison: Comparison, pair: Pair, measure: NoiseMeasure): number {
  const widest = widestNoise(comparison, measure);
  const own = [pair.subject, pair.base].map((name) => {
    const entries = comparison.sameAgainstSame.filter((entry) => entry.measure === measure);
    return entries.find(({ subject }) => subject === name)?.smallestClaim ?? widest;
  });
  return Math.max(...own);
}

/** The widest difference of any subject from itself; infinite where nobody ran twice. */
export function widestNoise({ sameAgainstSame }: Comparison, measure: NoiseMeasure): number {
  const own = sameAgainstSame.filter((entry) => entry.measure === measure);
  const claims = own.map(({ smallestClaim }) => smallestClaim);
  return claims.length === 0 ? Infinity : Math.max(...claims);
}

/** Either way round: whether v3 is held against v2 or v2 against v3 must not change the answer. */
export function judged(noise: number, ratio: Spread): Judgement {
  const difference = Math.max(ratio.median, 1 / ratio.median) - 1;
  // 1.05 - 1 is a little more than 0.05 to a computer.
  if (difference <= noise + 1e-9) return "within-noise";
  return ratio.min < 1 && ratio.max > 1 ? "rounds-disagree" : "beyond-noise";
}

/** Why no ratio of this comparison may be published; nothing where they may. */
export function unpublishable(comparison: Comparison): readonly string[] {
  if (widestNoise(comparison, "answers") === Infinity) {
    return ["no A/A run tells what difference is only noise"];
  }
  return (["server-cpu", "answers"] as const).flatMap((measure) => {
    const widest = widestNoise(comparison, measure);
    const than = `more than ${share(noiseMax)}`;
    // A server elsewhere tells no CPU, so there is no ratio of it either.
    return widest > noiseMax && widest !== Infinity
      ? [`the A/A noise of ${noiseNames[measure]} is ${share(widest)}, ${than}`]
      : [];
  });
}

/** The noise of each measure in words: "answers per second 12 % (v2 Redis counter), ..." */
export function noiseTexts(
  { sameAgainstSame }: Comparison,
  nameOf: (subject: Subject) => string,
): readonly string[] {
  return sameAgainstSame.map(({ subject, measure, ratios, smallestClaim }) => {
    const times = ratios.map(ratio).join(", ");
    return `${nameOf(subject)} against itself, ${noiseNames[measure]}: ${times} times, so a difference up to ${share(smallestClaim)} is noise.`;
  });
}
