/** The big numbers above the charts, and the engines under them. */

import { stateOf } from "./desk-stock.js";
import { lastReading, mechanismsIn, totalsOf } from "./desk-view.js";
import { byId, element, setText } from "./page.js";

/** @type {readonly ("postgres" | "redis" | "kafka")[]} */
const ENGINES = ["postgres", "redis", "kafka"];

/** @typedef {import("./desk-view.js").Choice} Choice */
/** @typedef {import("./desk-language.js").DeskLanguage} DeskLanguage */
/** @typedef {import("./points.js").Point} Point */

/** @param {readonly Point[]} points @param {Choice} choice @returns {void} */
export function showTiles(points, choice) {
  const reading = lastReading(points);
  if (reading === null) return;
  showAnswers(points, choice, { isPublished: reading.claims !== null });
  showLatency(points, choice, { isPublished: reading.durations !== null });
  const { language } = choice;
  const { remaining, limit, events, waiting } = stateOf(points, choice);
  const ofLimit =
    events === 1
      ? language.say("tile.ofLimit", { limit })
      : language.say("tile.ofLimitIn", { limit, count: events });
  const unknown = reading.stocks === null ? "tile.missing" : "tile.notInUse";
  tile("remaining", {
    value: remaining === null ? null : language.number(remaining),
    note: remaining === null ? language.say(unknown) : ofLimit,
    language,
  });
  const noLine = reading.lines === null ? "tile.missing" : "tile.lineNone";
  tile("line", {
    value: waiting === null ? null : language.number(waiting),
    note: language.say(waiting === null ? noLine : "tile.lineNote"),
    language,
  });
}

/** @param {ReadonlyMap<string, boolean> | null} engines @param {DeskLanguage} language @returns {void} */
export function showEngines(engines, language) {
  const list = byId("engines", HTMLElement);
  for (const [index, engine] of ENGINES.entries()) {
    const isUp = engines?.get(engine);
    const off = engines === null ? "unknown" : "off";
    const state = isUp === undefined ? off : isUp ? "up" : "down";
    let item = list.children[index];
    if (item === undefined) {
      item = element("li", "");
      list.append(item);
    }
    if (!(item instanceof HTMLElement)) continue;
    item.dataset["state"] = state;
    setText(item, `${language.say(`engine.${engine}`)}: ${language.say(`engineState.${state}`)}`);
  }
}

/** @param {readonly Point[]} points @param {Choice} choice @param {{ isPublished: boolean }} metric */
function showAnswers(points, choice, { isPublished }) {
  const { language } = choice;
  const { now, peak } = totalsOf(points, choice);
  // The first reading, and the first one after a gap, say nothing of what came before.
  const isKnown = isPublished && points.at(-1)?.change != null;
  const note = isPublished
    ? language.say("tile.peak", { peak: language.rate(peak) })
    : language.say("tile.missing");
  tile("answers", { value: isKnown ? language.rate(now) : null, note, language });
}

/** @param {readonly Point[]} points @param {Choice} choice @param {{ isPublished: boolean }} metric */
function showLatency(points, choice, { isPublished }) {
  const { language } = choice;
  const change = points.at(-1)?.change ?? null;
  const now = mechanismsIn(points, choice).flatMap(
    (name) => change?.byMechanism.get(name)?.latency ?? [],
  );
  // Of several mechanisms, the slowest: that is where to look.
  const worst = now.toSorted((a, b) => b.p99 - a.p99)[0];
  const quiet = language.say(isPublished ? "tile.noClaims" : "tile.missing");
  tile("latency", {
    value: worst === undefined ? null : language.duration(worst.p99),
    note:
      worst === undefined
        ? quiet
        : language.say("tile.median", { p50: language.duration(worst.p50) }),
    language,
  });
}

/**
 * @param {string} name
 * @param {{ value: string | null, note: string, language: DeskLanguage }} shown
 */
function tile(name, { value, note, language }) {
  setText(byId(`tile-${name}`, HTMLElement), value ?? language.say("none"));
  setText(byId(`tile-${name}-note`, HTMLElement), note);
}
