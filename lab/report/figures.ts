// What a comparison says, without how it is shown. Only right runs have figures: a wrong run's are
// of a sale that must not have happened, a void run's are not the server's.
import type { Comparison, Run, Subject } from "../compare/result.ts";
import { median } from "../crowd/statistics.ts";

/** What a run measured, or null where it could not or does not apply. */
export type Value = (run: Run) => number | null;

/** One figure of one subject by round. A round without a right run is not in it. */
export type ByRound = ReadonlyMap<number, number>;

export type Spread = { readonly median: number; readonly min: number; readonly max: number };

export type Pair = { readonly subject: Subject; readonly base: Subject };

/**
 * Whether a ratio may be claimed: it differs from 1 by more than the A/A runs do, and no round says
 * the opposite of the median. Unknown where there was no A/A run.
 */
export type Judgement = "beyond-noise" | "within-noise" | "rounds-disagree" | "noise-unknown";

export const answersPerSecond: Value = (run) => run.answersPerSecond;
export const issuedPerSecond: Value = (run) => run.issuedPerSecond;

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
 * runs; where a subject had none, the widest of all. Null: there was no A/A run.
 */
export function noiseOf({ sameAgainstSame }: Comparison, { subject, base }: Pair): number | null {
  const widest = spreadOf(sameAgainstSame.map(({ smallestClaim }) => smallestClaim));
  if (widest === null) return null;
  const own = [subject, base].map((name) => {
    const claims = sameAgainstSame.filter((entry) => entry.subject === name);
    return spreadOf(claims.map(({ smallestClaim }) => smallestClaim))?.max ?? widest.max;
  });
  return Math.max(...own);
}

/** Either way round: whether v3 is held against v2 or v2 against v3 must not change the answer. */
export function judged(comparison: Comparison, pair: Pair, ratio: Spread): Judgement {
  const noise = noiseOf(comparison, pair);
  if (noise === null) return "noise-unknown";
  const difference = Math.max(ratio.median, 1 / ratio.median) - 1;
  // 1.05 - 1 is a little more than 0.05 to a computer.
  if (difference <= noise + 1e-9) return "within-noise";
  return ratio.min < 1 && ratio.max > 1 ? "rounds-disagree" : "beyond-noise";
}
