import type { EventId } from "../ids.ts";
import type { VoidRefusal } from "../model/coupon-event.ts";
import { voidCouponEvent } from "../model/coupon-event.ts";
import type { EventReading, EventStore } from "../ports.ts";
import type { Result } from "../result.ts";
import { ok } from "../result.ts";

export type VoidEventRefusal =
  | VoidRefusal
  | { readonly kind: "stale-version" }
  | { readonly kind: "no-such-event" };

/**
 * Ends an event whose line is halted, if it still is at `version`. Whoever did not get the answer may
 * ask again with the same version: an event that was voided since is answered as it is. Rejects with
 * `EngineFault`.
 */
export async function voidEvent(
  { store }: { readonly store: EventStore },
  wanted: { readonly id: EventId; readonly version: number },
): Promise<Result<EventReading, VoidEventRefusal>> {
  const voided = await store.change<VoidRefusal>(wanted.id, wanted.version, voidCouponEvent);
  if (voided.ok || voided.refusal.kind !== "stale-version") return voided;
  const reading = await store.find(wanted.id);
  const isRepeated = reading?.event.voided === true && wanted.version < reading.event.version;
  return isRepeated ? ok(reading) : voided;
}
