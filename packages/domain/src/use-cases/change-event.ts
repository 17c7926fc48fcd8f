import type { EventId } from "../ids.ts";
import type { ChangeRefusal, EventChange } from "../model/coupon-event.ts";
import { changeCouponEvent } from "../model/coupon-event.ts";
import type { EventReading, EventStore } from "../ports.ts";
import type { Result } from "../result.ts";

export type ChangeEventRefusal =
  | ChangeRefusal
  | { readonly kind: "stale-version" }
  | { readonly kind: "no-such-event" };

/**
 * Changes an event that still is at `version` (optimistic concurrency: who read an older version
 * must read again). Rejects with `EngineFault`.
 */
export async function changeEvent(
  store: EventStore,
  wanted: { readonly id: EventId; readonly version: number; readonly change: EventChange },
): Promise<Result<EventReading, ChangeEventRefusal>> {
  return store.change(wanted.id, wanted.version, (event) =>
    changeCouponEvent(event, wanted.change),
  );
}
