/** The live desk: reads the server's metrics once a second and draws the last five minutes. */

import { monotonicMs } from "./api.js";
import { openChart } from "./chart.js";
import { speakDesk } from "./desk-language.js";
import { isDeskKey } from "./desk-messages.js";
import { askEvents, askMechanisms, askMetrics } from "./desk-source.js";
import { deskState } from "./desk-state.js";
import { lineOf, stockOf } from "./desk-stock.js";
import { showEngines, showTiles } from "./desk-tiles.js";
import { answersOf, lastReading, latencyOf, outcomesOf } from "./desk-view.js";
import { chooseLanguage } from "./language.js";
import { openMechanisms } from "./mechanisms.js";
import { byId, element, setText } from "./page.js";
import { openRing } from "./points.js";
import { openStore, storageOrNull } from "./store.js";

const READ_EVERY_MS = 1_000;
const SPAN_MS = 5 * 60_000;
/** A retried reading comes a little early: a few more than one a second. */
const POINTS_MAX = 330;
/** At first the charts are a minute wide, and grow with what there is. */
const SPAN_MS_MIN = 60_000;
/** Longer than an answer may take: the computer slept, or the browser held the page back. */
const ASLEEP_MS = 12_000;
/** Where motion disturbs: the numbers stay current, the charts move in larger steps. */
const REDUCED_DRAW_EVERY_MS = 5_000;
const TELL_EVERY_MS = 5_000;
const EVENTS_EVERY_MS = 10_000;

/** @typedef {import("./points.js").Point} Point */
/** @typedef {import("./desk-view.js").Choice} Choice */

const store = openStore(storageOrNull());
const ring = openRing({ spanMs: SPAN_MS, pointsMax: POINTS_MAX });
const state = deskState();
const mechanisms = openMechanisms(askMechanisms);
const charts = [
  { id: "answers", chart: openChart(byId("answers", HTMLElement), "rate"), pictureOf: answersOf },
  {
    id: "latency",
    chart: openChart(byId("latency", HTMLElement), "latency"),
    pictureOf: latencyOf,
  },
  {
    id: "outcomes",
    chart: openChart(byId("outcomes", HTMLElement), "rate"),
    pictureOf: outcomesOf,
  },
  { id: "stock", chart: openChart(byId("stock", HTMLElement), "count"), pictureOf: stockOf },
  { id: "line", chart: openChart(byId("line", HTMLElement), "count"), pictureOf: lineOf },
];
const eventSelect = byId("event", HTMLSelectElement);
const windowSelect = byId("window", HTMLSelectElement);
const stockSelect = byId("stock-choice", HTMLSelectElement);
const pauseButton = byId("pause", HTMLElement);
const stateLine = byId("state", HTMLElement);
const darkness = matchMedia("(prefers-color-scheme: dark)");
const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");

let language = speakDesk(chooseLanguage(store.language(), navigator.languages));
/** Also of events that are not in use: those have no metrics, and can be chosen beforehand. */
/** @type {ReadonlyMap<string, string>} */
let names = new Map();
/** @type {ReadonlyMap<string, string>} */
let mechanismByEvent = new Map();
let eventsAskedMs = -Infinity;
/** @type {readonly Point[] | null} what stands still while the operator looks */
let frozen = null;
let reading = false;
let drawnMs = -Infinity;
let toldMs = -Infinity;

/** @returns {Promise<void>} */
async function read() {
  reading = true;
  const sentMs = monotonicMs();
  const lastMs = ring.points().at(-1)?.atMs ?? sentMs;
  if (sentMs - lastMs > ASLEEP_MS) {
    ring.addGap(sentMs);
    state.slept({ fromMs: lastMs, toMs: sentMs });
  }
  state.asked(sentMs);
  const answer = await askMetrics();
  reading = false;
  if ("reading" in answer) {
    ring.add(answer.reading);
    state.answered(answer.reading);
    void freshenEvents(answer.reading.atMs);
  } else {
    ring.addGap(monotonicMs());
    state.failed({ atMs: sentMs, status: answer.status });
  }
  show();
}

/** @param {number} nowMs @returns {Promise<void>} */
async function freshenEvents(nowMs) {
  if (nowMs - eventsAskedMs < EVENTS_EVERY_MS) return;
  eventsAskedMs = nowMs;
  void learnMechanisms();
  const events = await askEvents();
  if (events === null) return;
  names = new Map(events.map(({ id, name }) => [id, name]));
  mechanismByEvent = new Map(events.map(({ id, mechanism }) => [id, mechanism]));
  show();
  void learnMechanisms();
}

/** Also of mechanisms that have figures and no event any more. */
/** @returns {Promise<void>} */
async function learnMechanisms() {
  const counted = lastReading(ring.points())?.claims?.keys() ?? [];
  if (await mechanisms.learn([...mechanismByEvent.values(), ...counted])) show();
}

function tick() {
  if (!reading) void read();
  showState();
}

/** The numbers and the words at once; the charts too, unless motion disturbs. */
function show() {
  showState();
  const points = frozen ?? ring.points();
  showEvents(points);
  const choice = choiceIn(points);
  showTiles(inView(points), choice);
  showEngines(lastReading(points)?.engines ?? null, language);
  const everyMs = reducedMotion.matches ? REDUCED_DRAW_EVERY_MS : 0;
  if (monotonicMs() - drawnMs >= everyMs && frozen === null) draw();
}

function draw() {
  drawnMs = monotonicMs();
  const shown = inView(frozen ?? ring.points());
  const choice = choiceIn(shown);
  const to = (shown.at(-1)?.atMs ?? monotonicMs()) / 1000;
  const from = Math.min(shown[0]?.atMs ?? Infinity, to * 1000 - SPAN_MS_MIN) / 1000;
  const span = { from, to, times: shown.map(({ atMs }) => atMs / 1000) };
  for (const { chart, pictureOf } of charts) {
    chart.show({ picture: pictureOf(shown, choice), span, language });
  }
  if (drawnMs - toldMs < TELL_EVERY_MS) return;
  // "No reading yet" is no news that the first reading would have to wait for.
  toldMs = lastReading(shown) === null ? -Infinity : drawnMs;
  for (const { chart } of charts) chart.tell();
}

/** @param {readonly Point[]} points @returns {readonly Point[]} */
function inView(points) {
  const sinceMs = (points.at(-1)?.atMs ?? 0) - Number(windowSelect.value);
  return points.filter(({ atMs }) => atMs >= sinceMs);
}

/** @param {readonly Point[]} points @returns {Choice} */
function choiceIn(points) {
  const eventId = eventSelect.value === "" ? null : eventSelect.value;
  const stocks = lastReading(points)?.stocks;
  const mechanism =
    eventId === null
      ? null
      : (stocks?.get(eventId)?.mechanism ?? mechanismByEvent.get(eventId) ?? null);
  const stock = stockSelect.value === "issued" ? "issued" : "remaining";
  return { eventId, mechanism, stock, names, mechanisms: mechanisms.known(), language };
}

/** Options are replaced only where they differ: an open list must not close every second. */
/** @param {readonly Point[]} points */
function showEvents(points) {
  const ids = new Set([...names.keys(), ...(lastReading(points)?.stocks?.keys() ?? [])]);
  const chosen = eventSelect.value;
  // Kept while the server is away or has forgotten it: a choice is the operator's.
  if (chosen !== "") ids.add(chosen);
  const wanted = [
    { value: "", label: language.say("allEvents") },
    ...[...ids].map((id) => ({ value: id, label: eventLabel(id) })),
  ];
  const [all, ...events] = wanted;
  const ordered = [all, ...events.sort((a, b) => a.label.localeCompare(b.label))];
  const before = Array.from(eventSelect.options, ({ value, label }) => `${value} ${label}`);
  const after = ordered.map((option) => `${option?.value} ${option?.label}`);
  if (before.join("\n") === after.join("\n")) return;
  eventSelect.replaceChildren(
    ...ordered.map((option) => {
      const node = element("option", "");
      node.value = option?.value ?? "";
      node.label = option?.label ?? "";
      node.textContent = node.label;
      return node;
    }),
  );
  eventSelect.value = chosen;
}

/** @param {string} id @returns {string} */
function eventLabel(id) {
  const name = names.get(id);
  return name === undefined ? id : language.say("eventOption", { name, id });
}

function showState() {
  const { name, key, values } = state.now({ atMs: monotonicMs(), isPaused: frozen !== null });
  stateLine.dataset["state"] = name;
  const texts = Object.entries(values).map(([hole, value]) => [
    hole,
    hole.endsWith("Ms") ? language.time(value) : value,
  ]);
  setText(stateLine, language.say(key, Object.fromEntries(texts)));
}

/** The words that stand still. */
function showFrame() {
  document.documentElement.lang = language.code;
  document.title = `${language.say("title")} · Stampede`;
  for (const node of document.querySelectorAll("[data-text]")) {
    const key = node instanceof HTMLElement ? node.dataset["text"] : undefined;
    if (isDeskKey(key)) node.textContent = language.say(key);
  }
  const switcher = byId("language", HTMLElement);
  switcher.textContent = language.say("otherLanguage");
  switcher.lang = language.code === "ko" ? "en" : "ko";
  stockSelect.setAttribute("aria-label", language.say("stockChoice"));
  setText(pauseButton, language.say(frozen === null ? "pause" : "continue"));
}

/** At once, whatever the pace: the operator has just asked for it. */
function showAll() {
  toldMs = -Infinity;
  showFrame();
  show();
  draw();
}

function togglePause() {
  frozen = frozen === null ? ring.points() : null;
  showAll();
}

byId("language", HTMLElement).addEventListener("click", () => {
  language = speakDesk(language.code === "ko" ? "en" : "ko");
  store.setLanguage(language.code);
  showAll();
});
pauseButton.addEventListener("click", togglePause);
for (const select of [eventSelect, windowSelect, stockSelect]) {
  select.addEventListener("change", showAll);
}
darkness.addEventListener("change", () => {
  for (const { chart } of charts) chart.repaint();
});
// Five charts that all speak would drown each other: the one in focus does, or else the first.
document.addEventListener("focusin", ({ target }) => {
  const inFocus = charts.find(
    ({ id }) => target instanceof Node && byId(id, HTMLElement).contains(target),
  );
  for (const { id } of charts) {
    const speaks = id === (inFocus?.id ?? "answers");
    byId(`${id}-summary`, HTMLElement).setAttribute("aria-live", speaks ? "polite" : "off");
  }
});

showAll();
void freshenEvents(monotonicMs());
setInterval(tick, READ_EVERY_MS);
tick();
