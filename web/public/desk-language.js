/** The live desk's words, and its numbers: rates, counts on an axis, durations, times of day. */

import { DESK_ENGLISH, DESK_KOREAN } from "./desk-messages.js";
import { phrasebook } from "./language.js";

const MS_PER_SECOND = 1000;

/** @typedef {import("./desk-messages.js").DeskKey} DeskKey */

/** @param {import("./language.js").LanguageCode} code */
export function speakDesk(code) {
  const whole = new Intl.NumberFormat(code, { maximumFractionDigits: 0 });
  const fine = new Intl.NumberFormat(code, { maximumFractionDigits: 1 });
  const compact = new Intl.NumberFormat(code, { notation: "compact", maximumFractionDigits: 1 });
  const percent = new Intl.NumberFormat(code, { style: "percent", maximumFractionDigits: 1 });
  const clock = new Intl.DateTimeFormat(code, { timeStyle: "medium", hourCycle: "h23" });
  // Quantiles out of buckets are no better than that.
  const rough = new Intl.NumberFormat(code, { maximumSignificantDigits: 2 });
  const book = phrasebook(code, code === "ko" ? DESK_KOREAN : DESK_ENGLISH);
  return {
    ...book,
    /** Claims per second: a slow trickle keeps its fraction. */
    /** @param {number} value @returns {string} */
    rate: (value) => (value < 10 ? fine : whole).format(value),
    /** @param {number} value @returns {string} */
    compact: (value) => compact.format(value),
    /** @param {number} value a share from 0 to 1 @returns {string} */
    percent: (value) => percent.format(value),
    /** @param {number} value in seconds @returns {string} */
    duration(value) {
      return value < 1
        ? book.say("milliseconds", { value: rough.format(value * MS_PER_SECOND) })
        : book.say("seconds", { value: rough.format(value) });
    },
    /** @param {number} atMs epoch @returns {string} in the operator's own time zone */
    time: (atMs) => clock.format(new Date(atMs)),
  };
}

/** @typedef {ReturnType<typeof speakDesk>} DeskLanguage */
