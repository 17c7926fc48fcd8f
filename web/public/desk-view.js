/**
 * What each chart of the desk shows, as plain data: lines, notes, and a sentence for whoever does
 * not see them. Pure, so that it is tested without a browser.
 */

import { wordsOf } from "./mechanisms.js";
import { noOutcomes, OUTCOME_GROUPS } from "./rates.js";

/** @typedef {import("./points.js").Point} Point */
/** @typedef {import("./rates.js").Happened} Happened */
/** @typedef {import("./mechanisms.js").Mechanisms} Mechanisms */
/** @typedef {import("./desk-language.js").DeskLanguage} DeskLanguage */
/**
 * `color` names a custom property of the style sheet, `--chart-<color>`. A null is a gap.
 *
 * @typedef {{ key: string, label: string, color: string, stroke: "fine" | "dashed" | "plain",
 *   values: readonly (number | null)[] }} Line
 */
/** @typedef {{ lines: readonly Line[], note: string, summary: string }} Picture */
/**
 * `eventId: null` means all events; `mechanism` is the chosen event's, where that is known.
 *
 * @typedef {{ eventId: string | null, mechanism: string | null, stock: "remaining" | "issued",
 *   names: ReadonlyMap<string, string>, mechanisms: Mechanisms, language: DeskLanguage }} Choice
 */

/** The style sheet has so many; a mechanism beyond them shares one. */
const MECHANISM_COLORS = 6;
/** @type {readonly { of: "p50" | "p95" | "p99", percent: number, stroke: Line["stroke"] }[]} */
const QUANTILES = [
  { of: "p50", percent: 50, stroke: "fine" },
  { of: "p95", percent: 95, stroke: "dashed" },
  { of: "p99", percent: 99, stroke: "plain" },
];

/** @param {readonly Point[]} points @param {Choice} choice @returns {Picture} */
export function answersOf(points, choice) {
  const { language } = choice;
  const lines = mechanismsIn(points, choice).map((mechanism) => {
    const { label } = spokenOf(mechanism, choice);
    return line({ key: mechanism, label, color: colorOf(mechanism, points, choice) }, () =>
      points.map((point) => ratesOf(point, mechanism)),
    );
  });
  const { now, peak, total } = totalsOf(points, choice);
  const spoken = { now: language.rate(now), peak: language.rate(peak), total };
  const summary =
    total === 0 ? language.say("summary.noAnswers") : language.say("summary.answers", spoken);
  return finish(points, choice, { lines, note: mechanismNote(choice), summary });
}

/** @param {readonly Point[]} points @param {Choice} choice @returns {Picture} */
export function outcomesOf(points, choice) {
  const { language } = choice;
  const shown = mechanismsIn(points, choice);
  const totals = noOutcomes();
  const lines = OUTCOME_GROUPS.map((group) => {
    const values = points.map(({ change }) => {
      if (change === null) return null;
      const count = sum(shown.map((name) => change.byMechanism.get(name)?.outcomes[group] ?? 0));
      totals[group] += count;
      return count / change.seconds;
    });
    return line(
      { key: group, label: language.say(`outcome.${group}`), color: group },
      () => values,
    );
  }).filter(({ key }) => OUTCOME_GROUPS.some((group) => group === key && totals[group] > 0));
  const all = sum(Object.values(totals));
  const list = OUTCOME_GROUPS.filter((group) => totals[group] > 0).map((group) =>
    language.say("summary.share", {
      outcome: language.say(`outcome.${group}`),
      share: language.percent(totals[group] / all),
      count: totals[group],
    }),
  );
  const summary =
    all === 0
      ? language.say("summary.noAnswers")
      : language.say("summary.outcomes", { list: list.join(", ") });
  return finish(points, choice, { lines, note: mechanismNote(choice), summary });
}

/** @param {readonly Point[]} points @param {Choice} choice @returns {Picture} */
export function latencyOf(points, choice) {
  const { language } = choice;
  const measured = mechanismsIn(points, choice).filter((mechanism) =>
    points.some((point) => happenedIn(point, mechanism)?.latency != null),
  );
  const lines = measured.flatMap((mechanism) => {
    const color = colorOf(mechanism, points, choice);
    return QUANTILES.map(({ of, percent, stroke }) => {
      const spoken = { mechanism: spokenOf(mechanism, choice).short, percent };
      const key = `${mechanism} ${of}`;
      return line({ key, label: language.say("quantile", spoken), color, stroke }, () =>
        points.map((point) => happenedIn(point, mechanism)?.latency?.[of] ?? null),
      );
    });
  });
  const sentences = measured.map((mechanism) => {
    const latest = points.findLast((point) => happenedIn(point, mechanism)?.latency != null);
    const at = latest === undefined ? null : happenedIn(latest, mechanism)?.latency;
    const [p50, p95, p99] = [at?.p50, at?.p95, at?.p99].map((value) =>
      language.duration(value ?? 0),
    );
    const spoken = { p50: p50 ?? "", p95: p95 ?? "", p99: p99 ?? "" };
    const name = spokenOf(mechanism, choice).short;
    return language.say("summary.latency", { mechanism: name, ...spoken });
  });
  const reading = lastReading(points);
  const missing = reading !== null && reading.durations === null;
  const metric = "stampede_claim_duration_seconds";
  return finish(points, choice, {
    lines,
    note: missing ? language.say("note.missing", { metric }) : mechanismNote(choice),
    summary: sentences.length === 0 ? language.say("summary.noAnswers") : sentences.join(" "),
  });
}

/**
 * Answers per second of what is chosen: now, at most, and how many there were.
 *
 * @param {readonly Point[]} points
 * @param {Choice} choice
 * @returns {{ now: number, peak: number, total: number }}
 */
export function totalsOf(points, choice) {
  const shown = mechanismsIn(points, choice);
  let [now, peak, total] = [0, 0, 0];
  for (const { change } of points) {
    const answers = sum(shown.map((name) => change?.byMechanism.get(name)?.answers ?? 0));
    now = change === null ? 0 : answers / change.seconds;
    peak = Math.max(peak, now);
    total += answers;
  }
  return { now, peak, total };
}

/** The mechanisms that have events or answers; all of them while there are neither. */
/** @param {readonly Point[]} points @param {Choice} choice @returns {readonly string[]} */
export function mechanismsIn(points, choice) {
  const { eventId, mechanism } = choice;
  if (eventId !== null) return mechanism === null ? [] : [mechanism];
  const inUse = new Set(
    [...(lastReading(points)?.stocks?.values() ?? [])].map((stock) => stock.mechanism),
  );
  for (const { change } of points) {
    for (const [name, { answers }] of change?.byMechanism ?? []) if (answers > 0) inUse.add(name);
  }
  const all = everyMechanism(points, choice);
  const found = all.filter((name) => inUse.has(name));
  return found.length === 0 ? all : found;
}

/** In the server's order; what has figures and is not in its list comes last, by name. */
/** @param {readonly Point[]} points @param {Choice} choice @returns {readonly string[]} */
function everyMechanism(points, { mechanisms }) {
  const reading = lastReading(points);
  const inUse = [...(reading?.stocks?.values() ?? [])].map((stock) => stock.mechanism);
  const named = new Set([...(reading?.claims?.keys() ?? []), ...inUse]);
  return [...new Set([...mechanisms.keys(), ...[...named].toSorted()])];
}

/** A mechanism has one colour in all charts, by its place among all. */
/** @param {string} mechanism @param {readonly Point[]} points @param {Choice} choice @returns {string} */
function colorOf(mechanism, points, choice) {
  const place = Math.max(0, everyMechanism(points, choice).indexOf(mechanism));
  return `mechanism-${(place % MECHANISM_COLORS) + 1}`;
}

/** @param {string} mechanism @param {Choice} choice */
function spokenOf(mechanism, { mechanisms, language }) {
  return wordsOf(mechanism, { known: mechanisms, code: language.code });
}

/** @param {readonly Point[]} points @returns {import("./reading.js").Reading | null} */
export function lastReading(points) {
  return points.findLast(({ reading }) => reading !== null)?.reading ?? null;
}

/**
 * Nothing is drawn before there is something to draw, and a metric that is not there is named.
 *
 * @param {readonly Point[]} points
 * @param {Choice} choice
 * @param {Picture} picture
 * @returns {Picture}
 */
function finish(points, { language }, picture) {
  const reading = lastReading(points);
  if (reading === null) return { lines: [], note: "", summary: language.say("summary.waiting") };
  if (reading.claims !== null) return picture;
  const note = language.say("note.missing", { metric: "stampede_claims_total" });
  return { lines: [], note, summary: note };
}

/**
 * @param {Pick<Line, "key" | "label" | "color"> & { stroke?: Line["stroke"] }} named
 * @param {() => readonly (number | null)[]} values
 * @returns {Line}
 */
function line({ stroke = "plain", ...named }, values) {
  return { ...named, stroke, values: values() };
}

/** @param {Point} point @param {string} mechanism @returns {Happened | null} */
function happenedIn({ change }, mechanism) {
  return change?.byMechanism.get(mechanism) ?? null;
}

/** Nothing answered is 0; nothing known is a gap. */
/** @param {Point} point @param {string} mechanism @returns {number | null} */
function ratesOf({ change }, mechanism) {
  if (change === null) return null;
  return (change.byMechanism.get(mechanism)?.answers ?? 0) / change.seconds;
}

/** @param {Choice} choice @returns {string} */
function mechanismNote(choice) {
  const { eventId, mechanism, language } = choice;
  if (eventId === null || mechanism === null) return "";
  const { short } = spokenOf(mechanism, choice);
  return language.say("note.allOfMechanism", { mechanism: short });
}

/** @param {readonly number[]} values @returns {number} */
function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}
