import type { EventId } from "../ids.ts";
import type { ChangeRefusal, EventChange, PaceRefusal } from "../model/coupon-event.ts";
import { changeCouponEvent, paceRefusal } from "../model/coupon-event.ts";
import type { EventReading, EventStore } from "../ports.ts";
import type { Result } from "../result.ts";
import { refuse } from "../result.ts";
import type { KnownMechanisms } from "./claim-coupon.ts";

export type ChangeEventRefusal =
  | ChangeRefusal
  | PaceRefusal
  | { readonly kind: "stale-version" }
  | { readonly kind: "no-such-event" };

/**
 * Changes an event that still is at `version` (optimistic concurrency: who read an older version
 * must read again). Rejects with `EngineFault`.
 */
export async function changeEvent(
  { store, mechanisms }: { readonly store: EventStore; readonly mechanisms: KnownMechanisms },
  wanted: { readonly id: EventId; readonly version: number; readonly change: EventChange },
): Promise<Result<EventReading, ChangeEventRefusal>> {
  return store.change<ChangeRefusal | PaceRefusal>(wanted.id, wanted.version, (event, line) => {
    // Of an event of another build's mechanism nobody here knows whether people queue.
    const queues = mechanisms.get(event.mechanism)?.facts.queues ?? false;
    const pace = paceRefusal(wanted.change.pace, { queues });
    return pace === null ? changeCouponEvent(event, wanted.change, line) : refuse(pace);
  });
}
