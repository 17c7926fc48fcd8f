/** One event's card: built once, then only its texts change, so that focus and selection stay. */

import { wordsOf } from "./mechanisms.js";
import { element, setText } from "./page.js";

const CODE_GROUP_LENGTH = 4;
const COPIED_FOR_MS = 4_000;

/** @typedef {import("./view.js").View} View */
/** @typedef {import("./view.js").Waiting} Waiting */
/** @typedef {import("./language.js").Language} Language */
/** @typedef {import("./visit.js").Visit} Visit */
/** @typedef {ReturnType<typeof buildParts>} Parts */
/** @typedef {{ view: View, language: Language, mechanisms: import("./mechanisms.js").Mechanisms }} Shown */
/** @typedef {{ element: HTMLElement, show(shown: Shown): void }} Card */

/** @param {Visit} visit @returns {Card} */
export function createCard(visit) {
  const parts = buildParts(visit.event.id);
  /** @type {View["button"]} */
  let button = null;
  parts.button.addEventListener("click", () => {
    if (button?.enabled !== true) return;
    void (button.action === "claim" ? visit.claim() : visit.look());
  });
  const copy = copyButton(parts);

  return {
    element: parts.item,
    show(shown) {
      const { view, language } = shown;
      button = view.button;
      showEvent(parts, visit, shown);
      showButton(parts, view.button, language);
      showWaiting(parts, view.waiting, { limit: visit.event.limit, language });
      showCoupon(parts, visit.place.issue, language);
      copy.show(language);
    },
  };
}

/** @param {string} eventId */
function buildParts(eventId) {
  const parts = {
    item: element("li", "card"),
    article: element("article", "sheet"),
    mechanism: element("p", "mechanism"),
    state: element("p", "state"),
    name: element("h3", "name"),
    explain: element("p", "explain"),
    stock: element("div", "stock"),
    left: element("strong", "left"),
    ofLimit: element("span", "of-limit"),
    stockBar: element("progress", "stock-bar"),
    when: element("p", "when"),
    whenLabel: element("span", "when-label"),
    countdown: element("strong", "countdown"),
    whenExactly: element("span", "when-exactly"),
    waiting: element("section", "waiting"),
    ahead: element("strong", "ahead"),
    aheadLabel: element("span", "ahead-label"),
    lineBar: element("progress", "line-bar"),
    badge: element("p", "badge"),
    why: element("p", "why"),
    estimate: element("p", "estimate"),
    coupon: element("section", "coupon"),
    codeLabel: element("p", "code-label"),
    code: element("code", "code"),
    issuedAt: element("p", "issued-at"),
    copy: element("button", "copy"),
    sentence: element("p", "sentence"),
    button: element("button", "claim"),
  };
  parts.item.dataset["eventId"] = eventId;
  parts.name.id = `name-${eventId}`;
  parts.article.setAttribute("aria-labelledby", parts.name.id);
  parts.article.tabIndex = -1;
  parts.button.type = "button";
  parts.copy.type = "button";
  const label = element("div", "label");
  label.append(parts.mechanism, parts.state);
  const count = element("p", "count");
  count.append(parts.left, " ", parts.ofLimit);
  parts.stock.append(count, parts.stockBar);
  parts.when.append(parts.whenLabel, " ", parts.countdown, " ", parts.whenExactly);
  const line = element("p", "line");
  line.append(parts.ahead, " ", parts.aheadLabel);
  parts.waiting.append(line, parts.lineBar, parts.estimate, parts.badge, parts.why);
  parts.coupon.append(parts.codeLabel, parts.code, parts.issuedAt, parts.copy);
  const { name, explain, stock, when, waiting, sentence, coupon, button } = parts;
  parts.article.append(label, name, explain, stock, when, waiting, sentence, coupon, button);
  parts.item.append(parts.article);
  return parts;
}

/** @param {Parts} parts @param {Visit} visit @param {Shown} shown */
function showEvent(parts, visit, { view, language, mechanisms }) {
  const { event, place } = visit;
  const words = wordsOf(event.mechanism, { known: mechanisms, code: language.code });
  parts.item.dataset["phase"] = view.phase;
  parts.item.dataset["state"] = view.state.replace("state.", "");
  setText(parts.mechanism, words.label);
  setText(parts.explain, words.summary);
  setText(parts.state, language.say(view.state));
  setText(parts.name, event.name);
  setText(parts.left, language.number(event.remaining));
  setText(parts.ofLimit, language.say("left", { limit: event.limit }));
  parts.stockBar.setAttribute("aria-label", language.say("leftBar"));
  setProgress(parts.stockBar, { value: event.remaining, max: event.limit });
  // What is left is news also to whoever has a coupon; to whoever came too late it is always 0.
  parts.stock.hidden = place.soldOut;
  const { values } = view.sentence;
  const time = values["time"];
  const spoken = typeof time === "string" ? { ...values, time: language.time(time) } : values;
  setText(parts.sentence, language.say(view.sentence.key, spoken));
  showWhen(parts, { visit, view, language });
}

/**
 * @param {Parts} parts
 * @param {{ visit: Visit, view: View, language: Language }} shown
 */
function showWhen(parts, { visit: { event }, view, language }) {
  const closesAt = event.state === "open" && view.phase === "idle" ? event.closesAt : null;
  parts.when.hidden = view.opensInMs === null && closesAt === null;
  if (view.opensInMs !== null) {
    setText(parts.whenLabel, language.say("opensIn"));
    setText(parts.countdown, language.countdown(view.opensInMs));
    setText(parts.whenExactly, language.say("opensAt", { time: language.time(event.opensAt) }));
  } else if (closesAt !== null) {
    setText(parts.whenLabel, language.say("closesAt", { time: language.time(closesAt) }));
    setText(parts.countdown, "");
    setText(parts.whenExactly, "");
  }
}

/**
 * @param {Parts} parts
 * @param {View["button"]} button
 * @param {Language} language
 */
function showButton({ button: node, article }, button, language) {
  // A focus that vanishes with its button would send a keyboard user back to the top of the page.
  if (button === null && document.activeElement === node) article.focus();
  node.hidden = button === null;
  if (button === null) return;
  setText(node, language.say(button.label.key, button.label.values));
  node.setAttribute("aria-disabled", String(!button.enabled));
  node.dataset["action"] = button.action;
}

/**
 * @param {Parts} parts
 * @param {Waiting | null} waiting
 * @param {{ limit: number, language: Language }} context
 */
function showWaiting(parts, waiting, { limit, language }) {
  parts.waiting.hidden = waiting === null;
  if (waiting === null) return;
  const { ahead, aheadAtFirst, guaranteed, estimateSeconds } = waiting;
  const place = waiting.placeNumber;
  setText(parts.ahead, ahead === null ? "…" : language.number(ahead));
  setText(parts.aheadLabel, language.say(ahead === 1 ? "aheadOne" : "aheadMany"));
  parts.lineBar.setAttribute("aria-label", language.say("progress"));
  // The ticket itself is the last step: nobody ahead is a full bar also for who came first.
  const max = aheadAtFirst + 1;
  setProgress(parts.lineBar, { value: ahead === null ? 0 : max - Math.min(max, ahead), max });
  parts.waiting.dataset["guaranteed"] = String(guaranteed);
  setText(parts.badge, language.say(guaranteed ? "guaranteed" : "notGuaranteed"));
  const why = guaranteed ? "guaranteedWhy" : "notGuaranteedWhy";
  setText(parts.why, language.say(why, { limit, place }));
  const estimate = estimateSeconds === null ? "" : language.estimate(estimateSeconds);
  setText(parts.estimate, estimate);
}

/**
 * @param {Parts} parts
 * @param {import("./wire.js").Issue | null} issue
 * @param {Language} language
 */
function showCoupon(parts, issue, language) {
  parts.coupon.hidden = issue === null;
  if (issue === null) return;
  setText(parts.codeLabel, language.say("yourCode"));
  setText(parts.issuedAt, language.say("issuedAt", { time: language.time(issue.issuedAt) }));
  if (parts.code.dataset["code"] === issue.code) return;
  parts.code.dataset["code"] = issue.code;
  const groups = issue.code.match(new RegExp(`.{1,${CODE_GROUP_LENGTH}}`, "gu")) ?? [];
  // The gaps are drawn, not written: a copied selection is the code itself.
  parts.code.replaceChildren(
    ...groups.map((group) => {
      const span = element("span", "group");
      span.textContent = group;
      return span;
    }),
  );
}

/** @param {Parts} parts @returns {{ show(language: Language): void }} */
function copyButton({ copy, code }) {
  /** @type {"button.copy" | "button.copied" | "button.selected"} */
  let label = "button.copy";
  /** @type {Language | null} */
  let spoken = null;
  const show = () => {
    if (spoken !== null) setText(copy, spoken.say(label));
  };
  const write = async () => {
    try {
      await navigator.clipboard.writeText(code.dataset["code"] ?? "");
      label = "button.copied";
    } catch {
      // Over plain HTTP, or without the permission, the page cannot write to the clipboard.
      getSelection()?.selectAllChildren(code);
      label = "button.selected";
    }
    show();
    setTimeout(() => {
      label = "button.copy";
      show();
    }, COPIED_FOR_MS);
  };
  copy.addEventListener("click", () => void write());
  return {
    show(language) {
      spoken = language;
      show();
    },
  };
}

/** @param {HTMLProgressElement} bar @param {{ value: number, max: number }} amount */
function setProgress(bar, { value, max }) {
  if (bar.max !== max) bar.max = max;
  if (bar.value !== value) bar.value = value;
}
