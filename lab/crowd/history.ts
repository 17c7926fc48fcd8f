import type { Exchange } from "./connection.ts";

/** What an answer means to whoever got it. `none` comes from a status only and says nothing. */
export const outcomes = [
  "issued",
  "replay",
  "sold-out",
  "voided",
  "queued",
  "refused",
  "unknown",
  "none",
] as const;

export type Outcome = (typeof outcomes)[number];

/** One HTTP request of one person and its answer: a line of the history that a run is judged by. */
export type Attempt = {
  readonly id: number;
  readonly kind: "claim" | "status";
  readonly person: string;
  readonly eventId: string;
  /** Who answers: a mechanism by its name, the empty handler ("ceiling"), another system ("target"). */
  readonly mechanism: string;
  /** The how manyth claim of this person it is, from 1. */
  readonly attempt: number;
  /** The server's address. */
  readonly instance: string;
  /** This process's monotonic clock, the same for a whole run. */
  readonly sentMs: number;
  readonly returnedMs: number;
  readonly status: number | null;
  readonly fault: Exchange["fault"];
  readonly problemType: string | null;
  readonly outcome: Outcome;
  readonly seq: number | null;
  readonly code: string | null;
  readonly issuedAt: string | null;
  readonly ticket: number | null;
  readonly ahead: number | null;
  readonly guaranteed: boolean | null;
  /** The ticket a status was asked with. */
  readonly ticketAsked: number | null;
};

/** What is known of an attempt before its answer. */
export type Asked = Pick<
  Attempt,
  "id" | "kind" | "person" | "eventId" | "mechanism" | "attempt" | "instance" | "ticketAsked"
>;

type Said = Pick<
  Attempt,
  "problemType" | "outcome" | "seq" | "code" | "issuedAt" | "ticket" | "ahead" | "guaranteed"
>;

const nothingSaid = {
  problemType: null,
  seq: null,
  code: null,
  issuedAt: null,
  ticket: null,
  ahead: null,
  guaranteed: null,
} as const;

/** Reads an answer by the contract. What does not fit it is `unknown`, never taken as a refusal. */
export function attemptOf(asked: Asked, exchange: Exchange): Attempt {
  const { sentMs, returnedMs, answer, fault } = exchange;
  const times = { ...asked, sentMs, returnedMs, status: answer?.status ?? null };
  if (answer === null) {
    return { ...times, fault, ...nothingSaid, outcome: silence(asked.kind, fault) };
  }
  const said = read(asked, answer.status, parsed(answer.body));
  if (said !== null) return { ...times, fault: null, ...said };
  const unreadable = "unreadable";
  const outcome = silence(asked.kind, unreadable);
  return { ...times, fault: unreadable, ...nothingSaid, outcome };
}

/**
 * A claim without an answer may have been applied, unless it never left; a status without one says
 * nothing.
 */
function silence(kind: Attempt["kind"], fault: Exchange["fault"]): Outcome {
  if (kind === "status") return "none";
  return fault === "unsent" ? "refused" : "unknown";
}

function parsed(body: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    // Not JSON: nothing in it can be believed, and `read` finds that nothing fits.
    return {};
  }
}

function read(asked: Asked, status: number, body: Record<string, unknown>): Said | null {
  if (status >= 400) return readProblem(asked.kind, status, body);
  if (body["eventId"] !== asked.eventId) return null;
  if (asked.kind === "claim") {
    if (status === 201) return readIssue(body, "issued");
    if (status === 200) return readIssue(body, "replay");
    return status === 202 ? readTicket(body) : null;
  }
  if (status !== 200) return null;
  switch (body["status"]) {
    case "issued":
      return readIssue(body, "replay");
    case "queued":
      return readTicket(body);
    case "pending":
    case "stalled":
      // Something is under way: it may end in a coupon or not.
      return { ...nothingSaid, outcome: "unknown" };
    case "sold-out":
    case "voided":
    case "none":
      return { ...nothingSaid, outcome: body["status"] };
    default:
      return null;
  }
}

function readIssue(body: Record<string, unknown>, outcome: "issued" | "replay"): Said | null {
  const { status, seq, code, issuedAt } = body;
  if (status !== "issued" || !isCount(seq)) return null;
  if (typeof code !== "string" || typeof issuedAt !== "string") return null;
  return { ...nothingSaid, outcome, seq, code, issuedAt };
}

function readTicket(body: Record<string, unknown>): Said | null {
  const { status, ticket, ahead, guaranteed } = body;
  if (status !== "queued" || !isCount(ticket) || !isCount(ahead)) return null;
  if (typeof guaranteed !== "boolean") return null;
  return { ...nothingSaid, outcome: "queued", ticket, ahead, guaranteed };
}

function readProblem(
  kind: Attempt["kind"],
  status: number,
  body: Record<string, unknown>,
): Said | null {
  const problemType = typeof body["type"] === "string" ? body["type"] : null;
  const name = problemType?.slice(problemType.lastIndexOf("/") + 1);
  if (kind === "status") return { ...nothingSaid, problemType, outcome: "none" };
  if (status === 409 && name === "sold-out") {
    return { ...nothingSaid, problemType, outcome: "sold-out" };
  }
  const refused = status < 500 || (status === 503 && name === "unavailable");
  return { ...nothingSaid, problemType, outcome: refused ? "refused" : "unknown" };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}
