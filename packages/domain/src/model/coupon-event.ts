import type { EventId } from "../ids.ts";
import type { Result } from "../result.ts";
import { ok, refuse } from "../result.ts";
import { nameRefusal } from "./event-name.ts";
import type { NameRefusal } from "./event-name.ts";
import type { Mechanism, MechanismFacts } from "./mechanism.ts";

/** A coupon event as it is committed at one instant. */
export type CouponEvent = {
  readonly id: EventId;
  readonly name: string;
  readonly mechanism: Mechanism;
  /** Number of coupons, 1 to 1,000,000. */
  readonly limit: number;
  /** Durable coupon issues, 0 to `limit`. */
  readonly issued: number;
  /** The window is `[opensAtMs, closesAtMs)`, epoch milliseconds; null never closes. */
  readonly opensAtMs: number;
  readonly closesAtMs: number | null;
  readonly paused: boolean;
  /** Tickets decided per second at most, where people queue; null is as fast as possible. */
  readonly pace: number | null;
  /** Whether the shop's list shows it. */
  readonly listed: boolean;
  /** Ended for good by an operator: whoever has no coupon gets none. */
  readonly voided: boolean;
  /** Counts operator changes, not coupon issues. Starts at 1. */
  readonly version: number;
};

export type EventState = "scheduled" | "open" | "sold-out" | "closed";

/** The state at `nowMs`, by the database's clock. Sold out is final and wins over closed. */
export function eventState(event: CouponEvent, nowMs: number): EventState {
  if (event.issued === event.limit) return "sold-out";
  if (event.voided) return "closed";
  if (event.closesAtMs !== null && nowMs >= event.closesAtMs) return "closed";
  return nowMs < event.opensAtMs ? "scheduled" : "open";
}

/** What an operator asks for; `opensAtMs` null means now. */
export type NewEvent = {
  readonly id: EventId;
  readonly name: string;
  readonly mechanism: Mechanism;
  readonly limit: number;
  readonly opensAtMs: number | null;
  readonly closesAtMs: number | null;
  readonly pace: number | null;
  readonly listed: boolean;
};

export type WindowRefusal = { readonly kind: "window-empty" };
export type PaceRefusal = { readonly kind: "pace-not-supported" };

/** Only where people queue can their line be paced: null where this pace may be wished for. */
export function paceRefusal(
  pace: number | null | undefined,
  mechanism: Pick<MechanismFacts, "queues">,
): PaceRefusal | null {
  const unpaced = pace === null || pace === undefined;
  return unpaced || mechanism.queues ? null : { kind: "pace-not-supported" };
}

/** Makes the first version of an event. `nowMs` is the database's clock. */
export function newCouponEvent(
  wanted: NewEvent,
  nowMs: number,
): Result<CouponEvent, WindowRefusal | NameRefusal> {
  const { id, name, mechanism, limit, closesAtMs, pace, listed } = wanted;
  const opensAtMs = wanted.opensAtMs ?? nowMs;
  const unnamed = nameRefusal(name);
  if (unnamed !== null) return refuse(unnamed);
  if (isWindowEmpty(opensAtMs, closesAtMs)) return refuse({ kind: "window-empty" });
  return ok({
    id,
    name,
    mechanism,
    limit,
    issued: 0,
    opensAtMs,
    closesAtMs,
    paused: false,
    pace,
    listed,
    voided: false,
    version: 1,
  });
}

/** Of an event where people queue: what an operator must know of its line. */
export type LineState = {
  /** Nothing of it is decided until an operator acts. */
  readonly halted: boolean;
  /** Its log is deleted: it can take no claims any more. */
  readonly retired: boolean;
};

/** What an operator may change; a field that is absent stays as it is. */
export type EventChange = {
  readonly name?: string;
  readonly limit?: number;
  readonly opensAtMs?: number;
  readonly closesAtMs?: number | null;
  readonly paused?: boolean;
  readonly pace?: number | null;
  readonly listed?: boolean;
};

export type ChangeRefusal =
  | { readonly kind: "limit-not-raisable"; readonly limit: number }
  | { readonly kind: "event-over" }
  | WindowRefusal
  | NameRefusal;

/** What may still change of an event that is over for good. */
const SHOWN: ReadonlySet<string> = new Set(["name", "listed"]);

/**
 * Changes an event. The limit may only rise, and only while the event is not sold out: sold out is
 * final, so nobody who was told so can be overtaken by a later coupon. An event that was voided, or
 * whose log is deleted, opens no more. `line` is null where nobody queues.
 */
export function changeCouponEvent(
  event: CouponEvent,
  change: EventChange,
  line: LineState | null = null,
): Result<CouponEvent, ChangeRefusal> {
  const over = event.voided || line?.retired === true;
  if (over && Object.keys(change).some((field) => !SHOWN.has(field))) {
    return refuse({ kind: "event-over" });
  }
  // What it is called already may be said again.
  const { name = event.name } = change;
  const unnamed = name === event.name ? null : nameRefusal(name);
  if (unnamed !== null) return refuse(unnamed);
  const changed: CouponEvent = { ...event, ...change, version: event.version + 1 };
  const soldOut = event.issued === event.limit;
  if (changed.limit < event.limit || (soldOut && changed.limit !== event.limit)) {
    return refuse({ kind: "limit-not-raisable", limit: event.limit });
  }
  if (isWindowEmpty(changed.opensAtMs, changed.closesAtMs)) return refuse({ kind: "window-empty" });
  return ok(changed);
}

export type VoidRefusal = { readonly kind: "queue-not-halted" };

/**
 * Ends an event whose line is halted: what is not decided never will be. Anything less than a halt has
 * another end, so nobody who might still get a coupon can lose it by this. Voiding it again changes
 * nothing.
 */
export function voidCouponEvent(
  event: CouponEvent,
  line: LineState | null,
): Result<CouponEvent, VoidRefusal> {
  if (event.voided) return ok(event);
  if (line?.halted !== true) return refuse({ kind: "queue-not-halted" });
  return ok({ ...event, voided: true, version: event.version + 1 });
}

function isWindowEmpty(opensAtMs: number, closesAtMs: number | null): boolean {
  return closesAtMs !== null && closesAtMs <= opensAtMs;
}
