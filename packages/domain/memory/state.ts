import type { EventId, UserId } from "../src/ids.ts";
import { invariant } from "../src/invariant.ts";
import type { CouponEvent } from "../src/model/coupon-event.ts";
import type { Mechanism } from "../src/model/mechanism.ts";
import type { CouponIssue } from "../src/model/coupon-issue.ts";

type QueuedClaim = { readonly userId: UserId; readonly code: string };

/** One event with everything that came of it. */
export type MemoryEntry = {
  event: CouponEvent;
  readonly issues: CouponIssue[];
  /** Whether people queue: then the log has their claims in order, and so many of them are decided. */
  readonly queues: boolean;
  readonly log: QueuedClaim[];
  decided: number;
  /** Why nothing of it is decided any more: a test sets it, as a broken log would. */
  halted: boolean;
};

/** What all memory adapters of one sale share: their "database". */
export type MemoryState = {
  readonly entries: Map<EventId, MemoryEntry>;
  readonly nowMs: () => number;
  readonly queues: (mechanism: Mechanism) => boolean;
  readonly drawCode: () => string;
  /** Called after every change of an event, as a database would notify. */
  readonly listeners: Map<EventId, Set<() => void>>;
};

export function entryOf(state: MemoryState, eventId: EventId): MemoryEntry {
  const entry = state.entries.get(eventId);
  invariant(entry !== undefined, "an issuer is asked about events that exist");
  return entry;
}

export function notify(state: MemoryState, id: EventId): void {
  for (const listener of state.listeners.get(id) ?? []) listener();
}
