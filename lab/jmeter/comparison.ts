import { machineText, type Machine } from "../crowd/machine.ts";
import { median } from "../crowd/statistics.ts";
import type { JmeterFigures, JudgedJmeterRun } from "./judged-run.ts";

/** A run and the round it was made in, from 1. */
export type RoundRun = JudgedJmeterRun & { readonly round: number };

/** A version's medians over the rounds. */
type VersionSummary = {
  readonly version: string;
  readonly mechanism: string;
  readonly runs: number;
  readonly answersPerSecond: number;
  /** Null where v1 did not run. */
  readonly ratioToV1: number | null;
  readonly meanMs: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly firedWithinMs: number;
  /**
   * JMeter took more than half of the time until the last answer to send its claims: what is seen is
   * mostly JMeter, and `answersPerSecond` is only a lower bound of what the version could do.
   */
  readonly generatorBound: boolean;
  /** Null where somebody was never told a final answer. */
  readonly lastFinalMs: number | null;
  /** Of all rounds together. */
  readonly errors: number;
  /** Coupon issues counted by SQL, in each round. */
  readonly issuedRows: readonly number[];
};

export type JmeterComparison = {
  readonly format: "stampede-jmeter-2";
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly command: readonly string[];
  readonly machine: Machine;
  /** jmeter, maven, java. */
  readonly versions: Readonly<Record<string, string>>;
  readonly people: number;
  readonly limit: number;
  /** Wrong where a run was, else void where one was: no figure may be quoted unless right. */
  readonly verdict: "right" | "wrong" | "void";
  /** In order of version. */
  readonly summary: readonly VersionSummary[];
  /** Every run in the order they were made. */
  readonly runs: readonly RoundRun[];
};

export function compare(
  runs: readonly RoundRun[],
  made: Omit<JmeterComparison, "format" | "verdict" | "summary" | "runs">,
): JmeterComparison {
  const versions = [...new Set(runs.map(({ version }) => version))].sort();
  const speed = (version: string): number => medianOf(runsOf(runs, version), "answersPerSecond");
  const v1 = versions.includes("v1") ? speed("v1") : 0;
  return {
    format: "stampede-jmeter-2",
    ...made,
    verdict: verdictOf(runs),
    summary: versions.map((version) => summaryOf(runsOf(runs, version), v1)),
    runs,
  };
}

function runsOf(runs: readonly RoundRun[], version: string): readonly RoundRun[] {
  return runs.filter((run) => run.version === version);
}

function verdictOf(runs: readonly JudgedJmeterRun[]): JmeterComparison["verdict"] {
  if (runs.some(({ violations }) => violations.length > 0)) return "wrong";
  const isRight = runs.length > 0 && runs.every(({ voidReasons }) => voidReasons.length === 0);
  return isRight ? "right" : "void";
}

type Measured = Exclude<keyof JmeterFigures, "lastFinalMs">;

function medianOf(runs: readonly RoundRun[], figure: Measured): number {
  return median(runs.map(({ figures }) => figures[figure]));
}

function summaryOf(runs: readonly RoundRun[], v1PerSecond: number): VersionSummary {
  const answersPerSecond = medianOf(runs, "answersPerSecond");
  const finals = runs.flatMap(({ figures }) => figures.lastFinalMs ?? []);
  return {
    version: runs[0]?.version ?? "",
    mechanism: runs[0]?.mechanism ?? "",
    runs: runs.length,
    answersPerSecond,
    ratioToV1: v1PerSecond > 0 ? answersPerSecond / v1PerSecond : null,
    meanMs: medianOf(runs, "meanMs"),
    p50Ms: medianOf(runs, "p50Ms"),
    p95Ms: medianOf(runs, "p95Ms"),
    p99Ms: medianOf(runs, "p99Ms"),
    maxMs: medianOf(runs, "maxMs"),
    firedWithinMs: medianOf(runs, "firedWithinMs"),
    generatorBound: medianOf(runs, "firedWithinMs") > medianOf(runs, "lastAnswerMs") / 2,
    lastFinalMs: finals.length === runs.length ? median(finals) : null,
    errors: runs.reduce((sum, { figures }) => sum + figures.errors, 0),
    issuedRows: runs.map(({ issuedRows }) => issuedRows),
  };
}

const head = [
  "version",
  "answers/s",
  "to v1",
  "mean ms",
  "p50",
  "p95",
  "p99",
  "max",
  "all final ms",
  "fired within ms",
  "errors",
  "issued (SQL)",
];

function cells(summary: VersionSummary, limit: number): string[] {
  const { ratioToV1 } = summary;
  return [
    `${summary.version} ${summary.mechanism}`,
    whole(summary.answersPerSecond),
    ratioToV1 === null ? "-" : `${ratioToV1.toFixed(2)} x`,
    ...[summary.meanMs, summary.p50Ms, summary.p95Ms, summary.p99Ms, summary.maxMs].map(whole),
    whole(summary.lastFinalMs),
    whole(summary.firedWithinMs),
    whole(summary.errors),
    `${[...new Set(summary.issuedRows)].map(whole).join(", ")} of ${whole(limit)}`,
  ];
}

function whole(value: number | null): string {
  return value === null ? "-" : Math.round(value).toLocaleString("en");
}

/** The comparison as it is printed. */
export function comparisonText(comparison: JmeterComparison): string {
  const rows = [head, ...comparison.summary.map((one) => cells(one, comparison.limit))];
  const widths = head.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join("  "),
  );
  return [describe(comparison), "", ...lines, "", ...verdictLines(comparison)].join("\n");
}

/** The same as Markdown, for a pull request or a page. */
export function comparisonMarkdown(comparison: JmeterComparison): string {
  return [
    "# JMeter's comparison of the versions",
    "",
    describe(comparison),
    "",
    markdownRow(head),
    markdownRow(head.map((_, column) => (column === 0 ? "---" : "---:"))),
    ...comparison.summary.map((one) => markdownRow(cells(one, comparison.limit))),
    "",
    ...verdictLines(comparison).map((line) => `- ${line}`),
    "",
  ].join("\n");
}

function markdownRow(values: readonly string[]): string {
  return `| ${values.join(" | ")} |`;
}

function describe(comparison: JmeterComparison): string {
  const { people, limit, at, machine, versions, summary } = comparison;
  const tools = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const rounds = Math.max(0, ...summary.map(({ runs }) => runs));
  return (
    `${people} JMeter threads, ${limit} coupons, one instant, ` +
    `${rounds === 1 ? "one round" : `medians of ${rounds} rounds`}; ${at}\n` +
    `${machineText(machine)}, ${tools.join(", ")}`
  );
}

const findingsShown = 10;

const verdictTexts = {
  right:
    "RIGHT by SQL: every run sold what it should, once a person; everybody told a coupon has its row.",
  wrong: "WRONG: a promise was broken, so no figure above counts.",
  void: "VOID: nothing that was said is wrong, but the figures above are not the server's.",
} as const;

function verdictLines({ verdict, runs, summary }: JmeterComparison): string[] {
  if (verdict === "right") return [verdictTexts.right, ...boundLines(summary)];
  return [
    verdictTexts[verdict],
    ...runs.flatMap((run) => {
      const name = `${run.version}, round ${run.round}, event ${run.eventId}`;
      return [
        ...shown(run.violations).map((text) => `wrong: ${name}: ${text}`),
        ...shown(run.voidReasons).map((text) => `void: ${name}: ${text}`),
      ];
    }),
  ];
}

function boundLines(summary: readonly VersionSummary[]): string[] {
  const bound = summary.filter(({ generatorBound }) => generatorBound);
  if (bound.length === 0) return [];
  const names = bound.map(({ version }) => version).join(" and ");
  return [
    `JMETER-BOUND: ${names}: sending took JMeter more than half of the time, so answers/s and its ` +
      `ratio to v1 are lower bounds. npm run rush fires nearer to one instant.`,
  ];
}

function shown(findings: readonly string[]): string[] {
  const more = findings.length - findingsShown;
  return [...findings.slice(0, findingsShown), ...(more > 0 ? [`and ${more} more`] : [])];
}
