/**
 * One person's place at one event, and what may be concluded about it. Pure: no DOM, no clock, no
 * network, no storage.
 *
 * Invariants:
 * - `issue`, `soldOut` and `voided` are final. An issued coupon is never taken back by a later answer.
 * - `ticket` is the lowest one ever given: the earliest record in the log is the one that counts.
 * - "Sold out" is concluded from a frame only where no attempt of this person stayed unanswered.
 *   Such an attempt may have left an earlier record that won; then the server must be asked.
 * - `none` is not final while a claim may still be on its way.
 */

import { record } from "./wire.js";

/** @typedef {import("./wire.js").Answer} Answer */
/** @typedef {import("./wire.js").Frame} Frame */
/** @typedef {import("./wire.js").CouponEvent} CouponEvent */
/**
 * What is kept over a reload. `aheadAtFirst` is what the progress bar starts from.
 *
 * @typedef {{ ticket: number | null, aheadAtFirst: number, guaranteed: boolean,
 *   issue: import("./wire.js").Issue | null, soldOut: boolean, voided: boolean }} Place
 */

/** @type {Readonly<Place>} */
export const NO_PLACE = Object.freeze({
  ticket: null,
  aheadAtFirst: 0,
  guaranteed: false,
  issue: null,
  soldOut: false,
  voided: false,
});

/** A place that was kept by a page from before it could be voided. */
/** @param {unknown} value @returns {unknown} */
export function upgradedPlace(value) {
  const kept = record(value);
  return "ticket" in kept ? { voided: false, ...kept } : value;
}

/** Whether something read from a storage that anybody may edit is a place. */
/** @param {unknown} value @returns {value is Place} */
export function isPlace(value) {
  const { ticket, aheadAtFirst, guaranteed, issue, soldOut, voided } = record(value);
  return (
    (ticket === null || Number.isSafeInteger(ticket)) &&
    Number.isSafeInteger(aheadAtFirst) &&
    typeof guaranteed === "boolean" &&
    typeof soldOut === "boolean" &&
    typeof voided === "boolean" &&
    (issue === null || typeof record(issue)["code"] === "string")
  );
}

/** @param {Place} place @returns {boolean} */
export function isFinal(place) {
  return place.issue !== null || place.soldOut || place.voided;
}

/**
 * The place after the server's answer to a claim or to a question.
 *
 * @param {Place} place
 * @param {Answer} answer
 * @returns {Place}
 */
export function afterAnswer(place, answer) {
  switch (answer.kind) {
    case "issued":
      return { ...NO_PLACE, issue: answer.issue };
    case "sold-out":
      return place.issue === null ? { ...NO_PLACE, soldOut: true } : place;
    case "voided":
      return place.issue === null ? { ...NO_PLACE, voided: true } : place;
    case "queued":
      return isFinal(place) ? place : queuedAt(place, answer);
    case "none":
      // A ticket below the mark with no coupon issue: its record was unreadable. A final answer
      // that the server does not know is one of another database. Either way: start again.
      return NO_PLACE;
    case "refused":
    case "unknown":
      return place;
    default:
      return answer;
  }
}

/**
 * @param {Place} place
 * @param {import("./wire.js").Queued} answer
 * @returns {Place}
 */
function queuedAt(place, { ticket, ahead, guaranteed }) {
  if (place.ticket !== null && place.ticket < ticket) return place;
  return {
    ...place,
    ticket,
    aheadAtFirst: Math.max(place.aheadAtFirst, ahead),
    guaranteed: place.guaranteed || guaranteed,
  };
}

/**
 * What one frame of the stream says about a place: the place after it, and whether the server must
 * be asked.
 *
 * @param {Place} place
 * @param {Frame} frame
 * @param {{ unanswered: boolean }} attempts whether any attempt of this person stayed unanswered
 * @returns {{ place: Place, ask: boolean }}
 */
export function afterFrame(place, frame, { unanswered }) {
  if (isFinal(place)) return { place, ask: false };
  const voided = frame.voided === true;
  const lost = unanswered && (frame.state === "sold-out" || voided);
  if (place.ticket === null) return { place, ask: lost };
  if (frame.lastWinningTicket !== null && place.ticket > frame.lastWinningTicket) {
    if (unanswered) return { place, ask: true };
    return { place: { ...NO_PLACE, soldOut: true }, ask: false };
  }
  const decided = frame.decided !== null && place.ticket < frame.decided;
  // The mark of this frame is the last one: what it has not passed is never decided.
  if (voided && !decided && !unanswered) {
    return { place: { ...NO_PLACE, voided: true }, ask: false };
  }
  return { place, ask: lost || decided };
}

/**
 * How many are ahead now. It never grows for a ticket, also where an older answer comes late.
 *
 * @param {{ ticket: number, decided: number, shown: number | null }} facts
 * @returns {number}
 */
export function aheadNow({ ticket, decided, shown }) {
  const ahead = Math.max(0, ticket - decided);
  return shown === null ? ahead : Math.min(shown, ahead);
}

/**
 * The newer of two states of an event. Coupon issues are never taken back and `version` only
 * grows, so a late answer to an early poll is recognised and dropped.
 *
 * @param {CouponEvent} known
 * @param {CouponEvent} incoming
 * @returns {CouponEvent}
 */
export function newerEvent(known, incoming) {
  if (incoming.version < known.version || incoming.issued < known.issued) return known;
  const soldOutBefore = known.state === "sold-out" && incoming.state !== "sold-out";
  return soldOutBefore ? known : incoming;
}

/**
 * @param {CouponEvent} event
 * @param {Frame} frame
 * @returns {CouponEvent}
 */
export function withFrame(event, { issued, remaining, state, voided }) {
  const limit = issued + remaining;
  const ended = voided === true ? { voided } : {};
  return newerEvent(event, { ...event, issued, remaining, state, limit, ...ended });
}
