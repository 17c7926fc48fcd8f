import type { RushResult } from "./run-rush.ts";
import { median, outcomesText, type Figures } from "./statistics.ts";

/** One round: the empty handler, and every mechanism that could run. */
export type Round = {
  readonly ceiling: Figures;
  readonly results: readonly RushResult[];
  readonly serverResidentMiB: number | null;
};

type Column = { readonly head: string; readonly cell: (row: Row) => string };

/** All rounds of one mechanism, or of the empty handler (whose results are null). */
type Row = {
  readonly name: string;
  readonly figures: readonly Figures[];
  readonly ofCeiling: readonly number[];
  readonly ofRowLock: readonly number[];
  readonly results: readonly RushResult[] | null;
};

const columns: readonly Column[] = [
  { head: "mechanism", cell: ({ name }) => name },
  { head: "answers/s", cell: (row) => count(middle(row, (f) => f.answersPerSecond)) },
  { head: "of ceiling", cell: ({ ofCeiling }) => share(ofCeiling) },
  { head: "of v1", cell: ({ ofRowLock }) => times(ofRowLock) },
  { head: "last answer", cell: (row) => ms(middle(row, (f) => f.lastAnswerMs)) },
  { head: "p50", cell: (row) => ms(middle(row, (f) => f.p50Ms)) },
  { head: "p95", cell: (row) => ms(middle(row, (f) => f.p95Ms)) },
  { head: "p99", cell: (row) => ms(middle(row, (f) => f.p99Ms)) },
  { head: "max", cell: (row) => ms(middle(row, (f) => f.maxMs)) },
  { head: "final after", cell: finalAfter },
  { head: "spread", cell: (row) => ms(middle(row, (f) => f.spreadMs)) },
  { head: "issued (SQL)", cell: issued },
];

/** Columns that say nothing about speed and so stay readable in a void row. */
const withoutSpeed = new Set(["mechanism", "issued (SQL)"]);
const violationsShownMax = 5;

/** Whether a rush was right and clean in all rounds; the exit status depends on it. */
export function isRight(rounds: readonly Round[]): boolean {
  const results = rounds.flatMap((round) => round.results);
  const right = results.every((r) => r.violations.length === 0 && r.unclean.length === 0);
  return right && ceilingFaults(rounds).length === 0;
}

/** The empty handler has one answer; any other one means that its rate is no ceiling. */
function ceilingFaults(rounds: readonly Round[]): string[] {
  return rounds.flatMap(({ ceiling: { outcomes } }) => {
    const others = Object.values({ ...outcomes, issued: 0 }).some((times) => times > 0);
    return others ? [`empty handler: NOT CLEAN: ${outcomesText(outcomes)}`] : [];
  });
}

/** The table, the raw values behind its medians, and the verdict of every mechanism. */
export function reportText(rounds: readonly Round[]): string {
  const rows = rowsOf(rounds);
  const isVoid = rows.some(({ results }) => isVoidRow(results));
  return [
    ...(isVoid ? ["VOID: a run with a violation has no throughput. See the verdict.", ""] : []),
    ...table(rows),
    "",
    rounds.length === 1
      ? "One sample each: a difference between rows needs --repeat 5 or more."
      : `Medians of ${rounds.length} rounds; shares are medians of each round's own.`,
    ...rawValues(rows, rounds.length),
    "",
    ...rows.flatMap(outcomeLines),
    "",
    ...ceilingFaults(rounds),
    ...rows.flatMap(({ name, results }) => (results === null ? [] : verdict(name, results))),
  ].join("\n");
}

function rowsOf(rounds: readonly Round[]): Row[] {
  const names = [...new Set(rounds.flatMap(({ results }) => results.map((r) => r.mechanism)))];
  const order = ["row-lock", "redis-counter", "kafka-queue"];
  names.sort((a, b) => order.indexOf(a) - order.indexOf(b));
  const perSecond = (round: Round, mechanism: string): number | null => {
    const result = round.results.find((r) => r.mechanism === mechanism);
    return result === undefined || result.violations.length > 0
      ? null
      : result.figures.answersPerSecond;
  };
  const ratios = (mechanism: string, base: (round: Round) => number | null): number[] =>
    rounds.flatMap((round) => {
      const [own, other] = [perSecond(round, mechanism), base(round)];
      return own === null || other === null || other === 0 ? [] : [own / other];
    });
  const ceiling = {
    name: "empty handler",
    figures: rounds.map((round) => round.ceiling),
    ofCeiling: [],
    ofRowLock: [],
    results: null,
  };
  const rest = names.map((name) => {
    const results = rounds.flatMap((round) => round.results.filter((r) => r.mechanism === name));
    return {
      name,
      figures: results.map(({ figures }) => figures),
      ofCeiling: ratios(name, (round) => round.ceiling.answersPerSecond),
      ofRowLock: name === "row-lock" ? [] : ratios(name, (round) => perSecond(round, "row-lock")),
      results,
    };
  });
  return [ceiling, ...rest];
}

function isVoidRow(results: Row["results"]): boolean {
  return results?.some(({ violations }) => violations.length > 0) ?? false;
}

function table(rows: readonly Row[]): string[] {
  const cells = rows.map((row) =>
    columns.map(({ head, cell }) =>
      isVoidRow(row.results) && !withoutSpeed.has(head) ? "void" : cell(row),
    ),
  );
  const heads = columns.map(({ head }) => head);
  const widths = heads.map((head, i) =>
    Math.max(head.length, ...cells.map((row) => row[i]?.length ?? 0)),
  );
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
      .join("  ")
      .trimEnd();
  return [line(heads), widths.map((width) => "-".repeat(width)).join("  "), ...cells.map(line)];
}

function rawValues(rows: readonly Row[], rounds: number): string[] {
  if (rounds === 1) return [];
  const width = Math.max(...rows.map(({ name }) => name.length));
  const raw = (
    row: Row,
    value: (figures: Figures) => number,
    show: (n: number) => string,
  ): string =>
    isVoidRow(row.results) ? "void" : row.figures.map((f) => show(value(f))).join("  ");
  return [
    "",
    "Raw values by round",
    ...rows.flatMap((row) => [
      `  ${row.name.padEnd(width)}  answers/s    ${raw(row, (f) => f.answersPerSecond, count)}`,
      `  ${"".padEnd(width)}  last answer  ${raw(row, (f) => f.lastAnswerMs, ms)}`,
      `  ${"".padEnd(width)}  p99          ${raw(row, (f) => f.p99Ms, ms)}`,
    ]),
  ];
}

function outcomeLines({ name, figures, results }: Row): string[] {
  const texts = [...new Set(figures.map(({ outcomes }) => outcomesText(outcomes)))];
  const watchers = (results ?? []).flatMap((result) => {
    const { watchers } = result;
    if (watchers === null) return [];
    const again = watchers.reconnects > 0 ? `, ${watchers.reconnects} reconnects` : "";
    return [`${name}: ${watchers.sawEnd} of ${watchers.streams} watchers saw the end${again}`];
  });
  return [...texts.map((text) => `${name}: ${text}`), ...watchers];
}

function verdict(name: string, results: readonly RushResult[]): string[] {
  const unclean = results.flatMap((r) => r.unclean.map((text) => `  ${r.eventId}: ${text}`));
  const notClean = unclean.length === 0 ? [] : [`${name}: NOT CLEAN`, ...unclean];
  const wrong = results.filter(({ violations }) => violations.length > 0);
  if (wrong.length > 0) return [...wrong.flatMap(violationLines), ...notClean];
  const [first] = results;
  const expected = Math.min(first?.limit ?? 0, first?.users ?? 0);
  const words =
    `exactly ${expected} coupons, one per person; everyone told "issued" has the row with that ` +
    'code, nobody with a row was told "sold out"';
  return [`${name}: RIGHT: ${words}`, ...notClean];
}

function violationLines({ mechanism, eventId, violations }: RushResult): string[] {
  const rules = [...new Set(violations.map(({ rule }) => rule))];
  const shown = rules.flatMap((rule) => {
    const same = violations.filter((violation) => violation.rule === rule);
    const lines = same.slice(0, violationsShownMax).map(({ person, detail }) => {
      return `  ${rule}: ${person === null ? "" : `${person}: `}${detail}`;
    });
    const more = same.length - violationsShownMax;
    return more > 0 ? [...lines, `  ${rule}: and ${more} more`] : lines;
  });
  return [`${mechanism}: VOID on event ${eventId}, violations: ${violations.length}`, ...shown];
}

function middle({ figures }: Row, value: (figures: Figures) => number): number {
  return median(figures.map(value));
}

function count(value: number): string {
  return Math.round(value).toLocaleString("en");
}

function ms(value: number): string {
  return `${value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 1 : 0 })} ms`;
}

function share(ratios: readonly number[]): string {
  return ratios.length === 0 ? "" : `${Math.round(median(ratios) * 100)} %`;
}

function times(ratios: readonly number[]): string {
  return ratios.length === 0 ? "" : `${median(ratios).toFixed(1)} x`;
}

function finalAfter({ results }: Row): string {
  const values = (results ?? []).flatMap((r) => (r.finalAfterMs === null ? [] : [r.finalAfterMs]));
  return values.length === 0 ? "" : ms(median(values));
}

function issued({ results }: Row): string {
  return results === null
    ? ""
    : [...new Set(results.map(({ issuedRows }) => issuedRows.toLocaleString("en")))].join(" / ");
}
