// The one table that the HTML and the Markdown both show: measures and ratios by subject.
import type { Comparison, Subject } from "../compare/result.ts";
import {
  byRound,
  claimed,
  judged,
  noiseOf,
  ratiosByRound,
  spreadOf,
  unpublishable,
  type ByRound,
  type Claimed,
  type Judgement,
  type Spread,
  type Value,
} from "./figures.ts";
import { measuresOf, type Measure } from "./measures.ts";
import { inLadderOrder, shortName, yardstick } from "./names.ts";
import { range, written, type Kind } from "./numbers.ts";

export type Row = Omit<Measure, "value"> & {
  /** Whether it is among the few that a reader looks for first. */
  readonly key: boolean;
  readonly cells: readonly Cell[];
};

export type Cell = {
  readonly subject: Subject;
  readonly byRound: ByRound;
  /** Null: no right run has this figure. */
  readonly spread: Spread | null;
  /** Ratios only. */
  readonly judgement: Judgement | null;
};

const keyRows = new Set([
  "Server CPU",
  "Engines' CPU",
  "Answers per second",
  "Coupons issued per second",
  "Last answer",
  "Last verdict",
  "Last row durable",
  "Latency p50",
  "Latency p99",
  "Latency p99.9",
  "Latency max",
  "Coupons that changed hands",
]);

/** All rows that at least one subject has a figure for, in the order of reading. */
export function rowsOf(comparison: Comparison): readonly Row[] {
  return measuresOf(comparison)
    .flatMap((measure) => [measureRow(comparison, measure), ...ratioRows(comparison, measure)])
    .filter(({ cells }) => cells.some(({ spread }) => spread !== null));
}

/** The names of the measures that no right run has. */
export function notMeasured(comparison: Comparison): readonly string[] {
  return measuresOf(comparison)
    .filter((measure) => {
      const { cells } = measureRow(comparison, measure);
      return cells.every(({ spread }) => spread === null);
    })
    .map(({ name }) => name);
}

/** The middle of a cell, and the range around it; a dash where there is nothing to say. */
export function cellTexts(
  { kind }: { readonly kind: Kind },
  spread: Spread | null,
): { readonly middle: string; readonly around: string } {
  if (spread === null) return { middle: "–", around: "" };
  const [low, high] = [written(spread.min, kind), written(spread.max, kind)];
  return { middle: written(spread.median, kind), around: low === high ? "" : range(low, high) };
}

/** A figure of every subject, by round. */
export function figureCells(comparison: Comparison, value: Value): readonly Cell[] {
  return inLadderOrder(comparison).map((subject): Cell => {
    const values = byRound(comparison, subject, value);
    return { subject, byRound: values, spread: spreadOf(values.values()), judgement: null };
  });
}

/** How many times the base's figure each subject's is, with the judgement of that. */
export function ratioCells(
  comparison: Comparison,
  base: Subject,
  { value, noise }: Claimed,
): readonly Cell[] {
  return inLadderOrder(comparison).map((subject) => {
    // A subject is exactly once itself: that would look like a result and is none.
    if (subject === base) return { subject, byRound: new Map(), spread: null, judgement: null };
    const pair = { subject, base };
    const ratios = ratiosByRound(comparison, pair, value);
    const spread = spreadOf(ratios.values());
    const judgement = spread === null ? null : judged(noiseOf(comparison, pair, noise), spread);
    return { subject, byRound: ratios, spread, judgement };
  });
}

function measureRow(comparison: Comparison, measure: Measure): Row {
  const { value, ...shown } = measure;
  const cells = figureCells(comparison, value);
  return { ...shown, key: keyRows.has(measure.name), cells };
}

function ratioRows(comparison: Comparison, { value, name, group }: Measure): readonly Row[] {
  const figure = Object.values(claimed).find((one) => one.value === value);
  if (figure === undefined || unpublishable(comparison).length > 0) return [];
  return basesOf(comparison, figure).map((base) => ({
    group,
    name: ratioName(comparison, base),
    unit: "",
    meaning: `${name}: the median of each round's own ratio, not the ratio of two medians.`,
    kind: "ratio",
    key: true,
    cells: ratioCells(comparison, base, figure),
  }));
}

/** Whom a figure is held against: the empty handler has no coupons, and its cost is the least. */
function basesOf(comparison: Comparison, figure: Claimed): readonly Subject[] {
  const ceiling = comparison.subjects.includes("ceiling") ? ["ceiling"] : [];
  if (figure === claimed.cpu) return ceiling;
  const v1 = yardstick(comparison);
  const first = v1 === null ? [] : [v1];
  return figure === claimed.coupons ? first : [...first, ...ceiling];
}

function ratioName(comparison: Comparison, base: Subject): string {
  return base === "ceiling" ? "… of the empty handler's" : `… times ${shortName(comparison, base)}`;
}
