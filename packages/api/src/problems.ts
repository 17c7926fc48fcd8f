// Everything that goes wrong, as RFC 9457 problem details: this file alone knows status numbers and
// problem types. A published type keeps its meaning and is never reused.
import type {
  ChangeEventRefusal,
  ClaimCouponRefusal,
  CreateEventRefusal,
  CursorRefusal,
  EngineFault,
  EventId,
  VoidEventRefusal,
} from "@stampede/domain";

/** What the edge itself refuses, before any rule is asked. */
export type EdgeRefusal =
  | { readonly kind: "not-found" }
  | { readonly kind: "method-not-allowed"; readonly allow: string }
  | {
      readonly kind: "unauthenticated";
      readonly scheme: string;
      /** For our own log: what is wrong with a token is nobody else's business. */
      readonly why?: string;
    }
  | { readonly kind: "forbidden"; readonly detail?: string }
  | { readonly kind: "invalid-request"; readonly detail: string }
  | { readonly kind: "payload-too-large" }
  | { readonly kind: "uri-too-long" }
  | { readonly kind: "unsupported-media-type" }
  | { readonly kind: "precondition-required" }
  | { readonly kind: "stale-version"; readonly detail: string }
  | { readonly kind: "headers-too-large" }
  | { readonly kind: "request-timeout" }
  | { readonly kind: "too-many-requests"; readonly retryAfterMs: number }
  | { readonly kind: "expectation-failed" }
  | { readonly kind: "unavailable"; readonly detail: string; readonly retryAfterMs: number };

export type Refusal =
  | EdgeRefusal
  | ClaimCouponRefusal
  | CreateEventRefusal
  | ChangeEventRefusal
  | VoidEventRefusal
  | CursorRefusal;

/** An answer ready to be sent. */
export type Problem = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: {
    readonly type: string;
    readonly title: string;
    readonly status: number;
    readonly detail: string;
    readonly [member: string]: unknown;
  };
};

export const PROBLEM_JSON = "application/problem+json; charset=utf-8";

/** The path on which an event takes claims, by its mechanism's version. */
export function claimPath(version: string, eventId: string): string {
  return `/${version}/events/${eventId}/issues`;
}

/** Where a person asks what became of their claim. */
export function statusPath(eventId: string): string {
  return `/events/${eventId}/issues/me`;
}

type Wording = { readonly status: number; readonly title: string; readonly detail: string };

// One entry for each kind: a new refusal without one does not type-check.
const WORDINGS: Readonly<Record<Refusal["kind"], Wording>> = {
  "not-found": wording(404, "Not found", "There is nothing at this address. See /openapi.json."),
  "method-not-allowed": wording(
    405,
    "Method not allowed",
    "See Allow for what this address takes.",
  ),
  unauthenticated: wording(401, "Unauthenticated", "Say who you are: see WWW-Authenticate."),
  forbidden: wording(403, "Forbidden", "This is for operators."),
  "invalid-request": wording(400, "Invalid request", "The request is not well formed."),
  "payload-too-large": wording(413, "Payload too large", "The body is too large for this address."),
  "uri-too-long": wording(414, "URI too long", "The address is longer than 8 KiB."),
  "unsupported-media-type": wording(415, "Unsupported media type", "Send plain JSON in UTF-8."),
  "precondition-required": wording(
    428,
    "Precondition required",
    'Send the event\'s ETag with its quotes, as in If-Match: "3".',
  ),
  "headers-too-large": wording(431, "Request header fields too large", "Send fewer header fields."),
  "too-many-requests": wording(429, "Too many requests", "Wait a moment. Nothing has changed."),
  "request-timeout": wording(408, "Request timeout", "The request did not arrive in time."),
  "expectation-failed": wording(417, "Expectation failed", "Expect takes 100-continue only."),
  unavailable: wording(
    503,
    "Unavailable",
    "This cannot be done at the moment. Nothing has changed.",
  ),
  "no-such-event": wording(404, "No such event", "There is no event of this id."),
  "wrong-mechanism": wording(409, "Wrong mechanism", "This event takes claims at another address."),
  "sold-out": wording(409, "Sold out", "All coupons of this event are issued. This is final."),
  "not-open": wording(409, "Not open", "This event has not opened yet."),
  closed: wording(409, "Closed", "This event has closed."),
  paused: wording(409, "Paused", "This event takes no claims for the moment."),
  "event-exists": wording(409, "Event exists", "There is an event of this id already."),
  "stale-version": wording(412, "Stale version", "The event is at another version: read it again."),
  "limit-not-raisable": wording(
    409,
    "Limit not raisable",
    "A limit can only rise, and only while the event is not sold out.",
  ),
  "event-over": wording(
    409,
    "Event over",
    "This event has ended for good: only its name and whether it is listed can change. Make a new one.",
  ),
  "queue-not-halted": wording(
    409,
    "Queue not halted",
    "Only an event whose line is halted can be voided. Close this one instead.",
  ),
  "window-empty": wording(400, "Invalid request", "closesAt must be later than opensAt."),
  "name-broken": wording(
    400,
    "Invalid request",
    "name contains half a character (a lone surrogate).",
  ),
  "name-control": wording(400, "Invalid request", "name contains a control character."),
  "name-direction": wording(
    400,
    "Invalid request",
    "name turns the reading direction and does not turn it back: end each such turn, or leave it out.",
  ),
  "name-blank": wording(
    400,
    "Invalid request",
    "name shows nothing: it has only spaces, invisible characters or marks without a letter.",
  ),
  "pace-not-supported": wording(
    400,
    "Invalid request",
    "Only an event whose mechanism has a line can have a pace.",
  ),
  "mechanism-unknown": wording(400, "Invalid request", "mechanism is none of GET /mechanisms."),
  "cursor-unreadable": wording(400, "Invalid request", "cursor is not one that this list gave."),
};

export function problemOf(refusal: Refusal, eventId: EventId | null = null): Problem {
  // The answer to nearly everybody in a stampede.
  if (refusal.kind === "sold-out") return SOLD_OUT;
  return composed(refusal, eventId);
}

function composed(refusal: Refusal, eventId: EventId | null): Problem {
  const { status, title, detail } = WORDINGS[refusal.kind];
  const kind = status === 400 ? "invalid-request" : refusal.kind;
  return {
    status,
    headers: headersOf(refusal),
    body: {
      type: `/problems/${kind}`,
      title,
      status,
      detail: "detail" in refusal ? refusal.detail : detail,
      ...membersOf(refusal, eventId),
    },
  };
}

function wording(status: number, title: string, detail: string): Wording {
  return { status, title, detail };
}

function headersOf(refusal: Refusal): Record<string, string> {
  if ("allow" in refusal) return { allow: refusal.allow };
  if ("scheme" in refusal) return { "www-authenticate": refusal.scheme };
  if ("retryAfterMs" in refusal) return { "retry-after": wholeSeconds(refusal.retryAfterMs) };
  if ("waitMs" in refusal) return { "retry-after": wholeSeconds(refusal.waitMs) };
  return refusal.kind === "paused" ? { "retry-after": "5" } : {};
}

function membersOf(refusal: Refusal, eventId: EventId | null): Record<string, unknown> {
  if (refusal.kind === "not-open") return { opensAt: new Date(refusal.opensAtMs).toISOString() };
  if (refusal.kind === "limit-not-raisable") return { limit: refusal.limit };
  if (refusal.kind === "wrong-mechanism" && refusal.version !== null && eventId !== null) {
    return { claim: claimPath(refusal.version, eventId) };
  }
  return {};
}

const SOLD_OUT = composed({ kind: "sold-out" }, null);

/** What to tell of an engine's failure: certainly nothing happened, or perhaps it did. */
export function problemOfFault(fault: EngineFault, statusUrl: string | null): Problem {
  if (fault.outcome === "not-applied") {
    const { detail } = WORDINGS.unavailable;
    return problemOf({ kind: "unavailable", detail, retryAfterMs: fault.retryAfterMs });
  }
  const status = 503;
  const detail =
    statusUrl === null
      ? "It is not known whether this was done. Look before you try again."
      : "It is not known whether this was done. Ask statusUrl, or claim again: that is safe.";
  const members = statusUrl === null ? {} : { statusUrl };
  return {
    status,
    headers: { "retry-after": wholeSeconds(fault.retryAfterMs) },
    body: {
      type: "/problems/outcome-unknown",
      title: "Outcome unknown",
      status,
      detail,
      ...members,
    },
  };
}

/** Our own mistake. The request id finds the log line. */
export function problemOfBug(requestId: string): Problem {
  const status = 500;
  const detail = `Something is wrong on our side. Its log line has the request id ${requestId}.`;
  return {
    status,
    headers: {},
    body: { type: "/problems/internal-error", title: "Internal error", status, detail },
  };
}

function wholeSeconds(ms: number): string {
  return String(Math.max(1, Math.ceil(ms / 1_000)));
}
