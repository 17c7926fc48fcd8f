/** How a chart is drawn: its axes, its scales and its lines, for uPlot. */

// The server serves it beside the page, from the package: an absolute path by nature, and one that
// only TypeScript (by "paths") knows to have a default export.
// oxlint-disable-next-line import/no-absolute-path, import/default
import UPlot from "./vendor/uplot/uPlot.esm.js";

const Y_AXIS_PX = 52;
const X_AXIS_PX = 28;
const POINT_PX = 5;
const LABEL_GAP_PX = 74;
const FONT = '12px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans KR", sans-serif';
/** A chart of whole things has no ticks between them. */
const WHOLE_STEPS = [1, 100, 10_000].flatMap((scale) =>
  [1, 2, 5, 10, 20, 50].map((step) => step * scale),
);
const TOP_MIN = 4;
const DECADES = { low: 1e-4, high: 100 };
const DASHES = { plain: [], fine: [], dashed: [5, 4] };
const WIDTHS = { plain: 2, fine: 1, dashed: 1.5 };

/** @typedef {import("./chart.js").Kind} Kind */
/** @typedef {import("./chart.js").Shown} Shown */
/** @typedef {import("./chart.js").Span} Span */
/** @typedef {import("./desk-view.js").Line} Line */

export { UPlot };

/** @param {Shown} shown @param {Kind} kind @returns {UPlot.AlignedData} */
export function columnsOf({ picture, span }, kind) {
  const columns = picture.lines.map(({ values }) => [...values]);
  if (kind === "rate") {
    for (const [index, column] of columns.entries()) {
      const below = columns[index - 1];
      for (const [at, value] of column.entries()) {
        if (value !== null) column[at] = value + (below?.[at] ?? 0);
      }
    }
    // The highest is drawn first, and each lower one covers its own part of it.
    columns.reverse();
  }
  return [[...span.times], ...columns];
}

/**
 * @param {Shown} shown
 * @param {{ kind: Kind, size: { width: number, height: number }, span: () => Span }} settings
 * @returns {UPlot.Options}
 */
export function optionsOf({ picture, language }, { kind, size, span }) {
  const lines = kind === "rate" ? picture.lines.toReversed() : picture.lines;
  const axis = {
    stroke: colorOf("axis"),
    font: FONT,
    grid: { stroke: colorOf("grid"), width: 1 },
    ticks: { show: false },
  };
  const onAxis = (/** @type {number | null} */ value) => {
    if (value === null) return "";
    return kind === "latency" ? language.duration(value) : language.compact(value);
  };
  return {
    ...size,
    padding: [10, 26, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, sync: { key: "desk" }, points: { size: 7 } },
    scales: {
      x: { time: true, range: () => [span().from, span().to] },
      y:
        kind === "latency"
          ? { distr: 3, log: 10, range: (_plot, low, high) => decades(low, high) }
          : { range: (_plot, _low, high) => [0, Math.max(TOP_MIN, (high ?? 0) * 1.08)] },
    },
    series: [{}, ...lines.map((line) => seriesOf(line, { kind, isAlone: lines.length === 1 }))],
    axes: [
      {
        ...axis,
        size: X_AXIS_PX,
        space: LABEL_GAP_PX,
        values: (_plot, splits) => splits.map((at) => language.time(at * 1000)),
      },
      {
        ...axis,
        size: Y_AXIS_PX,
        ...(kind === "latency"
          ? { splits: (_plot, _axis, low, high) => powersOfTen(low, high) }
          : { incrs: WHOLE_STEPS }),
        values: (_plot, splits) => splits.map((value) => onAxis(value)),
      },
    ],
  };
}

/**
 * @param {Line} line
 * @param {{ kind: Kind, isAlone: boolean }} among
 * @returns {UPlot.Series}
 */
function seriesOf({ label, color, stroke }, { kind, isAlone }) {
  const drawn = colorOf(color);
  // What is counted over an interval holds for all of it; a state holds when it was read.
  const paths = kind === "rate" ? UPlot.paths.stepped?.({ align: -1 }) : undefined;
  // Areas of states would hide each other.
  const washed = kind === "count" && isAlone ? { fill: `${drawn}26` } : {};
  return {
    label,
    stroke: drawn,
    width: kind === "rate" ? 0 : WIDTHS[stroke],
    dash: DASHES[stroke],
    points: {
      show: kind !== "rate",
      size: POINT_PX,
      fill: drawn,
      filter: (plot, index) => lonely(plot.data[index] ?? []),
    },
    ...(kind === "rate" ? { fill: drawn } : washed),
    ...(paths === undefined ? {} : { paths }),
  };
}

/** A value between two gaps has no line to be seen by. */
/** @param {ArrayLike<number | null | undefined>} values @returns {number[]} */
function lonely(values) {
  return Array.from(values, (_, index) => index).filter(
    (index) => values[index] != null && values[index - 1] == null && values[index + 1] == null,
  );
}

/** @param {number} low @param {number} high @returns {number[]} */
function powersOfTen(low, high) {
  const [first, last] = [Math.round(Math.log10(low)), Math.round(Math.log10(high))];
  return Array.from({ length: last - first + 1 }, (_, index) => 10 ** (first + index));
}

/** Whole powers of ten around the values, three of them while there are none. */
/** @param {number | null} low @param {number | null} high @returns {[number, number]} */
function decades(low, high) {
  const from = low == null || low <= 0 ? 1e-3 : Math.max(DECADES.low, low);
  const to = high == null || high <= 0 ? 1 : Math.min(DECADES.high, high);
  const bottom = Math.floor(Math.log10(from));
  return [10 ** bottom, 10 ** Math.max(bottom + 1, Math.ceil(Math.log10(to)))];
}

/** @param {string} name @returns {string} as six hexadecimal digits, as the style sheet writes it */
function colorOf(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--chart-${name}`).trim();
}
