import { outcomes, type Attempt, type Outcome } from "./history.ts";

/** What one run of a crowd measured; times in milliseconds. */
export type Figures = {
  readonly answers: number;
  readonly answersPerSecond: number;
  /** From the first sending to the last answer. */
  readonly lastAnswerMs: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** From the first write to the last: how far "one instant" was from one. */
  readonly spreadMs: number;
  readonly outcomes: Readonly<Record<Outcome, number>>;
};

/** Latency counts from each person's own sending and only for those who got an answer. */
export function figuresOf(attempts: readonly Attempt[]): Figures {
  const sent = attempts.map(({ sentMs }) => sentMs).sort((a, b) => a - b);
  const answered = attempts.filter(({ status }) => status !== null);
  const latencies = answered.map((a) => a.returnedMs - a.sentMs).sort((a, b) => a - b);
  const firstMs = sent[0] ?? 0;
  const lastMs = answered.reduce((last, { returnedMs }) => Math.max(last, returnedMs), firstMs);
  const seconds = (lastMs - firstMs) / 1_000;
  return {
    answers: answered.length,
    answersPerSecond: seconds > 0 ? answered.length / seconds : 0,
    lastAnswerMs: lastMs - firstMs,
    p50Ms: percentile(latencies, 50),
    p95Ms: percentile(latencies, 95),
    p99Ms: percentile(latencies, 99),
    maxMs: percentile(latencies, 100),
    spreadMs: (sent.at(-1) ?? firstMs) - firstMs,
    outcomes: countsOf(attempts),
  };
}

function countsOf(attempts: readonly Attempt[]): Record<Outcome, number> {
  const counts = {
    issued: 0,
    replay: 0,
    "sold-out": 0,
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
 * What kept a run from being clean although nothing that was said is wrong: answers that did not
 * come, and answers that a rush on an open event has no reason to give.
 */
export function uncleanOf(attempts: readonly Attempt[]): string[] {
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
