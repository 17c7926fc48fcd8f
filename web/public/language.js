/** Words, numbers, times and durations in the person's language. */

import { ENGLISH, fill, KOREAN } from "./messages.js";

const MINUTE_SECONDS = 60;
/** A rough time is told in steps of five seconds: it moves several times a second otherwise. */
const ROUGH_SECONDS = 5;

/** @typedef {"en" | "ko"} LanguageCode */
/** @typedef {import("./messages.js").MessageKey} MessageKey */
/** @typedef {Readonly<Record<string, string | number>>} Values */

/**
 * @param {string | null} kept what the person chose before
 * @param {readonly string[]} preferred what the browser is set to
 * @returns {LanguageCode}
 */
export function chooseLanguage(kept, preferred) {
  if (kept === "en" || kept === "ko") return kept;
  for (const tag of preferred) {
    if (tag.startsWith("ko")) return "ko";
    if (tag.startsWith("en")) return "en";
  }
  return "en";
}

/**
 * Sentences and numbers of one table in one language. Each page brings its own table, so that a
 * crowd of shoppers does not load the operators' words.
 *
 * @template {string} Key
 * @param {LanguageCode} code
 * @param {Readonly<Record<Key, string>>} messages
 */
export function phrasebook(code, messages) {
  const numbers = new Intl.NumberFormat(code);
  return {
    code,
    /** @param {Key} key @param {Values} [values] @returns {string} */
    say(key, values = {}) {
      const texts = Object.entries(values).map(([name, value]) => [
        name,
        typeof value === "number" ? numbers.format(value) : value,
      ]);
      return fill(messages[key], Object.fromEntries(texts));
    },
    /** @param {number} value @returns {string} */
    number: (value) => numbers.format(value),
  };
}

/** @param {LanguageCode} code */
export function speak(code) {
  const near = new Intl.DateTimeFormat(code, { timeStyle: "medium" });
  const far = new Intl.DateTimeFormat(code, { dateStyle: "medium", timeStyle: "short" });
  const language = {
    ...phrasebook(code, code === "ko" ? KOREAN : ENGLISH),
    /** A time today without its date, in the person's own time zone. */
    /** @param {string} iso @returns {string} */
    time(iso) {
      const date = new Date(iso);
      const today = date.toDateString() === new Date().toDateString();
      return (today ? near : far).format(date);
    },
    /** @param {number} ms @returns {string} */
    countdown(ms) {
      const { days, clock } = countdownParts(ms);
      return days === 0 ? clock : language.say("days", { days, clock });
    },
    /** @param {number} seconds @returns {string} */
    estimate(seconds) {
      if (seconds < ROUGH_SECONDS) return language.say("estimateSoon");
      const short = seconds <= 1.5 * MINUTE_SECONDS;
      const value = short
        ? Math.ceil(seconds / ROUGH_SECONDS) * ROUGH_SECONDS
        : Math.ceil(seconds / MINUTE_SECONDS);
      const unit = short ? "second" : "minute";
      const format = new Intl.NumberFormat(code, { style: "unit", unit, unitDisplay: "long" });
      return language.say("estimate", { duration: format.format(value) });
    },
  };
  return language;
}

/** @typedef {ReturnType<typeof speak>} Language */

/**
 * Rounded up to whole seconds: it shows 0:01 until the very end, never an early 0:00.
 *
 * @param {number} ms
 * @returns {{ days: number, clock: string }}
 */
export function countdownParts(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  const [days, hours, minutes] = [
    Math.floor(seconds / 86_400),
    Math.floor(seconds / 3600) % 24,
    Math.floor(seconds / MINUTE_SECONDS) % 60,
  ];
  const tail = `${two(minutes)}:${two(seconds % MINUTE_SECONDS)}`;
  return { days, clock: days > 0 || hours > 0 ? `${two(hours)}:${tail}` : tail };
}

/** @param {number} value @returns {string} */
function two(value) {
  return String(value).padStart(2, "0");
}
