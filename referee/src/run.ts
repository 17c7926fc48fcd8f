// What the referee reads: plain data, as a load side wrote it and as the engines held it when all was
// quiet. Nothing here comes from the code that is judged; the words are those of the HTTP contract.

/** The name of a mechanism. One that is not named below is judged by answers and rows alone. */
export type Mechanism = string;

/** A log says who came first, and tickets name places in it: rules S6 and S10 to S15. */
export const ORDERED_BY_A_LOG: ReadonlySet<Mechanism> = new Set(["kafka-queue"]);

/** These look at the window under the lock that orders claims; others let a claim in before it. */
export const JUDGES_WINDOW_UNDER_LOCK: ReadonlySet<Mechanism> = new Set([
  "row-lock",
  "group-commit",
]);

/**
 * What an answer meant to whoever got it. `refused` is certainly without effect, `unknown` may have
 * one at any later time, `none` comes from a status only and says nothing, `voided` too: an operator
 * ended the sale of a broken log, and this person has no coupon.
 */
export type Outcome =
  | "issued"
  | "replay"
  | "sold-out"
  | "voided"
  | "queued"
  | "refused"
  | "unknown"
  | "none";

/** One HTTP request of one person. Times are of one monotonic clock for the whole run. */
export type Attempt = {
  /** Tells attempts of one event apart. */
  readonly id: number;
  readonly kind: "claim" | "status";
  readonly person: string;
  readonly eventId: string;
  readonly sentMs: number;
  readonly returnedMs: number;
  /** The HTTP status; null where no answer came. */
  readonly status: number | null;
  readonly outcome: Outcome;
  readonly seq: number | null;
  readonly code: string | null;
  readonly issuedAt: string | null;
  readonly ticket: number | null;
  readonly ahead: number | null;
  readonly guaranteed: boolean | null;
  /** The ticket that a status was asked with. */
  readonly ticketAsked: number | null;
};

/** An event as the database holds it in the end. */
export type SaleEvent = {
  readonly eventId: string;
  readonly mechanism: Mechanism;
  /** The final limit, and the first one where an operator raised it meanwhile. */
  readonly limit: number;
  readonly limitAtStart?: number | null;
  /** `events.issued`. */
  readonly issued: number;
  /** The earliest opening and the latest close that the event ever had. */
  readonly opensAt?: string | null;
  readonly closesAt?: string | null;
  /** v3: the mark, the next undecided ticket; and the last winning ticket as the service keeps it. */
  readonly decided?: number | null;
  readonly lastWinningTicket?: number | null;
};

/** A row of `coupon_issues`. */
export type Row = {
  readonly eventId: string;
  readonly seq: number;
  readonly userId: string;
  readonly code: string;
  /** RFC 3339, UTC, milliseconds. */
  readonly issuedAt: string;
  readonly ticket: number | null;
  /** When it was committed, on the clock of the history; null or absent where nobody knows. */
  readonly committedMs?: number | null;
};

/** A record of an event's log as it lies there: the referee reads it for itself. */
export type LogRecord = {
  readonly eventId: string;
  readonly offset: number;
  readonly key: string | null;
  readonly value: string | null;
};

/** What Redis holds of an event. */
export type RedisSale = {
  readonly eventId: string;
  /** Nothing is left of it, and nothing will be built: so it must be once all coupons are rows. */
  readonly finished?: boolean | null;
  /**
   * Of builds that kept a sold-out event in Redis, with a flag beside its persons (a latch): whether
   * it was set. One of the two is told.
   */
  readonly latched?: boolean | null;
  readonly counter: number;
  readonly persons: readonly string[];
};

/**
 * A finished run: faults off, nothing open, nothing reserved, nothing queued. `log` and `redis` hold
 * all of an event or nothing of it: where one has no entry for an event, it is not judged by it.
 */
export type JudgedRun = {
  readonly history: readonly Attempt[];
  readonly events: readonly SaleEvent[];
  readonly rows: readonly Row[];
  /** By event id; an event with an empty log has an empty list. */
  readonly log?: ReadonlyMap<string, readonly LogRecord[]>;
  readonly redis?: readonly RedisSale[];
  /** How far `committedMs` may be off the clock of the history. */
  readonly clockErrorMs?: number;
};
