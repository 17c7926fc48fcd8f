import type { Comparison, Fairness } from "../compare/result.ts";
import { barChart, type Bar } from "./bars.ts";
import { byRound, type Value } from "./figures.ts";
import { markup, type Markup } from "./markup.ts";
import { inLadderOrder, namesOf } from "./names.ts";
import { amount } from "./numbers.ts";

/** How far "first come, first served" was kept. */
export function fairnessSection(comparison: Comparison): Markup {
  const head = markup`<h2 id="fairness">Fairness</h2>
<p class="meaning">How far the order of issue differs from the order in which people's claims were sent. At one instant nobody can be perfectly fair: the network and the kernel mix the crowd before the server sees it.</p>`;
  const changed = barsOf(comparison, ({ changedHands }) => changedHands);
  if (changed.length === 0) {
    return markup`<section aria-labelledby="fairness">${head}<p>No right run measured it.</p></section>
`;
  }
  const displaced = (["p50", "p99", "max"] as const).map((key) => ({
    key,
    bars: barsOf(comparison, ({ displacement }) => displacement[key]),
  }));
  const widest = Math.max(...displaced.flatMap(({ bars }) => bars.flatMap(valuesOf)));
  const meanings = {
    p50: "Half of the holders were moved by no more than this.",
    p99: "All holders but one in a hundred were moved by no more than this.",
    max: "The holder who was moved the farthest.",
  };
  return markup`<section aria-labelledby="fairness">${head}
${barChart(
  {
    title: "Coupons that changed hands",
    meaning: `They went to somebody who was not among the first ${amount(comparison.scenario.limit)} to arrive.`,
    unit: `of ${amount(comparison.scenario.limit)}`,
    show: amount,
    bars: changed,
    scaleMax: null,
    noise: null,
  },
  "h3",
)}
<h3>Displacement</h3>
<p class="meaning">Places between a coupon holder's arrival among all people and the coupon's number. The three share one scale.</p>
<div>${displaced.map(({ key, bars }) =>
    barChart(
      {
        title: `Displacement ${key}, places`,
        meaning: meanings[key],
        unit: "",
        show: amount,
        bars,
        scaleMax: widest,
        noise: null,
      },
      "h4",
    ),
  )}</div>
</section>
`;
}

function barsOf(comparison: Comparison, pick: (fairness: Fairness) => number): readonly Bar[] {
  const value: Value = (run) => (run.fairness === null ? null : pick(run.fairness));
  return inLadderOrder(comparison)
    .map((subject) => ({
      subject,
      names: namesOf(comparison, subject),
      values: byRound(comparison, subject, value),
      note: null,
      absence: "",
    }))
    .filter(({ values }) => values.size > 0);
}

function valuesOf({ values }: Bar): readonly number[] {
  return [...values.values()];
}
