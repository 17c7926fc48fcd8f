import type { NewEvent, PaceRefusal, WindowRefusal } from "../model/coupon-event.ts";
import { newCouponEvent } from "../model/coupon-event.ts";
import type { EventReading, EventStore } from "../ports.ts";
import type { Result } from "../result.ts";

export type CreateEventRefusal = WindowRefusal | PaceRefusal | { readonly kind: "event-exists" };

/** Adds an event that takes claims once this has answered. Rejects with `EngineFault`. */
export async function createEvent(
  store: EventStore,
  wanted: NewEvent,
): Promise<Result<EventReading, CreateEventRefusal>> {
  return store.create(wanted.id, (nowMs) => newCouponEvent(wanted, nowMs));
}
