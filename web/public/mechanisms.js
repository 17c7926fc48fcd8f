/**
 * How the mechanisms are called: by the words of `GET /mechanisms`. The pages hold no list of their
 * own, so they draw whatever the server has.
 */

import { record } from "./wire.js";

/** @typedef {{ name: string, version: string, title: string, summary: string }} Mechanism */
/** @typedef {ReadonlyMap<string, Mechanism>} Mechanisms by name, in the server's order */

/**
 * Korean for what a server says in English. A translation is found by the words that it translates:
 * a mechanism that is new here, or has been given other words, is shown in the server's own.
 *
 * @type {ReadonlyMap<string, string>}
 */
const KOREAN = new Map([
  ["Row lock", "행 잠금"],
  [
    "Each claim locks the event's row in PostgreSQL, decides, and commits before the next.",
    "신청마다 PostgreSQL에서 이벤트의 행을 잠그고, 결정하고, 커밋한 뒤에 다음 신청을 받습니다.",
  ],
  ["Redis counter", "Redis 카운터"],
  [
    "Redis counts who may have a coupon, and PostgreSQL commits hundreds of them at once.",
    "쿠폰을 받을 사람은 Redis가 세고, PostgreSQL이 수백 건씩 한꺼번에 커밋합니다.",
  ],
  ["Kafka queue", "Kafka 대기열"],
  [
    "Kafka puts claims in order and gives each a place; who wins is decided behind the line.",
    "Kafka가 신청을 차례로 줄 세워 순번을 주고, 당첨은 그 줄의 순서대로 결정됩니다.",
  ],
]);

/**
 * @param {string} name
 * @param {{ known: Mechanisms, code: import("./language.js").LanguageCode }} spoken
 * @returns {{ short: string, label: string, summary: string }} the bare name where nothing is known
 */
export function wordsOf(name, { known, code }) {
  const mechanism = known.get(name);
  if (mechanism === undefined) return { short: name, label: name, summary: "" };
  const { version, title, summary } = mechanism;
  const say = (/** @type {string} */ text) => (code === "ko" ? (KOREAN.get(text) ?? text) : text);
  return { short: version, label: `${version} · ${say(title)}`, summary: say(summary) };
}

/** @param {unknown} body of the answer @returns {readonly Mechanism[] | null} null: it is no list */
export function mechanismsIn(body) {
  const { mechanisms } = record(body);
  return Array.isArray(mechanisms) ? mechanisms.filter((value) => isMechanism(value)) : null;
}

/** @param {unknown} value @returns {value is Mechanism} */
function isMechanism(value) {
  const { name, version, title, summary } = record(value);
  return [name, version, title, summary].every((text) => typeof text === "string");
}

/** What the server has told so far. */
/** @param {() => Promise<readonly Mechanism[] | null>} ask null: no answer */
export function openMechanisms(ask) {
  /** @type {Mechanisms} */
  let known = new Map();
  let isTold = false;
  let isAsking = false;
  /** Names that the server does not know either: asking again would not help. */
  /** @type {Set<string>} */
  const missed = new Set();
  return {
    /** @returns {Mechanisms} */
    known: () => known,
    /**
     * Asks until there is an answer, and again for a name that is new: a newer server may answer now.
     *
     * @param {readonly string[]} names which the page has to draw
     * @returns {Promise<boolean>} whether there are other words than before
     */
    async learn(names) {
      const isStrange = (/** @type {string} */ name) => !known.has(name) && !missed.has(name);
      if (isAsking || (isTold && !names.some(isStrange))) return false;
      isAsking = true;
      const told = await ask();
      isAsking = false;
      if (told === null) return false;
      isTold = true;
      known = new Map(told.map((mechanism) => [mechanism.name, mechanism]));
      for (const name of names.filter(isStrange)) missed.add(name);
      return true;
    },
  };
}
