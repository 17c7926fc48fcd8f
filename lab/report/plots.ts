// The numbers of the two line plots, brought to one x axis for all rounds and subjects.
import type { Comparison, Run, Subject } from "../compare/result.ts";
import { median } from "../crowd/statistics.ts";
import { rightRuns } from "./figures.ts";
import { inLadderOrder } from "./names.ts";

/** What is drawn, and listed by the fold-out table under it. */
export type LinePlot = {
  readonly id: "latency" | "over-time";
  readonly x: readonly number[];
  readonly lines: readonly Line[];
};

/** For each x the median of the rounds, the lowest and the highest; null once all have ended. */
export type Line = {
  readonly subject: Subject;
  readonly middle: readonly (number | null)[];
  readonly low: readonly (number | null)[];
  readonly high: readonly (number | null)[];
};

/** A point of a curve that only grows: so many answers until then. */
type Step = { readonly atMs: number; readonly answers: number };

/** Enough for a smooth line over a screen's width, and for a table that can still be read. */
const pointsPerDecade = 20;

/** In per cent: where the latency plot begins. */
const shareMin = 0.5;

/** The share of answers that had come within each latency, 0 to 100. Null without a right run. */
export function latencyPlot(comparison: Comparison): LinePlot | null {
  const curves = curvesBySubject(comparison, latencySteps);
  const edges = curves.flatMap(({ runs }) => runs.flat().map(({ atMs }) => atMs));
  const positive = edges.filter((edge) => edge > 0);
  if (positive.length === 0) return null;
  const steps = logarithmicSteps(Math.min(...positive), Math.max(...positive));
  // Decades in which nobody has an answer yet would only push the curves to the side.
  const begun = (at: number | undefined): boolean =>
    at === undefined ||
    curves.some(({ runs }) => runs.some((curve) => shareUntil(curve, at) >= shareMin));
  const x = steps.filter((_, index) => begun(steps[index + 1]));
  const lines = linesOf(curves, (curve) => x.map((at) => shareUntil(curve, at)));
  return { id: "latency", x, lines };
}

/**
 * Answers per second in each slice of the run; `x` is the slice's start. So many slices at most that
 * the table of them can still be read.
 */
export function overTimePlot(comparison: Comparison, slicesMax = 120): LinePlot | null {
  const curves = curvesBySubject(comparison, timeSteps);
  const endMs = Math.max(
    0,
    ...curves.flatMap(({ runs }) => runs.map((run) => run.at(-1)?.atMs ?? 0)),
  );
  const own = comparison.runs.map(({ sliceMs }) => sliceMs).filter((sliceMs) => sliceMs > 0);
  if (endMs === 0 || own.length === 0) return null;
  const finest = Math.max(...own);
  const sliceMs = finest * Math.ceil(endMs / finest / slicesMax);
  const slices = Math.ceil(endMs / sliceMs);
  // One slice beyond the end, so that the last step has its full width and falls to zero.
  const x = Array.from({ length: slices + 1 }, (_, slice) => slice * sliceMs);
  const rate = (curve: readonly Step[], fromMs: number): number | null => {
    if (fromMs >= (curve.at(-1)?.atMs ?? 0) + sliceMs) return null;
    const answers = answersUntil(curve, fromMs + sliceMs) - answersUntil(curve, fromMs);
    return (answers / sliceMs) * 1_000;
  };
  return { id: "over-time", x, lines: linesOf(curves, (curve) => x.map((at) => rate(curve, at))) };
}

type Curves = { readonly subject: Subject; readonly runs: readonly (readonly Step[])[] };

function curvesBySubject(
  comparison: Comparison,
  steps: (run: Run) => readonly Step[],
): readonly Curves[] {
  return inLadderOrder(comparison)
    .map((subject) => ({ subject, runs: rightRuns(comparison, subject).map(steps) }))
    .filter(({ runs }) => runs.length > 0);
}

function latencySteps(run: Run): readonly Step[] {
  return run.latencyMs.histogram.map(({ upToMs, count }) => ({ atMs: upToMs, answers: count }));
}

function timeSteps({ sliceMs, answersPerSlice }: Run): readonly Step[] {
  let answers = 0;
  const steps = answersPerSlice.map((own, slice) => {
    answers += own;
    return { atMs: (slice + 1) * sliceMs, answers };
  });
  return [{ atMs: 0, answers: 0 }, ...steps];
}

function shareUntil(curve: readonly Step[], atMs: number): number {
  const all = curve.at(-1)?.answers ?? 0;
  return all === 0 ? 0 : (answersUntil(curve, atMs) / all) * 100;
}

/** Straight between two known points, flat beyond both ends. */
function answersUntil(curve: readonly Step[], atMs: number): number {
  const next = curve.findIndex((step) => step.atMs >= atMs);
  const [before, after] = [curve[next - 1], curve[next]];
  if (after === undefined) return curve.at(-1)?.answers ?? 0;
  if (after.atMs === atMs) return after.answers;
  if (before === undefined) return 0;
  const part = (atMs - before.atMs) / (after.atMs - before.atMs);
  return before.answers + part * (after.answers - before.answers);
}

function logarithmicSteps(from: number, to: number): readonly number[] {
  const steps = Math.max(1, Math.ceil(Math.log10(to / from) * pointsPerDecade));
  const between = Array.from({ length: steps }, (_, step) => from * (to / from) ** (step / steps));
  return [...between, to];
}

function linesOf(
  curves: readonly Curves[],
  values: (curve: readonly Step[]) => readonly (number | null)[],
): readonly Line[] {
  return curves.map(({ subject, runs }) => {
    const rounds = runs.map(values);
    const points = (rounds[0] ?? []).map((_, at) => rounds.map((round) => round[at] ?? null));
    const line = (pick: (point: readonly number[]) => number): readonly (number | null)[] =>
      points.map((point) => {
        // A round that has ended answers nothing more, while another one still goes on.
        const ended = point.every((value) => value === null);
        return ended ? null : rounded(pick(point.map((value) => value ?? 0)));
      });
    return {
      subject,
      middle: line(median),
      low: line((point) => Math.min(...point)),
      high: line((point) => Math.max(...point)),
    };
  });
}

/** A tenth is finer than a pixel, and keeps the file small. */
function rounded(value: number): number {
  return Math.round(value * 10) / 10;
}
