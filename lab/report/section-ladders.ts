import type { Comparison, Subject } from "../compare/result.ts";
import { barChart, type Bar } from "./bars.ts";
import {
  answersPerSecond,
  byRound,
  issuedPerSecond,
  judged,
  ratiosByRound,
  rightRuns,
  spreadOf,
  type ByRound,
  type Value,
} from "./figures.ts";
import { markup, type Markup } from "./markup.ts";
import { amount, ratio } from "./numbers.ts";
import { noiseMark } from "./section-claims.ts";
import { describedAs, inLadderOrder } from "./subjects.ts";

const withoutBase = "Without a right run of v1 there is no gain: these are plain figures.";

type Ladder = { readonly title: string; readonly meaning: string; readonly value: Value };

const ladders: readonly Ladder[] = [
  {
    title: "All answers per second",
    meaning:
      "How fast everybody has an answer, whatever it says: issued, sold out or a place in the line.",
    value: answersPerSecond,
  },
  {
    title: "Coupons issued per second",
    meaning: "How fast coupons become committed rows; the empty handler issues none.",
    value: issuedPerSecond,
  },
];

/** v1 → v2 → v3 → ceiling: what each step gains, a point for every round. */
export function laddersSection(comparison: Comparison): Markup {
  return markup`<section aria-labelledby="ladder">
<h2 id="ladder">The ladder of gains</h2>
<p class="meaning">Bar: the median round. Points: every round. A gain is always against v1's run of the same round.</p>
${ladders.map((ladder) => ladderChart(comparison, ladder))}
</section>
`;
}

function ladderChart(comparison: Comparison, { title, meaning, value }: Ladder): Markup {
  const subjects = inLadderOrder(comparison.subjects);
  const base = byRound(comparison, "row-lock", value);
  // Without a right run of v1 there is no gain to speak of: then the plain figures are drawn.
  const plain = base.size === 0;
  const bars = subjects.flatMap((subject): Bar[] => {
    const figures = byRound(comparison, subject, value);
    if (subject === "ceiling" && figures.size === 0) return [];
    const ratios = ratiosByRound(comparison, { subject, base: "row-lock" }, value);
    const note = plain ? null : ladderNote(comparison, { subject, figures, ratios });
    const absence = rightRuns(comparison, subject).length === 0 ? "no right run" : "not measured";
    return [{ subject, values: plain ? figures : ratios, note, absence }];
  });
  if (bars.every(({ values }) => values.size === 0)) {
    return markup`<h3>${title}</h3><p>No right run has this figure.</p>`;
  }
  const chart = plain
    ? { meaning: `${meaning} ${withoutBase}`, unit: "per second", show: amount }
    : { meaning, unit: "× v1", show: ratio };
  return barChart({ title, ...chart, bars, scaleMax: null }, "h3");
}

type Rung = { readonly subject: Subject; readonly figures: ByRound; readonly ratios: ByRound };

function ladderNote(comparison: Comparison, { subject, figures, ratios }: Rung): Markup {
  const perSecond = spreadOf(figures.values());
  const gain = spreadOf(ratios.values());
  const pair = { subject, base: "row-lock" } as const;
  const judgement = gain === null || subject === "row-lock" ? null : judged(comparison, pair, gain);
  const text = perSecond === null ? "" : `${amount(perSecond.median)} per second`;
  return markup` <span class="note">${text} ${noiseMark(judgement)}</span><span class="what">${describedAs(subject)}</span>`;
}
