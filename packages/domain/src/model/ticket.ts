import type { EventId } from "../ids.ts";

/** How long a person will probably wait. Seconds from now; `low` and `high` frame the guess. */
export type Estimate = { readonly seconds: number; readonly low: number; readonly high: number };

/** A place in an event's queue. */
export type Ticket = {
  readonly eventId: EventId;
  /** The offset of the claim's record in the event's log, counted from 0. */
  readonly ticket: number;
  /** Undecided records before this one. */
  readonly ahead: number;
  /** True exactly when the place alone secures a coupon. */
  readonly guaranteed: boolean;
  readonly estimate: Estimate | null;
};

/** `mark` is the next undecided offset; it never falls, so `ahead` never grows. */
export function ahead(ticket: number, mark: number): number {
  return Math.max(0, ticket - mark);
}

/**
 * Each earlier record can take at most one coupon, so `ticket` records before this one take at most
 * `ticket` coupons: strictly fewer than `limit` leave one over.
 */
export function guaranteed(ticket: number, limit: number): boolean {
  return ticket < limit;
}

/**
 * The wait for `aheadCount` decisions at the rates seen lately (decisions per second, idle seconds
 * left out by the caller); null while there is nothing to estimate from. The middle rate makes the
 * guess, the fastest and the slowest one its frame.
 */
export function estimateWait(aheadCount: number, perSecond: readonly number[]): Estimate | null {
  const rates = perSecond.filter((rate) => rate > 0).sort((a, b) => a - b);
  const slowest = rates[0];
  const fastest = rates.at(-1);
  const middle = rates[Math.floor(rates.length / 2)];
  if (slowest === undefined || fastest === undefined || middle === undefined) return null;
  const seconds = (rate: number): number => Math.round(((aheadCount + 1) / rate) * 10) / 10;
  return { seconds: seconds(middle), low: seconds(fastest), high: seconds(slowest) };
}
