// What difference is only noise: subjects that were compared with themselves.
//
// What is claimed is the median of the rounds' ratios, so what counts is how far such a median may be
// from 1 although nothing differs: it is told by medians of rounds drawn anew, with repetition, from the
// pair's own (bootstrap). A single round that a neighbour on the machine disturbed moves it little; a
// difference in all of them moves it fully.
import { median, percentile } from "../crowd/statistics.ts";
import type { NoiseMeasure, Run, SameAgainstSame } from "./result.ts";
import { randomOf } from "./scenario.ts";

/** The figures whose ratios are claimed, of a right run; null where there is none. */
const noiseFigures: Readonly<Record<NoiseMeasure, (run: Run) => number | null>> = {
  answers: (run) => run.answersPerSecond,
  "server-cpu": serverCpuMicros,
};

/** Microseconds of the server's CPU for each claim; null unless right and known. */
export function serverCpuMicros({ verdict, cpuMicrosPerClaim }: Run): number | null {
  const server = cpuMicrosPerClaim["server"];
  return verdict.kind !== "right" || server === undefined ? null : server.user + server.system;
}

/** What the pairs of a comparison say about noise; a pair without one right round is left out. */
export function sameAgainstSame(runs: readonly Run[]): SameAgainstSame[] {
  const subjects = [...new Set(runs.filter(({ twin }) => twin).map(({ subject }) => subject))];
  const measures = ["answers", "server-cpu"] as const;
  return subjects.flatMap((subject) =>
    measures.flatMap((measure) => {
      const own = runs.filter((run) => run.subject === subject);
      const ratios = ratiosOf(own, noiseFigures[measure]);
      if (ratios.length === 0) return [];
      return [{ subject, measure, ratios, smallestClaim: smallestClaimOf(ratios) }];
    }),
  );
}

/** Below it the widest of the few rounds counts: they cannot tell how their median moves. */
const ROUNDS_MIN = 5;
const DRAWS = 2_000;
/** So many percent of the medians are nearer to 1. */
const NEARER_PERCENT = 95;

function smallestClaimOf(ratios: readonly number[]): number {
  if (ratios.length < ROUNDS_MIN) return Math.max(...ratios.map(distance));
  // The same figures tell the same noise whenever the report is made.
  const random = randomOf(ratios.length);
  const drawn = (): number => ratios[Math.floor(random() * ratios.length)] ?? 1;
  const medians = Array.from({ length: DRAWS }, () => distance(median(ratios.map(drawn))));
  medians.sort((one, other) => one - other);
  return percentile(medians, NEARER_PERCENT);
}

/** From 1, whichever half was faster. */
function distance(ratio: number): number {
  return Math.max(ratio, 1 / ratio) - 1;
}

function ratiosOf(runs: readonly Run[], figure: (run: Run) => number | null): number[] {
  const rounds = [...new Set(runs.map(({ round }) => round))].sort((a, b) => a - b);
  return rounds.flatMap((round) => {
    const half = (twin: boolean): number | null => {
      const run = runs.find((one) => one.round === round && one.twin === twin);
      return run === undefined ? null : figure(run);
    };
    const [first, second] = [half(false), half(true)];
    return !first || !second ? [] : [first / second];
  });
}
