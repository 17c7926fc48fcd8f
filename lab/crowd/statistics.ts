import { outcomes, type Attempt, type Outcome } from "./history.ts";

/** How often each outcome happened. */
export function countsOf(attempts: readonly Attempt[]): Record<Outcome, number> {
  const counts = {
    issued: 0,
    replay: 0,
    "sold-out": 0,
    voided: 0,
    queued: 0,
    refused: 0,
    unknown: 0,
    none: 0,
  };
  for (const { outcome } of attempts) counts[outcome] += 1;
  return counts;
}

/** The outcomes that happened, as "100 issued, 9,900 sold-out". */
export function outcomesText(counts: Readonly<Record<Outcome, number>>): string {
  const seen = outcomes.filter((outcome) => counts[outcome] > 0);
  return seen.map((outcome) => `${counts[outcome].toLocaleString("en")} ${outcome}`).join(", ");
}

/** The nearest-rank percentile of sorted values; 0 of none. */
export function percentile(sorted: readonly number[], share: number): number {
  const rank = Math.max(1, Math.ceil((share / 100) * sorted.length));
  return sorted[rank - 1] ?? 0;
}

/** The middle value, or the mean of the two middle ones. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)] ?? 0;
  return Number.isInteger(middle) ? (upper + (sorted[middle - 1] ?? 0)) / 2 : upper;
}

/**
 * What makes a run void although nothing that was said is wrong: answers that did not come, and
 * answers that a crowd on an open event has no reason to get.
 */
export function oddAnswers(attempts: readonly Attempt[]): string[] {
  const counts = new Map<string, number>();
  for (const { kind, fault, status, problemType, outcome } of attempts) {
    const failed = fault !== null || (status !== null && status >= 500);
    // A status that cannot be had is a failure too; a claim refused on an open event as well.
    const odd = failed || outcome === "refused" || (kind === "status" && status !== 200);
    if (!odd) continue;
    const what = fault ?? `${status} ${problemType ?? "without a problem type"}`;
    const label = `${kind}: ${what}`;
    counts.set(label, (counts.get(label) ?? 0) + 1);
  }
  return [...counts].map(([label, count]) => `${count.toLocaleString("en")} x ${label}`);
}
