// Bars of medians with a point for every round, and the same numbers as a table.
import type { Subject } from "../compare/result.ts";
import { axisStyle, drawn, type EChartsOption, type Size } from "./chart.ts";
import { spreadOf, type ByRound } from "./figures.ts";
import { markup, trusted, type Markup } from "./markup.ts";
import type { Names } from "./names.ts";
import { amount, range } from "./numbers.ts";

export type Bar = {
  readonly subject: Subject;
  readonly names: Names;
  readonly values: ByRound;
  /** In the table: what else belongs to this bar. */
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
  /** A ratio within this difference from 1 is noise; null where nothing is held against 1. */
  readonly noise: number | null;
};

const rowHeight = 52;
const axisHeight = 34;

export function barChart(chart: BarChart, level: "h3" | "h4"): Markup {
  const heading = trusted(`<${level}>${markup`${chart.title}`.source}</${level}>`);
  const told = chart.bars.map((bar) => `${bar.names.long}: ${figureText(chart, bar, " ")}`);
  return markup`<figure class="bars">
<figcaption>${heading}<p class="meaning">${chart.meaning}</p></figcaption>
${drawn({
  label: `${chart.title}. ${told.join("; ")}.`,
  height: chart.bars.length * rowHeight + axisHeight,
  option: (size) => optionOf(chart, size),
})}${barTable(chart)}
</figure>
`;
}

function figureText({ show, unit }: BarChart, { values, absence }: Bar, gap: string): string {
  const spread = spreadOf(values.values());
  if (spread === null) return absence;
  const [low, high] = [show(spread.min), show(spread.max)];
  const around = low === high ? "" : `${gap}(${range(low, high)})`;
  return `${show(spread.median)} ${unit}`.trimEnd() + around;
}

function optionOf(chart: BarChart, size: Size): EChartsOption {
  const { scaleMax } = chart;
  const wide = size === "wide";
  return {
    grid: { left: wide ? 180 : 100, right: wide ? 250 : 120, top: 4, bottom: axisHeight - 8 },
    xAxis: {
      ...axisStyle,
      type: "value",
      min: 0,
      ...(scaleMax === null ? {} : { max: scaleMax }),
      splitNumber: wide ? 5 : 2,
      axisLabel: { ...axisStyle.axisLabel, formatter: (value: number) => amount(value) },
    },
    yAxis: sidesOf(chart, wide),
    series: [medians(chart), rounds(chart)],
  };
}

const side = { ...axisStyle, type: "category", inverse: true, splitLine: { show: false } } as const;
const sideLabel = { fontSize: 13, overflow: "break", lineHeight: 17 } as const;

/** Who it is on the left, the figures on the right. */
function sidesOf(chart: BarChart, wide: boolean): object[] {
  const names = chart.bars.map(({ names: { long, tone } }) => ({
    value: long,
    textStyle: { color: `var(--${tone})`, fontWeight: 600 },
  }));
  const figures = chart.bars.map((bar) => figureText(chart, bar, wide ? "  " : "\n"));
  const figureLabel = { ...sideLabel, width: wide ? 238 : 112, color: "var(--ink)" };
  return [
    { ...side, data: names, axisLabel: { ...sideLabel, width: wide ? 168 : 76 } },
    { ...side, data: figures, position: "right", axisLabel: figureLabel },
  ];
}

function medians({ bars, noise }: BarChart): object {
  return {
    type: "bar",
    silent: true,
    barWidth: 18,
    data: bars.map(({ values, names }) => ({
      value: spreadOf(values.values())?.median ?? "-",
      itemStyle: { color: `var(--${names.tone})`, opacity: 0.42 },
    })),
    ...(noise === null ? {} : { markArea: noiseArea(noise) }),
  };
}

function rounds({ bars }: BarChart): object {
  const border = { borderColor: "var(--sheet)", borderWidth: 1.5, opacity: 1 };
  const data = bars.flatMap(({ values, names }, row) =>
    [...values.values()].map((value) => ({
      value: [value, row],
      itemStyle: { color: `var(--${names.tone})`, ...border },
    })),
  );
  return { type: "scatter", silent: true, symbolSize: 9, data };
}

/** Where a ratio could as well be 1. */
function noiseArea(noise: number): object {
  const itemStyle = { color: "var(--warn)", opacity: 0.16 };
  return {
    silent: true,
    itemStyle,
    data: [[{ xAxis: 1 / (1 + noise) }, { xAxis: 1 + noise }]],
  };
}

function barTable({ title, unit, show, bars }: BarChart): Markup {
  const rounds = [...new Set(bars.flatMap((bar) => [...bar.values.keys()]))].sort((a, b) => a - b);
  const heads = rounds.map((round) => markup`<th scope="col">Round ${round}</th>`);
  const rows = bars.map((bar) => {
    const cells = rounds.map((round) => {
      const value = bar.values.get(round);
      return markup`<td>${value === undefined ? "–" : show(value)}</td>`;
    });
    const spread = spreadOf(bar.values.values());
    const middle = spread === null ? bar.absence : show(spread.median);
    return markup`<tr class="${bar.names.tone}"><th scope="row">${bar.names.long}</th><td>${middle}</td>${cells}<td class="text">${bar.note}</td></tr>
`;
  });
  return markup`<details class="numbers"><summary>The numbers: ${title}</summary>
<div class="wide-table" role="region" aria-label="${title}, by round" tabindex="0"><table><caption>${unit === "" ? title : `${title}, ${unit}`}, by round</caption>
<thead><tr><th scope="col">Subject</th><th scope="col">Median</th>${heads}<th scope="col" class="text">Notes</th></tr></thead><tbody>${rows}</tbody></table></div></details>`;
}
