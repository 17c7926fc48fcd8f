/**
 * What a card shows, as plain data: which sentence, which button, which numbers. Pure, so that
 * every outcome can be tested without a browser.
 */

/** @typedef {import("./messages.js").MessageKey} MessageKey */
/** @typedef {import("./language.js").Values} Values */
/** @typedef {{ key: MessageKey, values: Values }} Sentence */
/**
 * @typedef {"issued" | "sold-out" | "voided" | "claiming" | "waiting" | "unknown" | "idle"} Phase
 */
/**
 * @typedef {Pick<import("./visit.js").Visit, "event" | "place" | "unanswered" | "claiming"
 *   | "looking" | "disconnected" | "stalled" | "signedOut" | "ahead" | "estimateSeconds" | "said" | "notBeforeMs">} VisitFacts
 */
/**
 * @typedef {{ ahead: number | null, aheadAtFirst: number, placeNumber: number,
 *   guaranteed: boolean, estimateSeconds: number | null }} Waiting
 */
/**
 * `enabled: false` still takes the focus: a button that vanishes from under a keyboard user's
 * finger at the moment it matters is worse than one that says "one moment".
 *
 * @typedef {{ label: Sentence, action: "claim" | "look", enabled: boolean }} Button
 */
/**
 * @typedef {{ phase: Phase, state: MessageKey, sentence: Sentence, button: Button | null,
 *   waiting: Waiting | null, opensInMs: number | null }} View
 */

/**
 * @param {VisitFacts} visit
 * @param {{ serverMs: number, localMs: number }} now
 * @returns {View}
 */
export function viewOf(visit, now) {
  const { event } = visit;
  const phase = phaseOf(visit);
  const opensInMs = event.state === "scheduled" ? Date.parse(event.opensAt) - now.serverMs : null;
  // At zero the button works at once; the server's word on the new state may come a little later.
  const isEarly = opensInMs !== null && opensInMs > 0;
  const pausedWhileOpen = event.paused && event.state === "open";
  return {
    phase,
    state: pausedWhileOpen ? "state.paused" : `state.${event.state}`,
    sentence: sentenceOf(visit, phase),
    button: buttonOf(visit, phase, { isEarly, waitMs: visit.notBeforeMs - now.localMs }),
    waiting: waitingOf(visit, phase),
    opensInMs: isEarly ? opensInMs : null,
  };
}

/** @param {VisitFacts} visit @returns {Phase} */
function phaseOf({ place, claiming, unanswered }) {
  if (place.issue !== null) return "issued";
  if (place.soldOut) return "sold-out";
  if (place.voided) return "voided";
  if (place.ticket !== null) return "waiting";
  if (claiming) return "claiming";
  return unanswered ? "unknown" : "idle";
}

/** @param {VisitFacts} visit @param {Phase} phase @returns {Sentence} */
function sentenceOf(visit, phase) {
  const { event, place, said } = visit;
  const { limit } = event;
  switch (phase) {
    case "issued":
      return plain("place.issued", { seq: place.issue?.seq ?? 0, limit });
    case "sold-out":
      return plain("place.soldOut");
    case "voided":
      return plain("place.voided");
    case "claiming":
      return plain("place.claiming");
    case "waiting":
      return plain(waitingKey(visit));
    case "unknown":
      if (visit.signedOut) return plain("refused.unauthenticated");
      if (said?.kind === "unknown") return plain(`unknown.${said.reason}`);
      if (said?.kind === "none") return plain("unknown.none");
      return said?.kind === "refused" ? refusal(said, event.opensAt) : plain("unknown.network");
    case "idle":
      return said === null ? plain(eventKey(event)) : told(said, event);
    default:
      return phase;
  }
}

/** @param {VisitFacts} visit @returns {MessageKey} */
function waitingKey({ disconnected, stalled, signedOut, ahead, looking }) {
  if (stalled) return "unknown.stalled";
  if (signedOut && !looking) return "place.signedOut";
  if (disconnected && !looking) return "place.connectionLost";
  if (ahead === null) return "place.finding";
  return ahead === 0 ? "place.deciding" : "place.waiting";
}

/** @param {import("./wire.js").CouponEvent} event @returns {MessageKey} */
function eventKey({ state, paused, voided, available }) {
  if (voided === true && state !== "sold-out") return "event.voided";
  if (state === "sold-out" || state === "closed") return `event.${state}`;
  if (paused) return "event.paused";
  if (!available) return "event.unavailable";
  return `event.${state}`;
}

/**
 * @param {import("./visit.js").Said} said
 * @param {import("./wire.js").CouponEvent} event
 * @returns {Sentence}
 */
function told(said, { opensAt, state }) {
  if (said.kind === "refused") return refusal(said, opensAt);
  if (said.kind === "unknown") return plain(`unknown.${said.reason}`);
  if (said.kind === "look-failed") return plain("lookFailed");
  return plain(state === "open" ? "unknown.none" : "none");
}

/** @param {import("./wire.js").Refused} refused @param {string} opensAt @returns {Sentence} */
function refusal({ reason, opensAt: told }, opensAt) {
  return plain(`refused.${reason}`, reason === "not-open" ? { time: told ?? opensAt } : {});
}

/**
 * @param {VisitFacts} visit
 * @param {Phase} phase
 * @param {{ isEarly: boolean, waitMs: number }} delay
 * @returns {Button | null}
 */
function buttonOf(visit, phase, { isEarly, waitMs }) {
  const { event, looking } = visit;
  if (["issued", "sold-out", "voided", "waiting"].includes(phase)) return null;
  const over = event.state === "sold-out" || event.state === "closed";
  // An event of a mechanism that this server lacks has no address for claims.
  const action = over || event.paused || event.claim === "" ? "look" : "claim";
  if (phase === "claiming" || looking) {
    return { label: plain("button.busy"), action, enabled: false };
  }
  if (action === "look") return { label: plain("button.look"), action, enabled: true };
  if (isEarly) return { label: plain("button.early"), action, enabled: false };
  if (waitMs > 0) {
    const seconds = Math.ceil(waitMs / 1000);
    return { label: plain("button.wait", { seconds }), action, enabled: false };
  }
  const again = phase === "unknown" ? "button.again" : "button.claim";
  return { label: plain(again), action, enabled: true };
}

/** @param {VisitFacts} visit @param {Phase} phase @returns {Waiting | null} */
function waitingOf({ event, place, ahead, estimateSeconds }, phase) {
  if (phase !== "waiting" || place.ticket === null) return null;
  return {
    ahead,
    aheadAtFirst: place.aheadAtFirst,
    placeNumber: place.ticket + 1,
    // A raised limit can only add to what was promised.
    guaranteed: place.guaranteed || place.ticket < event.limit,
    estimateSeconds: ahead === null || ahead === 0 ? null : estimateSeconds,
  };
}

/**
 * What a screen reader is told, and a name for it: it speaks when the name changes. Of a shrinking
 * line it speaks each time the number has halved, not ten times a second.
 *
 * @param {View} view
 * @returns {{ name: string, sentence: Sentence | null, waiting: Waiting | null } | null}
 */
export function announcementOf({ phase, sentence, waiting }) {
  if (waiting !== null && waiting.ahead !== null && waiting.ahead > 0) {
    const halvings = Math.floor(Math.log2(waiting.ahead));
    return { name: `waiting ${halvings}`, sentence: null, waiting };
  }
  const quiet = phase === "idle" && sentence.key.startsWith("event.");
  return quiet ? null : { name: sentence.key, sentence, waiting: null };
}

/** @param {MessageKey} key @param {Values} [values] @returns {Sentence} */
function plain(key, values = {}) {
  return { key, values };
}
