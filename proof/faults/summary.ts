// What the rows of one run come to: a table for the terminal, totals, and whether it is a success.
import type { Deadline, RowReport } from "./support/row.ts";

const DEADLINES = ["L1", "L2", "L3", "L4", "L5", "L6"] as const;
const FAULT_WIDTH_MAX = 76;
/** What a whole run judges at the least: 0 violations in so many bound a bug's share below 3 in 90,000. */
export const CLAIMS_MIN = 90_000;

export type Totals = {
  readonly runs: number;
  readonly rows: number;
  readonly faultsInjected: number;
  readonly claimsJudged: number;
  readonly violations: number;
  /** The worst of all rows, milliseconds. */
  readonly recoveryMs: Readonly<Partial<Record<Deadline, number>>>;
  readonly sometimes: Readonly<Record<string, number>>;
};

export type Expectation = {
  /** Rows that must have reported. */
  readonly wanted: readonly string[];
  readonly notRun: Readonly<Record<string, string>>;
  /** Rare situations that some row must have met, and claims that must have been judged in all. */
  readonly marks: readonly string[];
  readonly claimsMin: number;
  /** Of `node --test`; null where only some tests of a file were wanted, and the others failed by intent. */
  readonly testCode: number | null;
};

export function totalsOf(reports: readonly RowReport[]): Totals {
  const sum = (value: (report: RowReport) => number): number =>
    reports.reduce((total, report) => total + value(report), 0);
  const recoveryMs: Partial<Record<Deadline, number>> = {};
  const sometimes: Record<string, number> = {};
  for (const report of reports) {
    for (const deadline of DEADLINES) {
      const ms = report.recoveryMs[deadline];
      if (ms !== undefined) recoveryMs[deadline] = Math.max(recoveryMs[deadline] ?? 0, ms);
    }
    for (const [situation, times] of Object.entries(report.sometimes)) {
      sometimes[situation] = (sometimes[situation] ?? 0) + times;
    }
  }
  return {
    runs: reports.length,
    rows: new Set(reports.map(({ row }) => row)).size,
    faultsInjected: sum((report) => report.faultsInjected),
    claimsJudged: sum((report) => report.claimsJudged),
    violations: sum((report) => report.violations),
    recoveryMs,
    sometimes,
  };
}

/** Everything that keeps this run from being a success; empty where it is one. */
export function failuresOf(
  reports: readonly RowReport[],
  { wanted, notRun, marks, claimsMin, testCode }: Expectation,
): string[] {
  const failures: string[] = [];
  if (reports.length === 0) failures.push("No row reported: nothing was proved.");
  for (const report of reports) {
    const name = `${report.row} (${report.mechanism})`;
    if (report.violations > 0) failures.push(`${name}: ${report.violations} violations.`);
    if (!report.passed) failures.push(`${name} failed. The same again: ${replayCommand(report)}`);
    else if (report.faultsInjected === 0 && report.row !== "none")
      failures.push(`${name}: no fault was injected.`);
  }
  const { sometimes, claimsJudged } = totalsOf(reports);
  for (const situation of new Set([...Object.keys(sometimes), ...marks])) {
    if ((sometimes[situation] ?? 0) === 0) failures.push(`Never met: ${situation}.`);
  }
  if (claimsJudged < claimsMin) {
    failures.push(`Only ${claimsJudged} claims were judged, and ${claimsMin} are wanted.`);
  }
  const reported = new Set(reports.map(({ row }) => row));
  for (const row of wanted) {
    const reason = notRun[row];
    if (reason === undefined && !reported.has(row)) {
      failures.push(`${row} did not report, and tests/faults/not-run.ts gives no reason.`);
    }
    if (reason !== undefined && reported.has(row)) {
      failures.push(`${row} reported, but tests/faults/not-run.ts says that it is not run.`);
    }
  }
  if (testCode !== null && testCode !== 0 && failures.length === 0) {
    failures.push("A test failed that is no row; its reason stands above.");
  }
  return failures;
}

/** The one command that runs a row again as it was. */
export function replayCommand({ row, seed }: Pick<RowReport, "row" | "seed">): string {
  return `${seed === null ? "" : `STAMPEDE_FAULT_SEED=${seed} `}npm run faults -- ${row}`;
}

export function tableOf(reports: readonly RowReport[]): string {
  const head = ["row", "mechanism", "fault", "verdict", "faults", "claims", "wrong", "worst"];
  const rows = reports
    .toSorted(byRow)
    .map((report) => [
      report.row,
      report.mechanism,
      shortened(report.fault),
      report.passed ? "held" : "FAILED",
      String(report.faultsInjected),
      String(report.claimsJudged),
      String(report.violations),
      recoveryText(report.recoveryMs),
    ]);
  return columns([head, ...rows]);
}

export function totalsText(totals: Totals): string {
  const { runs, rows, faultsInjected, claimsJudged, violations, recoveryMs } = totals;
  return [
    `${runs} runs of ${rows} rows, ${faultsInjected} faults injected, ` +
      `${claimsJudged} claims judged, ${violations} violations.`,
    `Worst recovery: ${recoveryText(recoveryMs)}.`,
    `Rare situations met: ${sometimesText(totals.sometimes)}.`,
  ].join("\n");
}

function sometimesText(sometimes: Totals["sometimes"]): string {
  const parts = Object.entries(sometimes).map(([situation, times]) => `${situation} (${times})`);
  return parts.length === 0 ? "none" : parts.toSorted().join(", ");
}

function recoveryText(recoveryMs: RowReport["recoveryMs"]): string {
  const parts = DEADLINES.flatMap((deadline) => {
    const ms = recoveryMs[deadline];
    return ms === undefined ? [] : [`${deadline} ${(ms / 1_000).toFixed(1)} s`];
  });
  return parts.length === 0 ? "-" : parts.join(", ");
}

function columns(lines: readonly (readonly string[])[]): string {
  const widths = lines[0]?.map((_, column) =>
    Math.max(...lines.map((line) => line[column]?.length ?? 0)),
  );
  return lines
    .map((line) => line.map((cell, column) => cell.padEnd(widths?.[column] ?? 0)).join("  "))
    .map((line) => line.trimEnd())
    .join("\n");
}

function shortened(text: string): string {
  return text.length <= FAULT_WIDTH_MAX ? text : `${text.slice(0, FAULT_WIDTH_MAX - 3)}...`;
}

/** P4 before P12. */
function byRow(one: RowReport, other: RowReport): number {
  const collation = one.row.localeCompare(other.row, "en", { numeric: true });
  return collation === 0 ? one.mechanism.localeCompare(other.mechanism) : collation;
}
