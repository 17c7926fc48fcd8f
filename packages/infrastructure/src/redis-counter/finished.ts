import type { ClaimRefusal, CouponEvent } from "@stampede/domain";

/** Whoever claimed in time has their answer by then, and their row. */
const CLOSED_MS = 60_000;

/**
 * What everybody without a coupon is told of an event that is finished, as its row was committed; null
 * where it is not. Nothing is counted for it any more, and Redis holds nothing of it.
 */
export function finalRefusal(event: CouponEvent, nowMs: number): ClaimRefusal | null {
  if (event.issued === event.limit) return { kind: "sold-out" };
  const isOver = event.closesAtMs !== null && nowMs - event.closesAtMs >= CLOSED_MS;
  return isOver ? { kind: "closed" } : null;
}
