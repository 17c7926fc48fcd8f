import type { Comparison, Subject } from "../compare/result.ts";
import { outcomesText } from "../crowd/statistics.ts";
import {
  cautions,
  dirtyText,
  factsOf,
  findingsOf,
  findingText,
  judgementText,
  judgementTexts,
  publishingText,
  reasonsOf,
  runName,
  verdictOf,
  verdictSentence,
} from "./facts.ts";
import { roundsOf, type Judgement } from "./figures.ts";
import { headlineOf } from "./headline.ts";
import { inLadderOrder, longName } from "./names.ts";
import { written } from "./numbers.ts";
import { cellTexts, rowsOf, type Cell, type Row } from "./rows.ts";

/** The same figures as the page, as text that can be pasted into a document. */
export function markdownSummary(comparison: Comparison): string {
  const rows = rowsOf(comparison);
  return [
    summaryHead(comparison),
    ...folded("All figures", figureTable(comparison, rows)),
    "",
    ...folded("Raw values by round", rawTable(comparison, rows)),
    "",
  ].join("\n");
}

/** Its first part, which is also what the command prints. */
export function summaryHead(comparison: Comparison): string {
  const { scenario, environment } = comparison;
  const facts = factsOf(comparison).map(({ name, text }) => {
    const dirty = name === "Commit" && environment.dirty ? ` **(${dirtyText})**` : "";
    const shown = name === "Command" || name === "Commit" ? code(text) : plain(text);
    return `- ${name}: ${shown}${dirty}`;
  });
  return [
    `### ${plain(scenario.name)}`,
    "",
    ...facts,
    "",
    `**Verdict: ${verdictOf(comparison)}.** ${verdictSentence(comparison)}`,
    ...failures(comparison),
    ...watchers(comparison),
    "",
    publishingText(comparison),
    "",
    ...headlineTable(comparison),
    "",
    ...findingsOf(comparison).map((finding) => {
      return `- ${findingText(comparison, finding)}: ${judgementText(comparison, finding)}`;
    }),
    ...cautions(comparison).map((text) => `- ${text}`),
    "",
    "Medians of the right runs (lowest–highest). Ratios are the median of each round's own ratio.",
    "",
    ...figureTable(
      comparison,
      rowsOf(comparison).filter(({ key }) => key),
    ),
    "",
  ].join("\n");
}

function headlineTable(comparison: Comparison): readonly string[] {
  const { heads, lines } = headlineOf(comparison);
  return table(
    ["", ...heads],
    lines.map(({ name, cells }) => [plain(name), ...cells.map(noted)]),
  );
}

function failures(comparison: Comparison): readonly string[] {
  const lines = comparison.runs.flatMap((run) => {
    const { kind } = run.verdict;
    if (kind === "right") return [];
    const reasons = reasonsOf(run.verdict).map(plain).join("; ");
    const name = plain(runName(comparison, run));
    return [`- **${kind}**: ${name}, ${outcomesText(run.outcomes)}: ${reasons}`];
  });
  return lines.length === 0 ? [] : ["", ...lines];
}

function watchers(comparison: Comparison): readonly string[] {
  const lines = comparison.runs.flatMap((run) => {
    if (run.watching === null) return [];
    const { streams, sawEnd, reconnects } = run.watching;
    const again = reconnects > 0 ? `, ${reconnects} reconnects` : "";
    const name = plain(runName(comparison, run));
    return [`- ${name}: ${sawEnd} of ${streams} watchers saw the end${again}`];
  });
  return lines.length === 0 ? [] : ["", ...lines];
}

function figureTable(comparison: Comparison, rows: readonly Row[]): readonly string[] {
  const subjects = inLadderOrder(comparison).map((name) => plain(longName(comparison, name)));
  return table(
    ["", ...subjects],
    rows.map((row) => [nameOf(row), ...row.cells.map((cell) => figureText(row, cell))]),
  );
}

function figureText(row: Row, { spread, judgement }: Cell): string {
  return noted({ ...cellTexts(row, spread), judgement });
}

function noted(cell: {
  readonly middle: string;
  readonly around: string;
  readonly judgement: Judgement | null;
}): string {
  const { middle, around, judgement } = cell;
  const noise = judgement === null || judgement === "beyond-noise" ? "" : judgementTexts[judgement];
  const notes = [around, noise].filter((text) => text !== "");
  return notes.length === 0 ? middle : `${middle} (${notes.join(", ")})`;
}

function rawTable(comparison: Comparison, rows: readonly Row[]): readonly string[] {
  const rounds = roundsOf(comparison);
  const lines = rows.flatMap((row) =>
    row.cells
      .filter(({ spread }) => spread !== null)
      .map(({ subject, byRound }) => [
        nameOf(row),
        plain(longName(comparison, subject)),
        ...rounds.map((round) => {
          const value = byRound.get(round);
          if (value !== undefined) return written(value, row.kind);
          return verdictWithoutFigures(comparison, subject, round) ?? "–";
        }),
      ]),
  );
  return table(["", "subject", ...rounds.map((round) => `round ${round}`)], lines);
}

/** Why a round has no figure: the verdict of its run, where that is not right. */
function verdictWithoutFigures(
  { runs }: Comparison,
  subject: Subject,
  round: number,
): string | null {
  const run = runs.find((one) => one.subject === subject && one.round === round && !one.twin);
  return run === undefined || run.verdict.kind === "right" ? null : run.verdict.kind;
}

function nameOf({ name, unit }: Row): string {
  return plain(unit === "" ? name : `${name}, ${unit}`);
}

/** Columns of one width, so that a terminal shows it as a table too. */
function table(head: readonly string[], lines: readonly (readonly string[])[]): readonly string[] {
  const widths = head.map((_, column) =>
    Math.max(3, ...[head, ...lines].map((cells) => cells[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string => {
    const padded = cells.map((cell, column) => {
      const width = widths[column] ?? 0;
      return column === 0 ? cell.padEnd(width) : cell.padStart(width);
    });
    return `| ${padded.join(" | ")} |`;
  };
  const rule = widths.map((width, column) =>
    column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`,
  );
  return [head, rule, ...lines].map(line);
}

function folded(title: string, lines: readonly string[]): readonly string[] {
  return [`<details><summary>${title}</summary>`, "", ...lines, "", "</details>"];
}

/** Text of a result in Markdown: no tag, no column, no new line. */
function plain(text: string): string {
  return text.replace(/\s+/g, " ").replace(/[\\`*_[\]<>|]/g, String.raw`\$&`);
}

/** A command as code, between more backticks than it holds itself. */
function code(text: string): string {
  const longest = Math.max(0, ...Array.from(text.matchAll(/`+/g), ([ticks]) => ticks.length));
  const fence = "`".repeat(longest + 1);
  return longest === 0 ? `${fence}${text}${fence}` : `${fence} ${text} ${fence}`;
}
