import type { EventId, UserId } from "../ids.ts";
import type { ClaimRefusal } from "../model/claim.ts";
import type { CouponEvent, Mechanism } from "../model/coupon-event.ts";
import type { ClaimAnswer, CouponIssuer } from "../ports.ts";
import type { Result } from "../result.ts";
import { ok, refuse } from "../result.ts";

/** The mechanism of an event, null where there is none. It never changes, so it may be cached. */
export type FindMechanism = (eventId: EventId) => Mechanism | null | Promise<Mechanism | null>;

export type Issuers = Readonly<Record<Mechanism, CouponIssuer>>;

export type Claim = {
  readonly eventId: EventId;
  readonly userId: UserId;
  /** The mechanism whose path the person used. */
  readonly mechanism: Mechanism;
};

export type Claimed = Exclude<ClaimAnswer, { readonly kind: "refused" }>;

export type ClaimCouponRefusal =
  | { readonly kind: "no-such-event" }
  | { readonly kind: "wrong-mechanism"; readonly mechanism: CouponEvent["mechanism"] }
  | ClaimRefusal;

/**
 * Claims a coupon of an event by the mechanism that was named. Rejects with `EngineFault`.
 */
export async function claimCoupon(
  dependencies: { readonly findMechanism: FindMechanism; readonly issuers: Issuers },
  claim: Claim,
): Promise<Result<Claimed, ClaimCouponRefusal>> {
  const found = dependencies.findMechanism(claim.eventId);
  // Awaited only where it is not cached: a turn of the event loop saved for each of ten thousand.
  const mechanism = found instanceof Promise ? await found : found;
  if (mechanism === null) return refuse({ kind: "no-such-event" });
  if (mechanism !== claim.mechanism) return refuse({ kind: "wrong-mechanism", mechanism });
  const answer = await dependencies.issuers[mechanism].claim(claim.eventId, claim.userId);
  return answer.kind === "refused" ? refuse(answer.refusal) : ok(answer);
}
