// Static drawings by Apache ECharts, made while the report is written: the page needs no script and
// asks for nothing. Colours are variables of the style sheet, so that light, dark and print share them.
import { createRequire } from "node:module";
import type * as echarts from "echarts";
import type { EChartsOption } from "echarts";

import { markup, trusted, type Markup } from "./markup.ts";

// Its one built file for `require`: the same library as modules is some hundred files, which take ten
// times as long to load.
const { init }: typeof echarts = createRequire(import.meta.url)("echarts");

export type { EChartsOption };

/** One drawing for a wide page and one for a phone: text that is scaled down cannot be read. */
export type Size = "wide" | "narrow";

export type Drawing = {
  /** What is drawn, in a sentence: a reader who sees no picture gets this, and the table beside it. */
  readonly label: string;
  readonly height: number;
  readonly option: (size: Size) => EChartsOption;
};

const widths: Readonly<Record<Size, number>> = { wide: 960, narrow: 360 };

/** Text and lines of every axis. */
export const axisStyle = {
  axisLabel: { color: "var(--soft)", fontSize: 12 },
  axisLine: { show: false },
  axisTick: { show: false },
  splitLine: { show: true, lineStyle: { color: "var(--line)" } },
  nameTextStyle: { color: "var(--soft)", fontSize: 12 },
} as const;

/** The picture, at both sizes; the style sheet shows the one that fits. */
export function drawn({ label, height, option }: Drawing): Markup {
  const pictures = (["wide", "narrow"] as const).map((size) => {
    const source = svgOf(option(size), { width: widths[size], height });
    return markup`<div class="drawing ${size}" role="img" aria-label="${label}">${trusted(source)}</div>
`;
  });
  return markup`${pictures}`;
}

/** One picture by itself. */
export function svgOf(option: EChartsOption, size: { width: number; height: number }): string {
  const chart = init(null, null, { renderer: "svg", ssr: true, ...size });
  try {
    const fonts = { fontFamily: "system-ui, sans-serif" };
    chart.setOption({ ...option, animation: false, textStyle: fonts });
    return cleaned(chart.renderToSVGString());
  } finally {
    chart.dispose();
  }
}

/** Without what only a script would read, and without numbers that differ from process to process. */
function cleaned(svg: string): string {
  const ids = new Map<string, string>();
  drawings += 1;
  return svg
    .replaceAll(/ ecmeta_\w+="[^"]*"/g, "")
    .replaceAll(/ class="zr\d+-cls-\d+"/g, "")
    .replaceAll(/<style[^>]*>.*?<\/style>/gs, "")
    .replaceAll(/\bzr\d+-[a-z]\d+\b/g, (id) => {
      const own = ids.get(id) ?? `d${drawings}-${ids.size}`;
      ids.set(id, own);
      return own;
    });
}

/** Clip paths are found by ids, which must differ from drawing to drawing. */
let drawings = 0;
