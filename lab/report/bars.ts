// Bars in plain HTML: they need no script, print, scale to any width, and every number is a text.
import type { Subject } from "../compare/result.ts";
import { spreadOf, type ByRound } from "./figures.ts";
import { markup, trusted, type Markup } from "./markup.ts";
import { amount, range, ticks } from "./numbers.ts";
import { longName } from "./subjects.ts";

export type Bar = {
  readonly subject: Subject;
  readonly values: ByRound;
  /** Beside the figures: what else belongs to this bar. */
  readonly note: Markup | null;
  /** Said in place of figures where there are none. */
  readonly absence: string;
};

export type BarChart = {
  readonly title: string;
  readonly meaning: string;
  readonly show: (value: number) => string;
  /** After the number: "× v1". */
  readonly unit: string;
  readonly bars: readonly Bar[];
  /** The end of the scale where several charts share one; null: the widest of these values. */
  readonly scaleMax: number | null;
};

/** Bars of the medians, with a point for every round, and the same numbers as a table. */
export function barChart(chart: BarChart, level: "h3" | "h4"): Markup {
  const values = chart.bars.flatMap((bar) => [...bar.values.values()]);
  const steps = ticks(chart.scaleMax ?? Math.max(0, ...values));
  const end = steps.at(-1) ?? 1;
  const at = (value: number): string => `${((value / end) * 100).toFixed(2)}%`;
  const heading = trusted(`<${level}>${markup`${chart.title}`.source}</${level}>`);
  return markup`<figure class="bars">
<figcaption>${heading}<p class="meaning">${chart.meaning}</p></figcaption>
${chart.bars.map((bar) => barRow(chart, bar, { at, steps }))}
<div class="axis" aria-hidden="true"><span class="scale">${steps.map(
    (step) => markup`<span style="left:${at(step)}">${amount(step)}</span>`,
  )}</span></div>
${barTable(chart)}
</figure>
`;
}

type Scale = { readonly at: (value: number) => string; readonly steps: readonly number[] };

function barRow(chart: BarChart, bar: Bar, { at, steps }: Scale): Markup {
  const spread = spreadOf(bar.values.values());
  const lines = steps.map((step) => markup`<i class="grid" style="left:${at(step)}"></i>`);
  if (spread === null) {
    return markup`<div class="bar ${bar.subject}"><p class="who">${longName(bar.subject)}</p>
<p class="figure absent">${bar.absence}</p><div class="track" aria-hidden="true">${lines}</div></div>
`;
  }
  const points = [...bar.values.values()].map(
    (value) => markup`<i class="round" style="left:${at(value)}"></i>`,
  );
  const [low, high] = [chart.show(spread.min), chart.show(spread.max)];
  const around = low === high ? null : markup`<span class="around">${range(low, high)}</span>`;
  return markup`<div class="bar ${bar.subject}"><p class="who">${longName(bar.subject)}</p>
<p class="figure"><b>${chart.show(spread.median)} ${chart.unit}</b> ${around}${bar.note}</p>
<div class="track" aria-hidden="true">${lines}<i class="fill" style="width:${at(spread.median)}"></i>${points}</div></div>
`;
}

function barTable({ title, unit, show, bars }: BarChart): Markup {
  const rounds = [...new Set(bars.flatMap((bar) => [...bar.values.keys()]))].sort((a, b) => a - b);
  const heads = rounds.map((round) => markup`<th scope="col">Round ${round}</th>`);
  const rows = bars.map((bar) => {
    const cells = rounds.map((round) => {
      const value = bar.values.get(round);
      return markup`<td>${value === undefined ? "–" : show(value)}</td>`;
    });
    return markup`<tr><th scope="row">${longName(bar.subject)}</th>${cells}</tr>`;
  });
  return markup`<details class="numbers"><summary>The numbers: ${title}</summary>
<div class="wide" role="region" aria-label="${title}, by round" tabindex="0"><table><caption>${unit === "" ? title : `${title}, ${unit}`}, by round</caption>
<thead><tr><th scope="col">Subject</th>${heads}</tr></thead><tbody>${rows}</tbody></table></div></details>`;
}
