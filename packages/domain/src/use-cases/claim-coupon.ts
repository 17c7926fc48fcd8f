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
export function claimCoupon(
  { findMechanism, issuers }: { readonly findMechanism: FindMechanism; readonly issuers: Issuers },
  claim: Claim,
): Promise<Result<Claimed, ClaimCouponRefusal>> {
  const found = findMechanism(claim.eventId);
  // Waited for only where it is not cached, and by no async function of its own: both are a turn and
  // some objects saved for each of ten thousand.
  return found instanceof Promise
    ? found.then((mechanism) => claimBy(mechanism, issuers, claim))
    : claimBy(found, issuers, claim);
}

function claimBy(
  mechanism: Mechanism | null,
  issuers: Issuers,
  claim: Claim,
): Promise<Result<Claimed, ClaimCouponRefusal>> {
  if (mechanism === null) return Promise.resolve(refuse({ kind: "no-such-event" }));
  if (mechanism !== claim.mechanism) {
    return Promise.resolve(refuse({ kind: "wrong-mechanism", mechanism }));
  }
  return issuers[mechanism].claim(claim.eventId, claim.userId).then(resultOf);
}

function resultOf(answer: ClaimAnswer): Result<Claimed, ClaimCouponRefusal> {
  return answer.kind === "refused" ? refuse(answer.refusal) : ok(answer);
}
