import type { NewEvent, PaceRefusal, WindowRefusal } from "../model/coupon-event.ts";
import type { NameRefusal } from "../model/event-name.ts";
import { newCouponEvent, paceRefusal } from "../model/coupon-event.ts";
import type { EventReading, EventStore } from "../ports.ts";
import type { Result } from "../result.ts";
import { refuse } from "../result.ts";
import type { KnownMechanisms } from "./claim-coupon.ts";

export type CreateEventRefusal =
  | WindowRefusal
  | NameRefusal
  | PaceRefusal
  | { readonly kind: "mechanism-unknown" }
  | { readonly kind: "event-exists" };

/** Adds an event that takes claims once this has answered. Rejects with `EngineFault`. */
export async function createEvent(
  { store, mechanisms }: { readonly store: EventStore; readonly mechanisms: KnownMechanisms },
  wanted: NewEvent,
): Promise<Result<EventReading, CreateEventRefusal>> {
  const mechanism = mechanisms.get(wanted.mechanism)?.facts;
  if (mechanism === undefined) return refuse({ kind: "mechanism-unknown" });
  const pace = paceRefusal(wanted.pace, mechanism);
  if (pace !== null) return refuse(pace);
  return store.create(wanted.id, (nowMs) => newCouponEvent(wanted, nowMs));
}
