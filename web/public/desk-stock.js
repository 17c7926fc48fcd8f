/** The charts of what events have: coupons and lines. Pure, like desk-view.js. */

import { lastReading } from "./desk-view.js";

/** More lines than this cannot be told apart; the style sheet has a colour for each. */
const EVENTS_DRAWN_MAX = 6;

/** @typedef {import("./desk-view.js").Choice} Choice */
/** @typedef {import("./desk-view.js").Line} Line */
/** @typedef {import("./desk-view.js").Picture} Picture */
/** @typedef {import("./points.js").Point} Point */
/** @typedef {import("./reading.js").Stock} Stock */

/** @param {readonly Point[]} points @param {Choice} choice @returns {Picture} */
export function stockOf(points, choice) {
  const { language, stock } = choice;
  const reading = lastReading(points);
  if (reading === null) return nothing(language.say("summary.waiting"));
  const metric = `stampede_event_${stock}`;
  if (reading.stocks === null) return missing(choice, metric);
  const valueOf = (/** @type {Point} */ point, /** @type {string} */ eventId) =>
    point.reading?.stocks?.get(eventId)?.[stock] ?? null;
  const all = [...reading.stocks.keys()].filter((id) => isChosen(choice, id));
  if (all.length === 0) {
    return nothing(language.say(choice.eventId === null ? "summary.noEvents" : "summary.notInUse"));
  }
  const drawn = lastMoved(all, points, valueOf);
  if (drawn.every((id) => valueOf({ ...noPoint, reading }, id) === null)) {
    return missing(choice, metric);
  }
  const sentences = drawn.map((id) => {
    const here = reading.stocks?.get(id);
    const name = choice.names.get(id) ?? id;
    const spoken = { name, count: here?.[stock] ?? 0, limit: limitOf(here) };
    return language.say(`summary.stock.${stock}`, spoken);
  });
  return {
    lines: eventLines(drawn, { points, choice, valueOf }),
    note: someNote(choice, { shown: drawn.length, all: all.length }),
    summary: sentences.join(" "),
  };
}

/** @param {readonly Point[]} points @param {Choice} choice @returns {Picture} */
export function lineOf(points, choice) {
  const { language } = choice;
  const reading = lastReading(points);
  if (reading === null) return nothing(language.say("summary.waiting"));
  if (reading.lines === null) return lagOf(points, choice);
  const all = linesIn(points, choice);
  if (choice.eventId !== null && all.length === 0) return nothing(language.say("note.noLine"));
  const busy = all.filter((id) => peakOf(points, id) > 0);
  const drawn = lastMoved(busy.length === 0 ? all : busy, points, waitingIn);
  const sentences = drawn.map((id) => {
    const name = choice.names.get(id) ?? id;
    const count = reading.lines?.get(id) ?? 0;
    return language.say("summary.line", { name, count, peak: peakOf(points, id) });
  });
  return {
    lines: eventLines(drawn, { points, choice, valueOf: waitingIn }),
    note: someNote(choice, { shown: drawn.length, all: Math.max(drawn.length, busy.length) }),
    summary: busy.length === 0 ? language.say("summary.noLine") : sentences.join(" "),
  };
}

/** Whose lines were told in this time: an event has a line where the server tells one. */
/** @param {readonly Point[]} points @param {Choice} choice @returns {readonly string[]} */
function linesIn(points, choice) {
  const told = new Set(points.flatMap(({ reading }) => [...(reading?.lines?.keys() ?? [])]));
  return [...told].filter((id) => isChosen(choice, id));
}

/** An event that is not in a reading has nobody waiting: its line is not kept any more. */
/** @param {Point} point @param {string} eventId @returns {number | null} */
function waitingIn({ reading }, eventId) {
  return reading === null ? null : (reading.lines?.get(eventId) ?? 0);
}

/** @param {readonly Point[]} points @param {string} eventId @returns {number} */
function peakOf(points, eventId) {
  return Math.max(0, ...points.map((point) => waitingIn(point, eventId) ?? 0));
}

/** Where lines are not told apart, their sum. */
/** @param {readonly Point[]} points @param {Choice} choice @returns {Picture} */
function lagOf(points, choice) {
  const { language } = choice;
  const values = points.map(({ reading }) => reading?.lag ?? null);
  const now = lastReading(points)?.lag ?? null;
  if (now === null) return missing(choice, "stampede_queue_length");
  const peak = Math.max(...values.map((value) => value ?? 0));
  const name = language.say("allLines");
  return {
    lines: [{ key: "all", label: name, color: "event-1", stroke: "plain", values }],
    note: language.say("note.lagOnly"),
    summary:
      peak === 0
        ? language.say("summary.noLine")
        : language.say("summary.line", { name, count: now, peak }),
  };
}

/**
 * The big numbers: what is left of how many, and how many wait. Null: not known here.
 *
 * @param {readonly Point[]} points
 * @param {Choice} choice
 * @returns {{ remaining: number | null, limit: number, events: number, waiting: number | null }}
 */
export function stateOf(points, choice) {
  const reading = lastReading(points);
  const stocks = [...(reading?.stocks ?? [])]
    .filter(([id]) => isChosen(choice, id))
    .map(([, stock]) => stock);
  const known = stocks.filter(({ remaining }) => remaining !== null);
  return {
    remaining:
      known.length === 0 ? null : known.reduce((sum, stock) => sum + (stock.remaining ?? 0), 0),
    limit: known.reduce((sum, stock) => sum + limitOf(stock), 0),
    events: known.length,
    waiting: waitingNow(points, choice),
  };
}

/** @param {readonly Point[]} points @param {Choice} choice @returns {number | null} */
function waitingNow(points, choice) {
  const reading = lastReading(points);
  if (reading === null || reading.lines === null) return reading?.lag ?? null;
  const told = linesIn(points, choice);
  if (choice.eventId !== null && told.length === 0) return null;
  return told.reduce((sum, id) => sum + (reading.lines?.get(id) ?? 0), 0);
}

/** @type {Point} */
const noPoint = { atMs: 0, reading: null, change: null };

/** @param {Choice} choice @param {string} eventId @returns {boolean} */
function isChosen(choice, eventId) {
  return choice.eventId === null || choice.eventId === eventId;
}

/** @param {Stock | undefined} stock @returns {number} */
function limitOf(stock) {
  return (stock?.issued ?? 0) + (stock?.remaining ?? 0);
}

/**
 * The events whose value changed last, at most so many, and in an order that no movement changes.
 *
 * @param {readonly string[]} eventIds
 * @param {readonly Point[]} points
 * @param {(point: Point, eventId: string) => number | null} valueOf
 * @returns {readonly string[]}
 */
function lastMoved(eventIds, points, valueOf) {
  const movedAt = new Map(
    eventIds.map((id) => {
      const now = valueOf(points.findLast(({ reading }) => reading !== null) ?? noPoint, id);
      return [id, points.findLastIndex((point) => (valueOf(point, id) ?? now) !== now)];
    }),
  );
  return eventIds
    .toSorted((a, b) => (movedAt.get(b) ?? 0) - (movedAt.get(a) ?? 0))
    .slice(0, EVENTS_DRAWN_MAX)
    .toSorted((a, b) => a.localeCompare(b));
}

/**
 * @param {readonly string[]} eventIds
 * @param {{ points: readonly Point[], choice: Choice,
 *   valueOf: (point: Point, eventId: string) => number | null }} from
 * @returns {readonly Line[]}
 */
function eventLines(eventIds, { points, choice, valueOf }) {
  const colors = colorsOf(eventIds, [...(lastReading(points)?.stocks?.keys() ?? [])]);
  return eventIds.map((id) => ({
    key: id,
    label: choice.names.get(id) ?? id,
    color: `event-${(colors.get(id) ?? 0) + 1}`,
    stroke: "plain",
    values: points.map((point) => valueOf(point, id)),
  }));
}

/**
 * An event has one colour in all charts, by its place among all; of those that would share one,
 * the later takes the next that is free.
 *
 * @param {readonly string[]} drawn
 * @param {readonly string[]} all
 * @returns {ReadonlyMap<string, number>} from 0
 */
function colorsOf(drawn, all) {
  /** @type {Map<string, number>} */
  const colors = new Map();
  for (const id of drawn) {
    let color = Math.max(0, all.indexOf(id)) % EVENTS_DRAWN_MAX;
    while ([...colors.values()].includes(color)) color = (color + 1) % EVENTS_DRAWN_MAX;
    colors.set(id, color);
  }
  return colors;
}

/** @param {Choice} choice @param {{ shown: number, all: number }} counts @returns {string} */
function someNote({ language }, counts) {
  return counts.shown === counts.all ? "" : language.say("note.someEvents", counts);
}

/** @param {Choice} choice @param {string} metric @returns {Picture} */
function missing({ language }, metric) {
  const note = language.say("note.missing", { metric });
  return { lines: [], note, summary: note };
}

/** @param {string} summary @returns {Picture} */
function nothing(summary) {
  return { lines: [], note: "", summary };
}
