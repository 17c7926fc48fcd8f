/**
 * The server's answers, sorted by how much they say. A claim ends in one of three ways that must
 * never be confused: an answer, a refusal (certainly nothing happened) and `unknown` (it may have
 * happened: a lost connection, a deadline, any 5xx that does not promise the opposite).
 */

export const USER_ID_PATTERN = /^[\x21-\x7E]{1,255}$/;

/** @typedef {"scheduled" | "open" | "sold-out" | "closed"} EventState */
/**
 * @typedef {{ id: string, name: string, mechanism: string, limit: number, issued: number,
 *   remaining: number, state: EventState, paused: boolean, opensAt: string,
 *   closesAt: string | null, pace: number | null, voided?: true, version: number, claim: string,
 *   available: boolean }} CouponEvent
 */
/**
 * @typedef {{ issued: number, remaining: number, state: EventState, decided: number | null,
 *   perSecond: number | null, lastWinningTicket: number | null, stalled?: true,
 *   voided?: true }} Frame
 */
/** @typedef {{ seq: number, code: string, issuedAt: string }} Issue */
/** @typedef {{ seconds: number, low: number, high: number }} Estimate */
/**
 * @typedef {{ kind: "queued", ticket: number, ahead: number, guaranteed: boolean,
 *   estimate: Estimate | null, retryAfterMs: number | null }} Queued
 */
/** @typedef {{ kind: "issued", issue: Issue }} Issued */
/**
 * @typedef {"not-open" | "closed" | "paused" | "wrong-mechanism" | "unauthenticated" | "forbidden"
 *   | "no-such-event" | "invalid-request" | "too-many-requests" | "unavailable" | "refused"} RefusalReason
 */
/**
 * @typedef {{ kind: "refused", reason: RefusalReason, retryAfterMs: number | null,
 *   opensAt: string | null, claim: string | null }} Refused
 */
/**
 * @typedef {{ kind: "unknown",
 *   reason: "outcome-unknown" | "network" | "server-error" | "pending" | "stalled",
 *   retryAfterMs: number | null }} Unknown
 */
/** @typedef {{ kind: "sold-out" } | { kind: "voided" } | { kind: "none" }} Bare */
/** @typedef {Issued | Queued | Bare | Refused | Unknown} Answer */
/** @typedef {{ status: number, retryAfterMs: number | null, body: unknown }} Reply */

/** The problem types that stand for "certainly nothing happened". */
/** @type {readonly RefusalReason[]} */
export const REASONS = [
  "not-open",
  "closed",
  "paused",
  "wrong-mechanism",
  "unauthenticated",
  "forbidden",
  "no-such-event",
  "invalid-request",
  "too-many-requests",
  "unavailable",
];

/** Status codes that stand for a refusal where a proxy answered without a problem type. */
/** @type {Readonly<Record<number, RefusalReason>>} */
const REASON_BY_STATUS = {
  400: "invalid-request",
  401: "unauthenticated",
  403: "forbidden",
  404: "no-such-event",
  429: "too-many-requests",
};

/**
 * Sorts one reply, to a claim or to a question about it. `null` stands for a reply that never came
 * or could not be read.
 *
 * @param {Reply | null} reply
 * @returns {Answer}
 */
export function classify(reply) {
  if (reply === null) return unknown("network", null);
  const body = record(reply.body);
  if (reply.status >= 200 && reply.status < 300) return success(body, reply.retryAfterMs);
  const type = typeof body["type"] === "string" ? body["type"].replace(/^.*\//, "") : "";
  if (type === "sold-out" && reply.status === 409) return { kind: "sold-out" };
  // Only the service itself can promise "certainly not applied"; a proxy's bare 502, 503 or 504
  // may hide a claim that went through.
  const known = REASONS.find((reason) => reason === type);
  if (reply.status >= 500 && known !== "unavailable") {
    const reason = type === "outcome-unknown" ? "outcome-unknown" : "server-error";
    return unknown(reason, reply.retryAfterMs);
  }
  return {
    kind: "refused",
    reason: known ?? REASON_BY_STATUS[reply.status] ?? "refused",
    retryAfterMs: reply.retryAfterMs,
    opensAt: typeof body["opensAt"] === "string" ? body["opensAt"] : null,
    claim: typeof body["claim"] === "string" ? body["claim"] : null,
  };
}

/**
 * @param {Record<string, unknown>} body
 * @param {number | null} retryAfterMs
 * @returns {Answer}
 */
function success(body, retryAfterMs) {
  const { status, seq, code, issuedAt, ticket, ahead } = body;
  if (status === "issued" && typeof seq === "number" && typeof code === "string") {
    return { kind: "issued", issue: { seq, code, issuedAt: String(issuedAt) } };
  }
  if (status === "queued" && typeof ticket === "number" && typeof ahead === "number") {
    const guaranteed = body["guaranteed"] === true;
    const estimate = estimateOf(body["estimate"]);
    return { kind: "queued", ticket, ahead, guaranteed, estimate, retryAfterMs };
  }
  if (status === "pending" || status === "stalled") return unknown(status, retryAfterMs);
  if (status === "sold-out" || status === "voided" || status === "none") return { kind: status };
  return unknown("server-error", retryAfterMs);
}

/** @param {unknown} value @returns {Estimate | null} */
function estimateOf(value) {
  const { seconds, low, high } = record(value);
  if (typeof seconds !== "number" || typeof low !== "number" || typeof high !== "number") {
    return null;
  }
  return { seconds, low, high };
}

/**
 * @param {Unknown["reason"]} reason
 * @param {number | null} retryAfterMs
 * @returns {Unknown}
 */
function unknown(reason, retryAfterMs) {
  return { kind: "unknown", reason, retryAfterMs };
}

/** @param {unknown} value @returns {Record<string, unknown>} */
export function record(value) {
  return isRecord(value) ? value : {};
}

/** @param {unknown} value @returns {value is Record<string, unknown>} */
function isRecord(value) {
  return typeof value === "object" && value !== null;
}

/** Whether it has all that the page needs of an event. */
/** @param {unknown} value @returns {value is CouponEvent} */
export function isEvent(value) {
  const { id, name, claim, state, mechanism, opensAt } = record(value);
  const texts = [id, name, claim, mechanism, opensAt];
  return (
    texts.every((text) => typeof text === "string") &&
    areCounts(record(value), ["limit", "issued", "remaining", "version"]) &&
    ["scheduled", "open", "sold-out", "closed"].includes(String(state))
  );
}

/** @param {unknown} value @returns {value is Frame} */
export function isFrame(value) {
  return areCounts(record(value), ["issued", "remaining"]) && "state" in record(value);
}

/** @param {Record<string, unknown>} value @param {readonly string[]} names */
function areCounts(value, names) {
  return names.every((name) => Number.isSafeInteger(value[name]));
}
