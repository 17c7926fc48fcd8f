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
  reasonsOf,
  runName,
  verdictSentence,
} from "./facts.ts";
import { roundsOf } from "./figures.ts";
import { written } from "./numbers.ts";
import { cellTexts, rowsOf, type Cell, type Row } from "./rows.ts";
import { inLadderOrder, longName } from "./subjects.ts";

/** The same figures as the page, as text that can be pasted into a document. */
export function markdownSummary(comparison: Comparison): string {
  const { scenario, environment } = comparison;
  const rows = rowsOf(comparison);
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
    `**Verdict:** ${verdictSentence(comparison)}`,
    ...failures(comparison),
    "",
    ...findingsOf(comparison).map((finding) => {
      return `- ${findingText(finding)}: ${judgementText(comparison, finding)}`;
    }),
    "",
    ...cautions(comparison).map((text) => `- ${text}`),
    "",
    "Medians of the right runs (lowest–highest). Ratios are the median of each round's own ratio.",
    "",
    ...table(
      ["", ...inLadderOrder(comparison.subjects).map(longName)],
      rows.filter(({ key }) => key).map(figureLine),
    ),
    "",
    ...folded("All figures", [
      ...table(["", ...inLadderOrder(comparison.subjects).map(longName)], rows.map(figureLine)),
    ]),
    "",
    ...folded("Raw values by round", rawTable(comparison, rows)),
    "",
  ].join("\n");
}

function failures({ runs }: Comparison): readonly string[] {
  const lines = runs.flatMap((run) => {
    const { kind } = run.verdict;
    if (kind === "right") return [];
    const reasons = reasonsOf(run.verdict).map(plain).join("; ");
    return [`- **${kind}**: ${plain(runName(run))}, ${outcomesText(run.outcomes)}: ${reasons}`];
  });
  return lines.length === 0 ? [] : ["", ...lines];
}

function figureLine(row: Row): readonly string[] {
  return [nameOf(row), ...row.cells.map((cell) => figureText(row, cell))];
}

function figureText(row: Row, { spread, judgement }: Cell): string {
  const { middle, around } = cellTexts(row, spread);
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
        longName(subject),
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

function table(head: readonly string[], lines: readonly (readonly string[])[]): readonly string[] {
  const rule = head.map((_, column) => (column === 0 ? "---" : "---:"));
  return [head, rule, ...lines].map((cells) => `| ${cells.join(" | ")} |`);
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
