// What the cases of one run come to: a table for the terminal, totals, and whether it is a success.
import type { Turn } from "./catalogue.ts";
import type { CaseReport, Deadline } from "./notes.ts";

const DEADLINES = ["L1", "L2", "L3", "L4", "L5", "L6"] as const;
const FAULT_WIDTH_MAX = 76;
/**
 * What `npm test` and `npm run proof` judge together at the least: 0 violations in so many bound a bug's
 * share below 3 in 90,000.
 */
export const CLAIMS_MIN = 90_000;

export type Totals = {
  readonly runs: number;
  readonly cases: number;
  readonly faultsInjected: number;
  readonly claimsJudged: number;
  readonly violations: number;
  /** The worst of all cases, milliseconds. */
  readonly recoveryMs: Readonly<Partial<Record<Deadline, number>>>;
  readonly sometimes: Readonly<Record<string, number>>;
};

export type Expectation = {
  /** Cases that must have reported, by their keys. */
  readonly wanted: readonly string[];
  /** Rare situations that some case must have met, and claims that must have been judged in all. */
  readonly marks: readonly string[];
  readonly claimsMin: number;
  /** Whether a case that this machine cannot run is a failure. */
  readonly noSkips: boolean;
  /** Of `node --test`; null where its failures are told by somebody else. */
  readonly testCode: number | null;
};

export function totalsOf(all: readonly CaseReport[]): Totals {
  const reports = all.filter(({ verdict }) => verdict !== "not run");
  const sum = (value: (report: CaseReport) => number): number =>
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
    cases: new Set(reports.map(({ id }) => id)).size,
    faultsInjected: sum((report) => report.faultsInjected),
    claimsJudged: sum((report) => report.claimsJudged),
    violations: sum((report) => report.violations),
    recoveryMs,
    sometimes,
  };
}

/** Everything that keeps this run from being a success; empty where it is one. */
export function failuresOf(
  reports: readonly CaseReport[],
  { wanted, marks, claimsMin, noSkips, testCode }: Expectation,
): string[] {
  const failures: string[] = [];
  if (reports.length === 0) failures.push("No case reported: nothing was proved.");
  for (const report of reports) {
    const name = `${report.key} (${report.mechanism})`;
    const again = `The same again: ${replayCommand(report)}`;
    if (report.violations > 0) failures.push(`${name}: ${report.violations} violations.`);
    if (report.verdict === "not run") {
      if (noSkips) failures.push(`${name} is not run: ${report.reason}`);
    } else if (report.verdict !== "right") {
      failures.push(`${name} is ${report.verdict}. ${again}`);
    }
  }
  const { sometimes, claimsJudged } = totalsOf(reports);
  for (const situation of new Set([...Object.keys(sometimes), ...marks])) {
    if ((sometimes[situation] ?? 0) === 0) failures.push(`Never met: ${situation}.`);
  }
  if (claimsJudged < claimsMin) {
    failures.push(`Only ${claimsJudged} claims were judged, and ${claimsMin} are wanted.`);
  }
  const reported = new Set(reports.map(({ key }) => key));
  for (const key of wanted) if (!reported.has(key)) failures.push(`${key} did not report.`);
  if (testCode !== null && testCode !== 0 && failures.length === 0) {
    failures.push("A test failed that is no case; its reason stands above.");
  }
  return failures;
}

/** The one command that runs a case again as it was. */
export function replayCommand({ key, seed }: Pick<CaseReport, "key" | "seed">): string {
  const workers = process.env["STAMPEDE_TEST_WORKERS"];
  const options = workers === undefined ? "" : ` --workers ${workers}`;
  return `${seed === null ? "" : `STAMPEDE_FAULT_SEED=${seed} `}npm run faults -- ${key}${options}`;
}

/** What there is to run, by case and mechanism. */
export function listOf(turns: readonly Turn[]): string {
  const head = ["case", "mechanism", "runs in", "needs", "fault: what holds"];
  const lines = turns.flatMap(({ key, of, mechanisms }) =>
    (mechanisms.length === 0 ? ["all"] : mechanisms).map((mechanism) => [
      key.replace(`.${mechanism}`, ""),
      mechanism,
      of.runs,
      [of.place, ...(of.needs ?? [])].join(", "),
      `${of.injects}: ${of.holds}`,
    ]),
  );
  return columns([head, ...lines]);
}

export function tableOf(reports: readonly CaseReport[]): string {
  const head = [
    "case",
    "mechanism",
    "fault",
    "verdict",
    "s",
    "faults",
    "claims",
    "wrong",
    "neighbours",
    "worst",
  ];
  const rows = reports
    .toSorted(byKey)
    .map((report) => [
      report.key.replace(`.${report.mechanism}`, ""),
      report.mechanism,
      shortened(report.injects),
      report.verdict,
      (report.ms / 1_000).toFixed(1),
      String(report.faultsInjected),
      String(report.claimsJudged),
      String(report.violations),
      neighboursText(report),
      recoveryText(report.recoveryMs),
    ]);
  return columns([head, ...rows]);
}

export function totalsText(totals: Totals): string {
  const { runs, cases, faultsInjected, claimsJudged, violations, recoveryMs } = totals;
  return [
    `${runs} runs of ${cases} cases, ${faultsInjected} faults injected, ` +
      `${claimsJudged} claims judged, ${violations} violations.`,
    `Worst recovery: ${recoveryText(recoveryMs)}.`,
    `Rare situations met: ${sometimesText(totals.sometimes)}.`,
  ].join("\n");
}

function sometimesText(sometimes: Totals["sometimes"]): string {
  const parts = Object.entries(sometimes).map(([situation, times]) => `${situation} (${times})`);
  return parts.length === 0 ? "none" : parts.toSorted().join(", ");
}

/** Of fifty other events: their claims, of these the faults, and how long an answer took (p99). */
function neighboursText({ neighbours }: CaseReport): string {
  if (neighbours === null) return "-";
  const { events, claims, faults, p99Ms } = neighbours;
  const said = faults === 0 ? "all answered" : `${faults} of them faults`;
  return `${events}: ${claims} claims, ${said}, p99 ${p99Ms ?? "-"} ms`;
}

function recoveryText(recoveryMs: CaseReport["recoveryMs"]): string {
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
function byKey(one: CaseReport, other: CaseReport): number {
  const collation = one.key.localeCompare(other.key, "en", { numeric: true });
  return collation === 0 ? one.mechanism.localeCompare(other.mechanism) : collation;
}
