// The picture at the top of the README, made of a comparison's own runs:
//
//   node lab/report/story.ts docs/results/rush/comparison.json docs/images/story.svg
//
// A lane for each subject, one axis of time and one scale of answers for all lanes: whoever is slow
// is a low line that goes on, whoever is quick a needle.
import { readFileSync, writeFileSync } from "node:fs";

import type { Comparison, Subject } from "../compare/result.ts";
import { median } from "../crowd/statistics.ts";
import { axisStyle, svgOf, type EChartsOption } from "./chart.ts";
import { rightRuns } from "./figures.ts";
import { namesOf } from "./names.ts";
import { amount } from "./numbers.ts";
import { overTimePlot, type Line } from "./plots.ts";

const size = {
  width: 900,
  laneHeight: 62,
  laneGap: 14,
  top: 34,
  bottom: 22,
  left: 150,
  right: 170,
};

/** A needle is as thin as the runs know it. */
const slicesMax = 600;

/** The page's tones. GitHub shows the picture as a file: it has to bring them along. */
const style = `<style>
svg{--ink:#1d1a14;--soft:#6b6455;--line:#e4dfd3;--tone-1:#b8401f;--tone-2:#1f62ad;--tone-3:#0c7a5a;--tone-4:#94560a;--tone-5:#a02c6b;--tone-6:#4b6a12;--tone-ceiling:#6b6455;--tone-target:#7d3f9e}
@media(prefers-color-scheme:dark){svg{--ink:#f1ece0;--soft:#b4ab9a;--line:#3a352b;--tone-1:#ff8f6b;--tone-2:#7db5f7;--tone-3:#5fd0a3;--tone-4:#e8b04b;--tone-5:#f49ac6;--tone-6:#b5d363;--tone-ceiling:#b4ab9a;--tone-target:#d3a4f0}}
</style>`;

/** Throws where no run was right: then there is nothing to tell. */
export function storySvg(comparison: Comparison): string {
  const plot = overTimePlot(comparison, slicesMax);
  if (plot === null) throw new Error("No run of this comparison was right.");
  const { x, lines } = plot;
  const height = size.top + lines.length * (size.laneHeight + size.laneGap) + size.bottom;
  const option = optionOf(comparison, { x, lines });
  const svg = svgOf(option, { width: size.width, height });
  const label = lines.map(({ subject }) => laneText(comparison, subject)).join("; ");
  return svg.replace(/^<svg /, `<svg role="img" aria-label="${label}" `).replace(">", `>${style}`);
}

function optionOf(
  comparison: Comparison,
  { x, lines }: { readonly x: readonly number[]; readonly lines: readonly Line[] },
): EChartsOption {
  const most = Math.max(...lines.flatMap(({ middle }) => middle.map((value) => value ?? 0)));
  const { people, limit } = comparison.scenario;
  return {
    title: [
      text(`${people.toLocaleString("en")} people claim at one instant; ${limit} coupons`, {
        left: 0,
        top: 4,
        bold: true,
      }),
      ...lines.flatMap(({ subject }, lane) => [
        text(namesOf(comparison, subject).long, { left: 0, top: topOf(lane) + 20, bold: true }),
        text(laneFigures(comparison, subject), {
          left: size.width - size.right + 12,
          top: topOf(lane) + 12,
          bold: false,
        }),
      ]),
    ],
    grid: lines.map((_, lane) => ({
      left: size.left,
      right: size.right,
      top: topOf(lane),
      height: size.laneHeight,
    })),
    xAxis: lines.map((_, lane) => ({
      ...axisStyle,
      type: "value",
      gridIndex: lane,
      min: 0,
      max: x.at(-1) ?? 1,
      splitLine: { show: false },
      axisLine: { show: true, lineStyle: { color: "var(--line)" } },
      axisLabel: {
        ...axisStyle.axisLabel,
        show: lane === lines.length - 1,
        showMaxLabel: false,
        formatter: inSeconds,
      },
    })),
    yAxis: lines.map((_, lane) => ({ type: "value", gridIndex: lane, show: false, max: most })),
    series: lines.map(({ subject, middle }, lane) => {
      const color = `var(--${namesOf(comparison, subject).tone})`;
      return {
        type: "line",
        xAxisIndex: lane,
        yAxisIndex: lane,
        symbol: "none",
        step: "end",
        lineStyle: { color, width: 1.5 },
        areaStyle: { color, opacity: 0.35 },
        data: x.map((ms, point) => [ms, middle[point] ?? "-"]),
      };
    }),
  };
}

function topOf(lane: number): number {
  return size.top + lane * (size.laneHeight + size.laneGap);
}

function inSeconds(ms: number): string {
  return `${ms / 1_000} s`;
}

function text(
  words: string,
  { left, top, bold }: { readonly left: number; readonly top: number; readonly bold: boolean },
): object {
  const color = bold ? "var(--ink)" : "var(--soft)";
  return {
    text: words,
    left,
    top,
    padding: 0,
    textStyle: { fontSize: 13, lineHeight: 18, fontWeight: bold ? 600 : 400, color },
  };
}

function laneText(comparison: Comparison, subject: Subject): string {
  return `${namesOf(comparison, subject).long}: ${laneFigures(comparison, subject).replace("\n", ", ")}`;
}

/** Medians of the right runs. */
function laneFigures(comparison: Comparison, subject: Subject): string {
  const runs = rightRuns(comparison, subject);
  const seconds = (median(runs.map(({ lastAnswerMs }) => lastAnswerMs)) / 1_000).toFixed(1);
  const answers = amount(median(runs.map(({ answersPerSecond }) => answersPerSecond ?? 0)));
  return `all answered in ${seconds} s\n${answers} answers/s`;
}

if (import.meta.main) {
  const [from, to] = process.argv.slice(2);
  if (from === undefined || to === undefined)
    throw new Error("Name a comparison.json and an .svg.");
  const comparison: Comparison = JSON.parse(readFileSync(from, "utf8"));
  writeFileSync(to, `${storySvg(comparison)}\n`);
}
