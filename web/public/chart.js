/**
 * One chart: uPlot's canvas, and around it what a canvas cannot give: a legend with values in
 * text, a sentence that says what is seen, and a cursor that the arrow keys move.
 */

import { columnsOf, optionsOf, UPlot } from "./chart-options.js";
import { element, setText } from "./page.js";

/** The style sheet keeps a place of this height free for it. */
const HEIGHT_PX = 190;
const WIDTH_PX_MIN = 160;

/** @typedef {import("./desk-view.js").Line} Line */
/** @typedef {import("./desk-view.js").Picture} Picture */
/** @typedef {import("./desk-language.js").DeskLanguage} DeskLanguage */
/** @typedef {{ from: number, to: number, times: readonly number[] }} Span in epoch seconds */
/** @typedef {"rate" | "latency" | "count"} Kind rates are stacked: their sum is the top of all */
/** @typedef {{ picture: Picture, span: Span, language: DeskLanguage }} Shown */
/** @typedef {ReturnType<typeof openChart>} Chart */

/** @param {HTMLElement} figure @param {Kind} kind */
export function openChart(figure, kind) {
  const { frame, legend, note, summary, spoken, when } = partsOf(figure);
  /** @type {Shown | null} */
  let shown = null;
  /** @type {UPlot | null} */
  let plot = null;
  let drawnAs = "";
  /** @type {number | null} which point the cursor is on */
  let pointed = null;

  function showValues() {
    if (shown === null) return;
    const { picture, span, language } = shown;
    const atS = pointed === null ? undefined : span.times[pointed];
    setText(when, atS === undefined ? "" : language.say("at", { time: language.time(atS * 1000) }));
    showLegend(legend, { lines: picture.lines, kind, index: pointed, language });
  }

  /** @param {Shown} now */
  function draw(now) {
    const structure = structureOf(now);
    const data = columnsOf(now, kind);
    if (plot !== null && structure === drawnAs) {
      plot.setData(data);
      return;
    }
    plot?.destroy();
    drawnAs = structure;
    const options = optionsOf(now, {
      kind,
      size: sizeOf(frame),
      span: () => shown?.span ?? now.span,
    });
    options.hooks = {
      setCursor: [
        ({ cursor }) => {
          pointed = cursor.idx ?? null;
          showValues();
        },
      ],
    };
    plot = new UPlot(options, data, frame);
  }

  new ResizeObserver(() => plot?.setSize(sizeOf(frame))).observe(frame);
  listenToKeys(frame, {
    move(key) {
      if (plot === null || shown === null) return false;
      const index = pointAfter(key, { from: pointed, last: shown.span.times.length - 1 });
      if (index === undefined) return false;
      pointAt(plot, index);
      // Asked for by a key, so told at once, and not when the next summary is due.
      setText(spoken, index === null ? shown.picture.summary : pointText(shown, index, kind));
      return true;
    },
    leave() {
      if (plot !== null) pointAt(plot, null);
    },
  });

  return {
    /** @param {Shown} now @returns {void} */
    show(now) {
      shown = now;
      setText(note, now.picture.note);
      note.hidden = now.picture.note === "";
      setText(summary, now.picture.summary);
      draw(now);
      showValues();
    },
    /** Draws it anew: colours are read once, from the style sheet. */
    /** @returns {void} */
    repaint() {
      drawnAs = "";
      if (shown !== null) draw(shown);
    },
    /** Says what it shows to a screen reader; the caller knows how often it may speak. */
    /** @returns {void} */
    tell() {
      if (shown !== null && pointed === null) setText(spoken, shown.picture.summary);
    },
  };
}

/** @param {HTMLElement} figure */
function partsOf(figure) {
  /** @param {string} name */
  const part = (name) => {
    const node = figure.querySelector(`.${name}`);
    if (node instanceof HTMLElement) return node;
    throw new Error(`A chart has no .${name}: desk.html and the scripts differ`);
  };
  return {
    frame: part("plot"),
    legend: part("legend"),
    note: part("note"),
    summary: part("summary"),
    spoken: part("spoken"),
    when: part("when-pointed"),
  };
}

/** What only a new plot can change. */
/** @param {Shown} shown @returns {string} */
function structureOf({ picture, language }) {
  const lines = picture.lines.map(({ key, label, color }) => [key, label, color]);
  return JSON.stringify([language.code, lines]);
}

/**
 * @param {HTMLElement} frame
 * @param {{ move: (key: string) => boolean, leave: () => void }} cursor `move` tells whether the
 *   key was one of ours
 */
function listenToKeys(frame, { move, leave }) {
  frame.addEventListener("keydown", (event) => {
    if (move(event.key)) event.preventDefault();
  });
  frame.addEventListener("blur", leave);
}

/** @param {HTMLElement} frame @returns {{ width: number, height: number }} */
function sizeOf(frame) {
  return { width: Math.max(WIDTH_PX_MIN, Math.floor(frame.clientWidth)), height: HEIGHT_PX };
}

/**
 * @param {string} key
 * @param {{ from: number | null, last: number }} points
 * @returns {number | null | undefined} null: no point any more; undefined: not a key of ours
 */
function pointAfter(key, { from, last }) {
  switch (key) {
    case "ArrowLeft":
      return Math.max(0, (from ?? last + 1) - 1);
    case "ArrowRight":
      return Math.min(last, (from ?? last) + 1);
    case "Home":
      return 0;
    case "End":
      return last;
    case "Escape":
      return null;
    default:
      return undefined;
  }
}

/** @param {UPlot} plot @param {number | null} index */
function pointAt(plot, index) {
  const at = index === null ? undefined : plot.data[0][index];
  // Outside of the plot there is no cursor.
  const left = at === undefined ? -10 : plot.valToPos(at, "x");
  plot.setCursor({ left, top: at === undefined ? -10 : 1 });
}

/** @param {Shown} shown @param {number} index @param {Kind} kind @returns {string} */
function pointText({ picture, span, language }, index, kind) {
  const values = picture.lines.map(
    ({ label, values }) => `${label} ${valueText(values[index] ?? null, kind, language)}`,
  );
  const time = language.time((span.times[index] ?? 0) * 1000);
  return language.say("summary.point", { time, values: values.join(", ") });
}

/**
 * @param {HTMLElement} legend
 * @param {{ lines: readonly Line[], kind: Kind, index: number | null, language: DeskLanguage }} shown
 */
function showLegend(legend, { lines, kind, index, language }) {
  while (legend.children.length > lines.length) legend.lastElementChild?.remove();
  for (const [place, { label, color, stroke, values }] of lines.entries()) {
    let item = legend.children[place];
    if (item === undefined) {
      item = element("li", "");
      item.append(element("span", "swatch"), element("span", "legend-name"), element("strong", ""));
      legend.append(item);
    }
    const [swatch, name, value] = item.children;
    if (!(swatch instanceof HTMLElement) || !(name instanceof HTMLElement)) continue;
    swatch.style.setProperty("--swatch", `var(--chart-${color})`);
    swatch.dataset["stroke"] = stroke;
    setText(name, label);
    const at = index === null ? latest(values, kind) : (values[index] ?? null);
    if (value instanceof HTMLElement) setText(value, valueText(at, kind, language));
  }
}

/** A latency is as old as the last claim; a rate that is not known now is not known. */
/** @param {readonly (number | null)[]} values @param {Kind} kind @returns {number | null} */
function latest(values, kind) {
  const known = kind === "latency" ? values.findLast((value) => value !== null) : values.at(-1);
  return known ?? null;
}

/** @param {number | null} value @param {Kind} kind @param {DeskLanguage} language @returns {string} */
function valueText(value, kind, language) {
  if (value === null) return language.say("none");
  if (kind === "latency") return language.duration(value);
  return kind === "count" ? language.number(value) : language.rate(value);
}
