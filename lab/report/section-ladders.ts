import type { Comparison, Subject } from "../compare/result.ts";
import { barChart, type Bar } from "./bars.ts";
import {
  byRound,
  claimed,
  rightRuns,
  spreadOf,
  unpublishable,
  widestNoise,
  type Claimed,
} from "./figures.ts";
import { markup, type Markup } from "./markup.ts";
import { inLadderOrder, namesOf, shortName, yardstick } from "./names.ts";
import { amount, ratio } from "./numbers.ts";
import { ratioCells, type Cell } from "./rows.ts";
import { noiseMark } from "./section-claims.ts";

type Ladder = {
  readonly title: string;
  readonly meaning: string;
  readonly figure: Claimed;
  /** The figure's own unit, where no ratio is drawn. */
  readonly unit: string;
  /** Whom every step is held against. */
  readonly base: Subject | null;
};

/** v1 → v2 → ... → ceiling: what a claim costs, and what each step gains; a point for every round. */
export function laddersSection(comparison: Comparison): Markup {
  const v1 = yardstick(comparison);
  const ladders: readonly Ladder[] = [
    {
      title: "Server CPU per claim",
      meaning:
        "What a claim costs the server's process, in its own code and in the kernel. Wall clocks of a shared machine are its neighbours' too; this is the server's own.",
      figure: claimed.cpu,
      unit: "µs",
      base: comparison.subjects.includes("ceiling") ? "ceiling" : null,
    },
    {
      title: "All answers per second",
      meaning:
        "How fast everybody has an answer, whatever it says: issued, sold out or a place in the line.",
      figure: claimed.answers,
      unit: "per second",
      base: v1,
    },
    {
      title: "Coupons issued per second",
      meaning: "How fast coupons become committed rows; the empty handler issues none.",
      figure: claimed.coupons,
      unit: "per second",
      base: v1,
    },
  ];
  return markup`<section aria-labelledby="ladder">
<h2 id="ladder">The ladder</h2>
<p class="meaning">Bar: the median round. Points: every round. A ratio is always of runs of the same round; within the shaded band it may be noise.</p>
${ladders.map((ladder) => ladderChart(comparison, ladder))}
</section>
`;
}

function ladderChart(comparison: Comparison, ladder: Ladder): Markup {
  const { title, meaning, figure, base } = ladder;
  const published = unpublishable(comparison).length === 0;
  const hasBase = base !== null && byRound(comparison, base, figure.value).size > 0;
  const ratios = published && hasBase ? ratioCells(comparison, base, figure) : null;
  const bars = inLadderOrder(comparison).flatMap((subject): Bar[] => {
    const figures = byRound(comparison, subject, figure.value);
    if (figures.size === 0 && subject === "ceiling") return [];
    const right = rightRuns(comparison, subject).length > 0;
    const cell = ratios?.find((one) => one.subject === subject) ?? null;
    const plain =
      figures.size === 0 ? "" : `${amount(spreadOf(figures.values())?.median ?? 0)} ${ladder.unit}`;
    return [
      {
        subject,
        names: namesOf(comparison, subject),
        values: ratios === null ? figures : ratiosOf(cell, subject === base, figures),
        note: noteOf(comparison, subject, { plain, cell }),
        absence: right ? "not measured" : "no right run",
      },
    ];
  });
  if (bars.every(({ values }) => values.size === 0)) {
    return markup`<h3>${title}</h3><p>No right run has this figure.</p>`;
  }
  if (ratios === null || base === null) {
    const why = published
      ? "Without a right run to hold them against"
      : "Since nothing is publishable";
    const note = `${meaning} ${why}, these are plain figures.`;
    return barChart(
      { title, meaning: note, unit: ladder.unit, show: amount, bars, scaleMax: null, noise: null },
      "h3",
    );
  }
  const unit = `× ${base === "ceiling" ? "empty" : shortName(comparison, base)}`;
  const noise = widestNoise(comparison, figure.noise);
  return barChart({ title, meaning, unit, show: ratio, bars, scaleMax: null, noise }, "h3");
}

/** The base itself is drawn as exactly one, in every round that it has. */
function ratiosOf(cell: Cell | null, isBase: boolean, figures: Bar["values"]): Bar["values"] {
  if (isBase) return new Map([...figures.keys()].map((round) => [round, 1]));
  return cell?.byRound ?? new Map();
}

function noteOf(
  comparison: Comparison,
  subject: Subject,
  { plain, cell }: { readonly plain: string; readonly cell: Cell | null },
): Markup {
  const { what } = namesOf(comparison, subject);
  return markup`${plain} ${noiseMark(cell?.judgement ?? null)} <span class="what">${what}</span>`;
}
