// The headline: what a claim costs the server, how many answers a second, and whether it was right.
import type { Comparison, Subject } from "../compare/result.ts";
import { claimed, unpublishable, type Claimed, type Judgement, type Value } from "./figures.ts";
import { enginesCpu } from "./measures.ts";
import { inLadderOrder, longName, shortName, yardstick } from "./names.ts";
import { count, type Kind } from "./numbers.ts";
import { cellTexts, figureCells, ratioCells, type Cell } from "./rows.ts";

type HeadlineCell = {
  readonly middle: string;
  readonly around: string;
  /** Ratios only. */
  readonly judgement: Judgement | null;
};

export type Headline = {
  readonly heads: readonly string[];
  readonly lines: readonly {
    readonly subject: Subject;
    readonly name: string;
    readonly cells: readonly HeadlineCell[];
  }[];
};

type Column = { readonly head: string; readonly cell: (subject: Subject) => HeadlineCell };

/** One line for each subject; ratios only where they may be published. */
export function headlineOf(comparison: Comparison): Headline {
  const columns = columnsOf(comparison);
  return {
    heads: columns.map(({ head }) => head),
    lines: inLadderOrder(comparison).map((subject) => ({
      subject,
      name: longName(comparison, subject),
      cells: columns.map(({ cell }) => cell(subject)),
    })),
  };
}

function columnsOf(comparison: Comparison): readonly Column[] {
  const v1 = yardstick(comparison);
  const published = unpublishable(comparison).length === 0;
  const plain = (head: string, value: Value): Column =>
    columnOf(head, figureCells(comparison, value), "amount");
  const ratio = (head: string, base: Subject, figure: Claimed): readonly Column[] =>
    published ? [columnOf(head, ratioCells(comparison, base, figure), "ratio")] : [];
  return [
    { head: "right", cell: (subject) => rightRunsOf(comparison, subject) },
    plain("server CPU, µs a claim", claimed.cpu.value),
    ...ratio("of the empty handler's", "ceiling", claimed.cpu),
    plain("engines' CPU, µs a claim", enginesCpu),
    plain("answers/s", claimed.answers.value),
    ...(v1 === null ? [] : ratio(`times ${shortName(comparison, v1)}`, v1, claimed.answers)),
    { head: "issued (SQL)", cell: (subject) => issuedOf(comparison, subject) },
  ];
}

function columnOf(head: string, cells: readonly Cell[], kind: Kind): Column {
  return { head, cell: (subject) => cellOf(cells, subject, kind) };
}

function cellOf(cells: readonly Cell[], subject: Subject, kind: Kind): HeadlineCell {
  const { spread = null, judgement = null } = cells.find((cell) => cell.subject === subject) ?? {};
  return { ...cellTexts({ kind }, spread), judgement };
}

function rightRunsOf({ runs }: Comparison, subject: Subject): HeadlineCell {
  const own = runs.filter((run) => run.subject === subject);
  const right = own.filter(({ verdict }) => verdict.kind === "right").length;
  return { middle: `${right} of ${own.length}`, around: "", judgement: null };
}

function issuedOf({ runs }: Comparison, subject: Subject): HeadlineCell {
  const own = runs.filter((run) => run.subject === subject);
  const rows = [...new Set(own.flatMap(({ issuedRows }) => issuedRows ?? []))];
  const middle = rows.length === 0 ? "–" : rows.map(count).join(" / ");
  return { middle, around: "", judgement: null };
}
