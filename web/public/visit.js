/**
 * One person's visit at one event: claims, asks what became of a claim, and keeps the place.
 *
 * Whatever happens, the server is asked until there is a final answer: after a claim without an
 * answer, when a frame says that the ticket is decided, and at an easy pace while the stream is
 * down. `tick` drives all of it, so a lost timer or a sleeping laptop loses nothing.
 */

import { monotonicMs } from "./api.js";
import {
  afterAnswer,
  afterFrame,
  aheadNow,
  isFinal,
  newerEvent,
  NO_PLACE,
  withFrame,
} from "./place.js";

const ASK_WITH_STREAM_MS = 15_000;
const ASK_WITHOUT_STREAM_MS = 2_000;
const ASK_FIRST_GAP_MS = 500;
const ASK_GAP_MS_MAX = 15_000;
/** Ten thousand people may be told by one frame to ask: they spread over this time. */
const ASK_SPREAD_MS = 400;
/** After so many `none` the claim is taken as not arrived, until a frame says "sold out". */
const ASKS_WITHOUT_TICKET_MAX = 6;
const CLAIM_PATH = /^\/v\d+\/events\/[a-z0-9-]+\/issues$/;

/** @typedef {import("./wire.js").Answer} Answer */
/** @typedef {import("./wire.js").CouponEvent} CouponEvent */
/** What is still to be told about the last request: a refusal, a doubt, or "nothing found". */
/**
 * @typedef {import("./wire.js").Refused | import("./wire.js").Unknown | { kind: "none" }
 *   | { kind: "look-failed" }} Said
 */
/**
 * @typedef {{ api: import("./api.js").Api, store: import("./store.js").Store,
 *   isStreamUp: (eventId: string) => boolean, isHidden: () => boolean,
 *   changed: (visit: Visit) => void }} Surroundings
 */

export class Visit {
  /** @type {CouponEvent} */ event;
  /** @type {import("./place.js").Place} */ place;
  /** An attempt of this person, in any tab, has no answer. */
  unanswered = false;
  claiming = false;
  looking = false;
  /** The last question about the place was not answered. */
  disconnected = false;
  /** The line stands still until the shop acts. */
  stalled = false;
  /** The server does not know, or no longer knows, who asks. */
  signedOut = false;
  /** @type {number | null} */ ahead = null;
  /** @type {number | null} */ estimateSeconds = null;
  /** @type {Said | null} */ said = null;
  /** The server asked us to wait until then (local clock). */
  notBeforeMs = 0;

  /** @type {Surroundings} */ #around;
  /** @type {{ userId: string, eventId: string }} */ #owner;
  #asking = false;
  #asks = 0;
  #lastAskMs = 0;
  /** @type {number | null} */ #askDueMs = null;

  /**
   * @param {CouponEvent} event
   * @param {string} userId
   * @param {Surroundings} around
   */
  constructor(event, userId, around) {
    this.event = event;
    this.#around = around;
    this.#owner = { userId, eventId: event.id };
    this.place = around.store.place(this.#owner);
    this.unanswered = around.store.unanswered(this.#owner);
    // Also where the answer was final: the server may have been given another database since.
    if (this.isPending || isFinal(this.place)) this.#askDueMs = 0;
  }

  /** There is something to find out: the person waits, or an attempt was never answered. */
  get isPending() {
    return !isFinal(this.place) && (this.place.ticket !== null || this.unanswered);
  }

  /** Claims. Pressed twice, it is one claim; and a second one would change nothing. */
  /** @returns {Promise<void>} */
  async claim() {
    if (this.claiming || monotonicMs() < this.notBeforeMs) return;
    this.claiming = true;
    this.said = null;
    // Written down before it is sent: a reload in between must not forget that it may have arrived.
    const answered = this.#around.store.attempt(this.#owner);
    this.unanswered = true;
    this.#changed();
    const answer = await this.#around.api.claim({
      path: this.event.claim,
      userId: this.#owner.userId,
    });
    this.claiming = false;
    this.signedOut = isUnauthenticated(answer);
    if (answer.kind !== "unknown") answered();
    this.#asks = 0;
    this.#conclude(answer);
    if (answer.kind === "refused" || answer.kind === "unknown") this.#tell(answer);
    this.#planNextAsk(answer, answer.kind === "unknown" ? ASK_FIRST_GAP_MS : 0);
    this.#changed();
  }

  /** Asks because the person wants to know: on an event that takes no claims any more. */
  /** @returns {Promise<void>} */
  async look() {
    if (this.looking) return;
    this.looking = true;
    this.said = null;
    this.#changed();
    const answer = await this.#ask();
    this.looking = false;
    if (answer.kind === "none") this.said = { kind: "none" };
    if (answer.kind === "unknown") this.said = { kind: "look-failed" };
    if (answer.kind === "refused") this.#tell(answer);
    this.#changed();
  }

  /** @param {CouponEvent} incoming @returns {void} */
  onEvent(incoming) {
    const before = this.event;
    this.event = newerEvent(before, incoming);
    if (doorOf(before) !== doorOf(this.event)) this.#doorChanged();
    const isOver = this.event.state === "sold-out" || this.event.voided === true;
    if (isOver && this.isPending) this.#askSoon();
    this.#changed();
  }

  /** @param {import("./wire.js").Frame} frame @returns {void} */
  onFrame(frame) {
    const before = this.event;
    this.event = withFrame(before, frame);
    if (doorOf(before) !== doorOf(this.event)) this.#doorChanged();
    this.stalled = frame.stalled === true;
    const { ticket } = this.place;
    if (ticket !== null && frame.decided !== null) {
      this.ahead = aheadNow({ ticket, decided: frame.decided, shown: this.ahead });
      const perSecond = frame.perSecond ?? 0;
      if (perSecond > 0) this.estimateSeconds = this.ahead / perSecond;
    }
    const { place, ask } = afterFrame(this.place, frame, { unanswered: this.unanswered });
    this.disconnected = false;
    if (place !== this.place) this.#keep(place);
    if (ask) this.#askSoon();
    else if (this.place.ticket !== null) this.#waitForNews();
    this.#changed();
  }

  /** Another tab changed what the browser remembers. */
  /** @returns {void} */
  reload() {
    const { store } = this.#around;
    const place = store.place(this.#owner);
    const unanswered = store.unanswered(this.#owner);
    const samePlace = JSON.stringify(place) === JSON.stringify(this.place);
    if (samePlace && unanswered === this.unanswered) return;
    this.unanswered = unanswered;
    if (!samePlace) this.#settleOn(place);
    if (this.isPending) this.#askSoon();
    this.#changed();
  }

  /** The stream broke: the person must not wait for its next frame. */
  /** @returns {void} */
  onStreamDown() {
    if (this.isPending) this.#askSoon();
  }

  /** The connection, or the person, is back: find out now instead of when it is due. */
  /** @returns {void} */
  wake() {
    this.#asks = 0;
    if (this.isPending) this.#askDueMs = 0;
  }

  /** @param {number} nowMs local clock @returns {void} */
  tick(nowMs) {
    if (this.#askDueMs === null || nowMs < this.#askDueMs) return;
    if (!this.#asking && !this.claiming) void this.#ask();
  }

  /** @returns {Promise<Answer>} */
  async #ask() {
    const { api } = this.#around;
    const asked = this.place;
    this.#asking = true;
    this.#lastAskMs = monotonicMs();
    this.#asks += 1;
    const answer = await api.status({ ...this.#owner, ticket: asked.ticket });
    this.#asking = false;
    this.stalled = answer.kind === "unknown" && answer.reason === "stalled";
    this.disconnected = !this.stalled && (answer.kind === "unknown" || answer.kind === "refused");
    this.signedOut = isUnauthenticated(answer);
    // Where the place changed meanwhile, "none" answers a question that nobody asks any more.
    if (answer.kind !== "none" || this.place === asked) this.#conclude(answer);
    const expected = this.unanswered || asked !== NO_PLACE;
    if (answer.kind === "none" && expected && this.said?.kind !== "refused") {
      this.said = { kind: "none" };
    }
    this.#planNextAsk(answer, 0);
    this.#changed();
    return answer;
  }

  /** @param {Answer} answer */
  #conclude(answer) {
    this.#keep(afterAnswer(this.place, answer));
    if (answer.kind !== "queued" || answer.ticket !== this.place.ticket) return;
    this.ahead = Math.min(this.ahead ?? answer.ahead, answer.ahead);
    this.estimateSeconds = answer.estimate?.seconds ?? this.estimateSeconds;
  }

  /** @param {import("./place.js").Place} place */
  #keep(place) {
    const { store } = this.#around;
    if (place !== this.place) {
      store.setPlace(this.#owner, place);
      this.#settleOn(place);
    }
    if (isFinal(place)) store.settle(this.#owner);
    this.unanswered = store.unanswered(this.#owner);
  }

  /** @param {import("./place.js").Place} place */
  #settleOn(place) {
    this.place = place;
    if (place.ticket === null) {
      this.ahead = null;
      this.estimateSeconds = null;
    }
    if (place.ticket !== null || isFinal(place)) this.said = null;
    if (isFinal(place)) this.#askDueMs = null;
  }

  /** @param {import("./wire.js").Refused | import("./wire.js").Unknown} answer */
  #tell(answer) {
    this.said = answer;
    if (answer.kind === "unknown") return;
    const waits = answer.reason === "unavailable" || answer.reason === "too-many-requests";
    if (waits) this.notBeforeMs = monotonicMs() + (answer.retryAfterMs ?? 0);
    if (answer.claim !== null && CLAIM_PATH.test(answer.claim)) {
      this.event = { ...this.event, claim: answer.claim };
    }
    if (answer.opensAt !== null) this.event = { ...this.event, opensAt: answer.opensAt };
  }

  /** What was said about a door that has changed since would mislead. */
  #doorChanged() {
    if (this.said?.kind === "refused") this.said = null;
  }

  #waitForNews() {
    this.#asks = 0;
    this.#askDueMs = monotonicMs() + spread(ASK_WITH_STREAM_MS);
  }

  /** Soon, spread over people, and with a growing gap where asking has not helped so far. */
  #askSoon() {
    const dueMs = monotonicMs() + Math.random() * ASK_SPREAD_MS;
    const gapMs = this.#asks === 0 ? 0 : gapAfter(this.#asks);
    const atMs = Math.max(dueMs, this.#lastAskMs + gapMs);
    this.#askDueMs = this.#askDueMs === null ? atMs : Math.min(this.#askDueMs, atMs);
  }

  /**
   * @param {Answer} answer
   * @param {number} firstMs
   */
  #planNextAsk(answer, firstMs) {
    this.#askDueMs = null;
    const stop = answer.kind === "refused" && answer.reason !== "unavailable";
    const tooOften = this.place.ticket === null && this.#asks >= ASKS_WITHOUT_TICKET_MAX;
    if (!this.isPending || (stop && this.place.ticket === null)) return;
    if (tooOften && answer.kind === "none") return;
    let paceMs = firstMs || gapAfter(this.#asks);
    if (answer.kind === "queued" && this.ahead !== 0) {
      const live = this.#around.isStreamUp(this.event.id) || this.#around.isHidden();
      paceMs = live ? ASK_WITH_STREAM_MS : ASK_WITHOUT_STREAM_MS;
    }
    const retryAfterMs = "retryAfterMs" in answer ? (answer.retryAfterMs ?? 0) : 0;
    this.#askDueMs = monotonicMs() + spread(Math.max(paceMs, retryAfterMs));
  }

  #changed() {
    this.#around.changed(this);
  }
}

/** @param {CouponEvent} event @returns {string} whatever decides whether a claim is taken */
function doorOf({ state, paused, available }) {
  return `${state} ${paused} ${available}`;
}

/** @param {number} asks how often it was asked already @returns {number} */
function gapAfter(asks) {
  return Math.min(ASK_GAP_MS_MAX, ASK_FIRST_GAP_MS * 2 ** asks);
}

/** Up to a third longer, never shorter: `Retry-After` is a minimum. */
/** @param {number} ms @returns {number} */
function spread(ms) {
  return ms * (1 + Math.random() / 3);
}

/** @param {Answer} answer @returns {boolean} */
function isUnauthenticated(answer) {
  return answer.kind === "refused" && answer.reason === "unauthenticated";
}
