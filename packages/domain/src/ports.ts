import type { EventId, UserId } from "./ids.ts";
import type { ClaimRefusal } from "./model/claim.ts";
import type { CouponEvent, LineState } from "./model/coupon-event.ts";
import type { CouponIssue } from "./model/coupon-issue.ts";
import type { Progress } from "./model/progress.ts";
import type { Ticket } from "./model/ticket.ts";
import type { Result } from "./result.ts";

export type ClaimAnswer =
  | { readonly kind: "issued"; readonly couponIssue: CouponIssue }
  | { readonly kind: "replayed"; readonly couponIssue: CouponIssue }
  | { readonly kind: "queued"; readonly ticket: Ticket }
  | { readonly kind: "refused"; readonly refusal: ClaimRefusal };

export type ClaimStatus =
  | { readonly kind: "issued"; readonly couponIssue: CouponIssue }
  | { readonly kind: "queued"; readonly ticket: Ticket }
  /** A coupon is reserved for this person, and its row is not committed yet: ask again. */
  | { readonly kind: "pending" }
  /** The line stands still until an operator acts; the place in it is kept. */
  | { readonly kind: "stalled"; readonly ticket: number }
  | { readonly kind: "sold-out" }
  /** The event was ended by an operator before this person had a coupon: final. */
  | { readonly kind: "voided" }
  | { readonly kind: "none" };

/** One mechanism that hands out the coupons of its events. */
export interface CouponIssuer {
  /**
   * Claims one coupon for one person. Repeating it is safe: the person is the idempotency key and
   * always gets the same coupon issue. Never issues beyond the limit, answers "sold-out" only when
   * every coupon is committed. Answers "issued" only after the commit, "queued" only after the log
   * has the record. Judges in the order: has one already, sold out, window, pause. Rejects with
   * `EngineFault`, whose `outcome` is "unknown" when the claim may have been recorded without our
   * learning of it. The event must exist and be of this mechanism.
   */
  claim(eventId: EventId, userId: UserId): Promise<ClaimAnswer>;
  /**
   * What is true now for this person, also after a lost answer. `ticket` is the one a queued claim
   * was given, null where there is none; a made-up one never changes another person's answer.
   * Rejects with `EngineFault`; reading changes nothing.
   */
  status(eventId: EventId, userId: UserId, ticket: number | null): Promise<ClaimStatus>;
  /** Whether a claim can be taken now, as far as this process knows without asking an engine. */
  available(eventId: EventId): boolean;
}

/** An event as it was committed, and the database's clock when it was read. */
export type EventReading = { readonly event: CouponEvent; readonly nowMs: number };

export type Page<Entry> = {
  readonly entries: readonly Entry[];
  /** Where the next page starts; null on the last one. Opaque to whoever asks. */
  readonly next: string | null;
};

export type PageRequest = { readonly size: number; readonly cursor: string | null };

/** `all`: those too that the shop's list leaves out. */
type EventPageRequest = PageRequest & { readonly all: boolean };

export type CursorRefusal = { readonly kind: "cursor-unreadable" };

/** The events and what came of them. All calls reject with `EngineFault` when an engine fails. */
export interface EventStore {
  /**
   * Adds an event made by `make`, which is given the database's clock and may run again. Once it
   * has answered, the event takes claims: whatever its mechanism needs exists.
   */
  create<Refusal>(
    id: EventId,
    make: (nowMs: number) => Result<CouponEvent, Refusal>,
  ): Promise<Result<EventReading, Refusal | { readonly kind: "event-exists" }>>;
  /** Null where there is no such event. */
  find(id: EventId): Promise<EventReading | null>;
  /** Events, newest first. */
  list(
    page: EventPageRequest,
  ): Promise<Result<Page<CouponEvent> & { readonly nowMs: number }, CursorRefusal>>;
  /**
   * Replaces the event by what `decide` makes of it, if it still is at `version`; otherwise changes
   * nothing. Of changes that name the same version at most one succeeds. `decide` is pure, sees the
   * event with its current `issued` and its line (null where nobody queues), and may run again after a
   * lost race.
   */
  change<Refusal>(
    id: EventId,
    version: number,
    decide: (event: CouponEvent, line: LineState | null) => Result<CouponEvent, Refusal>,
  ): Promise<
    Result<
      EventReading,
      Refusal | { readonly kind: "stale-version" } | { readonly kind: "no-such-event" }
    >
  >;
  /** The coupon issues of an event in `seq` order. An unknown event has none. */
  issues(id: EventId, page: PageRequest): Promise<Result<Page<CouponIssue>, CursorRefusal>>;
}

/** What this process knows of an event's progress, kept fresh while somebody watches. */
export interface ProgressFeed {
  /**
   * Calls `onProgress` with the newest progress at once and after every change, soon after its
   * commit, at most ten times a second, with an `id` that only grows. Null: no such event. Rejects
   * with `EngineFault` when the first reading fails. The function it gives stops the watch.
   */
  watch(eventId: EventId, onProgress: (progress: Progress) => void): Promise<(() => void) | null>;
}
