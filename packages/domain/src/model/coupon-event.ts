import type { EventId } from "../ids.ts";
import type { Result } from "../result.ts";
import { ok, refuse } from "../result.ts";

/** How an event decides, for its whole life: there are never two deciders. */
export type Mechanism = "row-lock" | "redis-counter" | "kafka-queue";

export const MECHANISMS: readonly Mechanism[] = ["row-lock", "redis-counter", "kafka-queue"];

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
  /** Tickets decided per second at most (kafka-queue only); null is as fast as possible. */
  readonly pace: number | null;
  /** Counts operator changes, not coupon issues. Starts at 1. */
  readonly version: number;
};

export type EventState = "scheduled" | "open" | "sold-out" | "closed";

/** The state at `nowMs`, by the database's clock. Sold out is final and wins over closed. */
export function eventState(event: CouponEvent, nowMs: number): EventState {
  if (event.issued === event.limit) return "sold-out";
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
};

export type WindowRefusal = { readonly kind: "window-empty" };
export type PaceRefusal = { readonly kind: "pace-not-supported" };

/** Makes the first version of an event. `nowMs` is the database's clock. */
export function newCouponEvent(
  wanted: NewEvent,
  nowMs: number,
): Result<CouponEvent, WindowRefusal | PaceRefusal> {
  const { id, name, mechanism, limit, closesAtMs, pace } = wanted;
  const opensAtMs = wanted.opensAtMs ?? nowMs;
  if (isWindowEmpty(opensAtMs, closesAtMs)) return refuse({ kind: "window-empty" });
  if (pace !== null && mechanism !== "kafka-queue") return refuse({ kind: "pace-not-supported" });
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
    version: 1,
  });
}

/** What an operator may change; a field that is absent stays as it is. */
export type EventChange = {
  readonly name?: string;
  readonly limit?: number;
  readonly opensAtMs?: number;
  readonly closesAtMs?: number | null;
  readonly paused?: boolean;
  readonly pace?: number | null;
};

export type ChangeRefusal =
  | { readonly kind: "limit-not-raisable"; readonly limit: number }
  | WindowRefusal
  | PaceRefusal;

/**
 * Changes an event. The limit may only rise, and only while the event is not sold out: sold out is
 * final, so nobody who was told so can be overtaken by a later coupon.
 */
export function changeCouponEvent(
  event: CouponEvent,
  change: EventChange,
): Result<CouponEvent, ChangeRefusal> {
  const changed: CouponEvent = { ...event, ...change, version: event.version + 1 };
  const soldOut = event.issued === event.limit;
  if (changed.limit < event.limit || (soldOut && changed.limit !== event.limit)) {
    return refuse({ kind: "limit-not-raisable", limit: event.limit });
  }
  if (isWindowEmpty(changed.opensAtMs, changed.closesAtMs)) return refuse({ kind: "window-empty" });
  if (changed.pace !== null && event.mechanism !== "kafka-queue") {
    return refuse({ kind: "pace-not-supported" });
  }
  return ok(changed);
}

function isWindowEmpty(opensAtMs: number, closesAtMs: number | null): boolean {
  return closesAtMs !== null && closesAtMs <= opensAtMs;
}
