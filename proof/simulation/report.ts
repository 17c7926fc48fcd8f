// Counts what many sales came to, and says it per mechanism.
import type { Mechanism } from "@stampede/domain";
import { marksOf } from "./marks.ts";
import type { TaskResult } from "./workers.ts";

export type Totals = {
  readonly mechanism: Mechanism;
  seeds: number;
  /** Of all seeds together, and how many of these are worlds of several. */
  sales: number;
  manyWorlds: number;
  faults: number;
  claims: number;
  violations: number;
  /** How many seeds met each mark. */
  readonly marks: Map<string, number>;
  readonly faultKinds: Map<string, number>;
};

export function emptyTotals(mechanism: Mechanism): Totals {
  const counts = { seeds: 0, sales: 0, manyWorlds: 0, faults: 0, claims: 0, violations: 0 };
  return { mechanism, ...counts, marks: new Map(), faultKinds: new Map() };
}

export function addResult(totals: Totals, result: TaskResult): void {
  totals.seeds += 1;
  totals.sales += result.sales;
  if (result.sales > 1) totals.manyWorlds += 1;
  totals.claims += result.claims;
  if (result.violations.length > 0) totals.violations += 1;
  for (const [fault, count] of result.faults) {
    totals.faults += count;
    totals.faultKinds.set(fault, (totals.faultKinds.get(fault) ?? 0) + count);
  }
  for (const mark of result.marks) totals.marks.set(mark, (totals.marks.get(mark) ?? 0) + 1);
}

export function missingMarks({ mechanism, marks }: Totals): readonly string[] {
  return marksOf(mechanism).filter((mark) => !marks.has(mark));
}

export function totalsText(totals: Totals, seconds: number): string {
  const { mechanism, seeds, sales, manyWorlds, faults, claims, violations, marks } = totals;
  const met = marksOf(mechanism).map((mark) => `${mark} ${marks.get(mark) ?? 0}`);
  const perSecond = Math.round(sales / Math.max(seconds, 0.001));
  return [
    `${mechanism}: ${seeds} seeds, ${manyWorlds} of them worlds of several sales, ${sales} sales, ` +
      `${faults} faults, ${claims} claims judged, ${violations} seeds with violations, ` +
      `${perSecond} sales per second`,
    `  marks (seeds that met each): ${met.join(", ")}`,
  ].join("\n");
}

export function failureText(result: TaskResult): string {
  const { mechanism, seed, violations } = result;
  return [
    `${mechanism} seed ${seed} (trace ${result.trace}):`,
    ...violations.slice(0, 5).map((violation) => `  ${violation}`),
    `  again: npm run simulate -- --mechanism ${mechanism} --seed ${seed} --trace`,
  ].join("\n");
}
