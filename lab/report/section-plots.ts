import type { Comparison } from "../compare/result.ts";
import { axisStyle, drawn, type EChartsOption, type Size } from "./chart.ts";
import { markup, trusted, type Markup } from "./markup.ts";
import { namesOf, type Names } from "./names.ts";
import { amount, range } from "./numbers.ts";
import type { Line, LinePlot } from "./plots.ts";

/** How a plot is introduced, and how its numbers are called and written. */
type Words = {
  readonly title: string;
  readonly meaning: string;
  readonly x: string;
  readonly y: string;
  readonly showX: (x: number) => string;
  readonly showY: (y: number) => string;
};

const words: Readonly<Record<LinePlot["id"], Words>> = {
  latency: {
    title: "Latency",
    meaning:
      "The share of answers that had come within a latency, from the intended time of each claim. Further left is faster; the horizontal scale is logarithmic.",
    x: "Latency, ms",
    y: "Share of answers, %",
    showX: amount,
    showY: (share) => share.toFixed(1),
  },
  "over-time": {
    title: "Answers over time",
    meaning:
      "Answers per second in each slice of the run. The same crowd each time: a lower curve lasts longer.",
    x: "Since the first claim, s",
    y: "Answers per second",
    showX: (ms) => (ms / 1_000).toLocaleString("en", { maximumSignificantDigits: 4 }),
    showY: amount,
  },
};

const plotHeight = 400;

/** The lines, a legend, and the same numbers as a table. */
export function plotSection(
  comparison: Comparison,
  id: LinePlot["id"],
  plot: LinePlot | null,
): Markup {
  const { title, meaning, x, y } = words[id];
  const head = markup`<h2 id="${id}">${title}</h2>
<p class="meaning">${meaning}</p>`;
  if (plot === null) {
    return markup`<section aria-labelledby="${id}">${head}<p>No right run measured it.</p></section>
`;
  }
  const named = plot.lines.map((line) => ({ line, names: namesOf(comparison, line.subject) }));
  const all = named.map(({ names }) => names.long).join(", ");
  const label = `${title}: ${y.toLowerCase()} by ${x.toLowerCase()}, for ${all}. The table below holds the same numbers.`;
  return markup`<section aria-labelledby="${id}">${head}
<figure class="plot">
${drawn({ label, height: plotHeight, option: (size) => optionOf(plot, named, size) })}${legend(named)}
<figcaption class="meaning">Line: the median of the rounds. Band: from the lowest to the highest round.</figcaption>
${plotTable(plot, named)}
</figure></section>
`;
}

type Named = { readonly line: Line; readonly names: Names };

function optionOf({ id, x }: LinePlot, named: readonly Named[], size: Size): EChartsOption {
  const latency = id === "latency";
  const { x: xName, y: yName, showX } = words[id];
  const axis = { ...axisStyle, nameLocation: "middle" } as const;
  const label = { ...axisStyle.axisLabel, hideOverlap: true };
  return {
    grid: { left: 64, right: 20, top: 14, bottom: 52 },
    xAxis: {
      ...axis,
      type: latency ? "log" : "value",
      name: xName,
      nameGap: 32,
      min: x[0] ?? 1,
      max: x.at(-1) ?? 1,
      splitNumber: size === "wide" ? 8 : 4,
      // The end of the time is no round number, and stands too near to one.
      axisLabel: { ...label, showMaxLabel: latency, formatter: (value: number) => showX(value) },
    },
    yAxis: {
      ...axis,
      type: "value",
      name: yName,
      nameGap: 48,
      min: 0,
      ...(latency ? { max: 100 } : {}),
      axisLabel: { ...label, formatter: (value: number) => amount(value) },
    },
    series: named.flatMap((one) => seriesOf(one, x, latency ? false : "end")),
  };
}

/** The band is two stacked lines that are not drawn: up to the lowest, and from there to the highest. */
function seriesOf({ line, names }: Named, x: readonly number[], step: false | "end"): object[] {
  const color = `var(--${names.tone})`;
  const points = (value: (index: number) => number | null | undefined): unknown[] =>
    x.map((at, index) => [at, value(index) ?? "-"]);
  const common = { type: "line", silent: true, symbol: "none", step } as const;
  const band = { ...common, stack: line.subject, lineStyle: { width: 0 } } as const;
  const width = (index: number): number | null => {
    const [low, high] = [line.low[index], line.high[index]];
    return low == null || high == null ? null : high - low;
  };
  return [
    { ...band, data: points((index) => line.low[index]) },
    { ...band, data: points(width), areaStyle: { color, opacity: 0.2 } },
    {
      ...common,
      data: points((index) => line.middle[index]),
      lineStyle: { color, width: 2.25, type: names.dash.length === 0 ? "solid" : [...names.dash] },
    },
  ];
}

function legend(named: readonly Named[]): Markup {
  const items = named.map(({ names }) => {
    const stroke = trusted(
      `<svg viewBox="0 0 36 8" aria-hidden="true"><path d="M1 4H35" stroke-dasharray="${names.dash.join(" ")}"/></svg>`,
    );
    return markup`<li class="${names.tone}">${stroke}${names.long}</li>
`;
  });
  return markup`<ul class="legend">
${items}</ul>`;
}

function plotTable({ id, x }: LinePlot, named: readonly Named[]): Markup {
  const { title, x: xName, y, showX, showY } = words[id];
  const heads = named.map(({ names }) => markup`<th scope="col">${names.long}</th>`);
  const rows = x.map((at, index) => {
    const cells = named.map(({ line: { middle, low, high } }) => {
      const [own, from, to] = [middle[index], low[index], high[index]].map((value) =>
        typeof value === "number" ? showY(value) : null,
      );
      if (!own || !from || !to) return markup`<td>–</td>`;
      return markup`<td>${own} <span class="around">${range(from, to)}</span></td>`;
    });
    return markup`<tr><th scope="row">${showX(at)}</th>${cells}</tr>
`;
  });
  return markup`<details class="numbers"><summary>The numbers: ${title}</summary>
<div class="wide-table tall" role="region" aria-label="${title}, all points" tabindex="0"><table><caption>${y}: median, lowest to highest round</caption>
<thead><tr><th scope="col">${xName}</th>${heads}</tr></thead><tbody>
${rows}</tbody></table></div></details>`;
}
