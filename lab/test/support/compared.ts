// Small comparisons by their answers per second, and the rows of the summary that they make.
import assert from "node:assert/strict";

import { markdownSummary, type Comparison } from "@stampede/lab/report";
import { fixtureComparison, fixtureRun, pairsOf } from "./report-fixture.ts";

export type Run = Comparison["runs"][number];
export type Subject = Run["subject"];

/** The cells of one line of the first table, by the name of its row. */
export function line(comparison: Comparison, name: string): string[] {
  const found = markdownSummary(comparison)
    .split("\n")
    .find((text) => text.split("|")[1]?.trim() === name);
  assert.ok(found, `a row "${name}"`);
  return found
    .split("|")
    .slice(2, -1)
    .map((cell) => cell.trim());
}

/** Runs of one subject with these answers per second, one for each round; null is a void run. */
function runs(subject: Subject, rates: readonly (number | null)[]): Run[] {
  return rates.map((answersPerSecond, index) =>
    fixtureRun(subject, index + 1, {
      answersPerSecond,
      ...(answersPerSecond === null && { verdict: { kind: "void", reasons: ["crowd too slow"] } }),
    }),
  );
}

export function compared(
  rates: Partial<Record<Subject, readonly (number | null)[]>>,
  change: Partial<Comparison> = {},
): Comparison {
  const subjects = Object.keys(rates);
  const all = subjects.flatMap((subject) => runs(subject, rates[subject] ?? []));
  return fixtureComparison({ subjects, runs: all, ...change });
}

export const quiet: Partial<Comparison> = { sameAgainstSame: pairsOf("row-lock", [1.05]) };
export const noisy: Partial<Comparison> = { sameAgainstSame: pairsOf("row-lock", [1.55]) };
