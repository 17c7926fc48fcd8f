/** The page: lists the events, keeps them fresh, and lets one person visit them. */

import { monotonicMs, openApi } from "./api.js";
import { createCard } from "./card.js";
import { serverClock } from "./clock.js";
import { chooseLanguage, speak } from "./language.js";
import { openMechanisms } from "./mechanisms.js";
import { byId } from "./page.js";
import { isMessageKey } from "./messages.js";
import { openPersonForm } from "./person.js";
import {
  openSignIn,
  tabStorageOrNull,
  TOKEN_CHARACTERS_MAX,
  userIdOf,
  wantsTokens,
} from "./sign-in.js";
import { openStore, storageOrNull } from "./store.js";
import { openStreams } from "./streams.js";
import { announcementOf, viewOf } from "./view.js";
import { Visit } from "./visit.js";
import { USER_ID_PATTERN } from "./wire.js";

const TICK_MS = 250;
const PAGE_SIZE = 20;
const PAGE_SIZE_MAX = 500;
/** While every event on screen has its stream, the list is asked only for new ones. */
const POLL_MS = 5_000;
const POLL_BESIDE_STREAMS_MS = 15_000;
const POLL_MS_MAX = 60_000;
const STREAM_BEFORE_OPENING_MS = 120_000;
const OPENING_SPREAD_MS = 1_000;

/** @typedef {import("./wire.js").CouponEvent} CouponEvent */
/** @typedef {{ visit: Visit, card: import("./card.js").Card, announced: string }} Entry */

const clock = serverClock(monotonicMs);
/** Null where a name is enough (AUTH=dev). */
const signIn = wantsTokens() ? openSignIn(tabStorageOrNull()) : null;
const api = openApi(clock, signIn === null ? undefined : (asking) => signIn.credentials(asking));
const mechanisms = openMechanisms(() => api.mechanisms());
const store = openStore(storageOrNull());
const streams = openStreams({
  onFrame: (eventId, frame) => entries.get(eventId)?.visit.onFrame(frame),
  onChange(eventId) {
    if (!streams.isUp(eventId)) entries.get(eventId)?.visit.onStreamDown();
  },
});

const list = byId("cards", HTMLElement);
const empty = byId("empty", HTMLElement);
const banner = byId("banner", HTMLElement);
const more = byId("more", HTMLElement);
const announcer = byId("status", HTMLElement);

/** @type {Map<string, Entry>} */
const entries = new Map();
/** @type {Set<string>} */
const onScreen = new Set();
/** @type {Map<string, number>} when to ask whether an event has opened (local clock) */
const openingDueMs = new Map();
/** @type {string | null} */
let nextCursor = null;
let language = speak(chooseLanguage(store.language(), navigator.languages));
let userId = signIn === null ? store.userId() : signIn.userId();
let loaded = false;
let polling = false;
let pollDueMs = 0;
let pollFailures = 0;

const watcher = new IntersectionObserver((seen) => {
  for (const { target, isIntersecting } of seen) {
    const eventId = target instanceof HTMLElement ? target.dataset["eventId"] : undefined;
    if (eventId === undefined) continue;
    if (isIntersecting) onScreen.add(eventId);
    else onScreen.delete(eventId);
  }
});

const personForm = openPersonForm({
  isRight: (text) => (signIn === null ? USER_ID_PATTERN.test(text) : userIdOf(text) !== null),
  save(text) {
    const chosen = (signIn === null ? text : userIdOf(text)) ?? "";
    if (signIn === null) store.setUserId(chosen);
    else signIn.save(text);
    become(chosen);
    announce(language.say("personChanged", { userId: chosen }));
  },
});

/** @param {CouponEvent} event */
function enter(event) {
  const visit = new Visit(event, userId, {
    api,
    store,
    isStreamUp: (eventId) => streams.isUp(eventId),
    isHidden: () => document.hidden,
    changed: show,
  });
  const card = createCard(visit);
  entries.set(event.id, { visit, card, announced: "" });
  watcher.observe(card.element);
  show(visit);
  return card;
}

/** @param {readonly CouponEvent[]} events newest first */
function merge(events) {
  for (const [index, event] of events.entries()) {
    const entry = entries.get(event.id);
    if (entry !== undefined) entry.visit.onEvent(event);
    else placeAfter(enter(event).element, events[index - 1]?.id);
  }
}

/**
 * New cards are put between the others; those never move, or a focused button would lose the focus.
 *
 * @param {HTMLElement} element
 * @param {string | undefined} newerId
 */
function placeAfter(element, newerId) {
  const newer = newerId === undefined ? undefined : entries.get(newerId);
  if (newer === undefined) list.prepend(element);
  else newer.card.element.after(element);
}

/** @param {Visit} visit */
function show(visit) {
  const entry = entries.get(visit.event.id);
  // An answer that belongs to the person of before is kept in the store, and not shown.
  if (entry?.visit !== visit) return;
  const view = viewOf(visit, { serverMs: clock.nowMs(), localMs: monotonicMs() });
  entry.card.show({ view, language, mechanisms: mechanisms.known() });
  const news = announcementOf(view);
  if (news !== null && news.name !== entry.announced) {
    const { name } = visit.event;
    const ahead = news.waiting?.ahead ?? 0;
    const key = news.waiting?.guaranteed === true ? "announce.guaranteed" : "announce.waiting";
    const sentence = entry.card.element.querySelector(".sentence")?.textContent ?? "";
    announce(
      news.waiting === null
        ? language.say("announce.sentence", { name, sentence })
        : language.say(key, { name, ahead }),
    );
  }
  entry.announced = news?.name ?? "";
}

/** @param {string} text */
function announce(text) {
  announcer.textContent = text;
}

function showTitle() {
  const visits = [...entries.values()].map(({ visit }) => visit);
  const waiting = visits.find(({ place, ahead }) => place.ticket !== null && ahead !== null);
  let title = "Stampede";
  if (waiting !== undefined) title = language.say("title.waiting", { ahead: waiting.ahead ?? 0 });
  else if (visits.some(({ place }) => place.issue !== null)) title = language.say("title.issued");
  if (document.title !== title) document.title = title;
}

/** @returns {Promise<void>} */
async function poll() {
  polling = true;
  const pageSize = Math.min(PAGE_SIZE_MAX, Math.max(PAGE_SIZE, entries.size));
  const reply = await api.events({ pageSize });
  polling = false;
  const reached = "events" in reply;
  banner.hidden = reached;
  if (!banner.hidden) banner.textContent = language.say("unreachable");
  pollFailures = reached ? 0 : pollFailures + 1;
  const retryAfterMs = reached ? 0 : (reply.retryAfterMs ?? 0);
  const paceMs = Math.min(POLL_MS_MAX, pollPaceMs() * 2 ** pollFailures);
  pollDueMs = monotonicMs() + Math.max(paceMs, retryAfterMs) * (0.8 + Math.random() * 0.4);
  if (!reached) return;
  merge(reply.events);
  nextCursor = reply.next;
  loaded = true;
  showFrame();
  void learnMechanisms();
}

/** The cards do not wait for it: an event is shown whether or not its mechanism can be explained. */
/** @returns {Promise<void>} */
async function learnMechanisms() {
  const names = [...entries.values()].map(({ visit }) => visit.event.mechanism);
  if (await mechanisms.learn(names)) showAll();
}

function pollPaceMs() {
  const streamed = [...onScreen].every((eventId) => {
    const state = entries.get(eventId)?.visit.event.state;
    return state === "sold-out" || state === "closed" || streams.isUp(eventId);
  });
  return streamed ? POLL_BESIDE_STREAMS_MS : POLL_MS;
}

/** The words around the cards. */
function showFrame() {
  document.documentElement.lang = language.code;
  for (const node of document.querySelectorAll("[data-text]")) {
    const key = node instanceof HTMLElement ? node.dataset["text"] : undefined;
    if (isMessageKey(key)) node.textContent = language.say(key);
  }
  const switcher = byId("language", HTMLElement);
  switcher.textContent = language.say("otherLanguage");
  switcher.lang = language.code === "ko" ? "en" : "ko";
  byId("user-id", HTMLElement).textContent = userId;
  if (signIn !== null) showSignIn();
  empty.hidden = entries.size > 0;
  if (loaded) empty.textContent = language.say("noEvents");
  more.hidden = nextCursor === null;
  if (!banner.hidden) banner.textContent = language.say("unreachable");
}

/** The page's own words are for a name that anybody may choose. */
function showSignIn() {
  const isSignedIn = userId !== "";
  byId("you", HTMLElement).textContent = language.say(isSignedIn ? "signedInAs" : "notSignedIn");
  byId("change-person", HTMLElement).textContent = language.say(isSignedIn ? "change" : "signIn");
  byId("user-id-label", HTMLElement).textContent = language.say("tokenLabel");
  byId("user-id-hint", HTMLElement).textContent = language.say("tokenHint");
  byId("user-id-wrong", HTMLElement).textContent = language.say("tokenWrong");
  const field = byId("user-id-field", HTMLInputElement);
  field.type = "password";
  field.maxLength = TOKEN_CHARACTERS_MAX;
}

/** The streams that matter: where the person waits first, then what is on the screen. */
function wantedStreams() {
  if (document.hidden) return [];
  const visits = [...entries.values()].map(({ visit }) => visit);
  const visible = visits.filter(({ event }) => onScreen.has(event.id));
  const soonMs = clock.nowMs() + STREAM_BEFORE_OPENING_MS;
  const wanted = [
    ...visits.filter(({ isPending }) => isPending),
    ...visible.filter(({ event }) => event.state === "open"),
    ...visible.filter(
      ({ event }) => event.state === "scheduled" && Date.parse(event.opensAt) < soonMs,
    ),
  ];
  return [...new Set(wanted.map(({ event }) => event.id))];
}

/** Asks, a moment after the countdown's end and not all pages at once, until it is open. */
/** @param {Visit} visit */
function checkOpening({ event }) {
  if (event.state !== "scheduled" || Date.parse(event.opensAt) > clock.nowMs()) {
    openingDueMs.delete(event.id);
    return;
  }
  const nowMs = monotonicMs();
  const dueMs = openingDueMs.get(event.id);
  if (dueMs !== undefined && nowMs >= dueMs) {
    void freshen(event.id);
  }
  if (dueMs === undefined || nowMs >= dueMs) {
    openingDueMs.set(event.id, nowMs + OPENING_SPREAD_MS * (0.2 + Math.random()));
  }
}

/** @param {string} eventId @returns {Promise<void>} */
async function freshen(eventId) {
  const fresh = await api.event(eventId);
  if (fresh !== null) entries.get(eventId)?.visit.onEvent(fresh);
}

function tick() {
  const nowMs = monotonicMs();
  if (!document.hidden && !polling && nowMs >= pollDueMs) void poll();
  for (const { visit } of entries.values()) {
    visit.tick(nowMs);
    if (document.hidden) continue;
    checkOpening(visit);
    if (visit.event.state === "scheduled" || visit.notBeforeMs > nowMs - 2 * TICK_MS) show(visit);
  }
  streams.want(wantedStreams());
  showTitle();
}

/** @param {string} chosen */
function become(chosen) {
  userId = chosen;
  const events = [...entries.values()].map(({ visit }) => visit.event);
  streams.want([]);
  watcher.disconnect();
  onScreen.clear();
  entries.clear();
  list.replaceChildren();
  merge(events);
  showFrame();
}

function wake() {
  pollDueMs = 0;
  for (const { visit } of entries.values()) visit.wake();
  tick();
}

function switchLanguage() {
  language = speak(language.code === "ko" ? "en" : "ko");
  store.setLanguage(language.code);
  showAll();
}

function showAll() {
  showFrame();
  for (const { visit } of entries.values()) show(visit);
  showTitle();
}

/** @returns {Promise<void>} */
async function showMore() {
  if (nextCursor === null) return;
  const reply = await api.events({ pageSize: PAGE_SIZE, cursor: nextCursor });
  if (!("events" in reply)) return;
  const last = [...entries.values()].at(-1);
  merge([...(last === undefined ? [] : [last.visit.event]), ...reply.events]);
  nextCursor = reply.next;
  showFrame();
  void learnMechanisms();
}

more.addEventListener("click", () => void showMore());
byId("language", HTMLElement).addEventListener("click", switchLanguage);
addEventListener("online", wake);
addEventListener("pageshow", wake);
document.addEventListener("visibilitychange", wake);
store.watch(() => {
  const chosen = chooseLanguage(store.language(), navigator.languages);
  if (chosen !== language.code) language = speak(chosen);
  // A token is a tab's own.
  if (signIn === null && store.userId() !== userId) become(store.userId());
  for (const { visit } of entries.values()) visit.reload();
  showAll();
});

showAll();
void learnMechanisms();
personForm.start(() => (signIn === null ? userId : ""));
setInterval(tick, TICK_MS);
tick();
