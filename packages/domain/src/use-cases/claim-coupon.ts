import type { EventId, UserId } from "../ids.ts";
import type { ClaimRefusal } from "../model/claim.ts";
import type { Mechanism, MechanismFacts } from "../model/mechanism.ts";
import type { ClaimAnswer, CouponIssuer } from "../ports.ts";
import type { Result } from "../result.ts";
import { ok, refuse } from "../result.ts";

/** The mechanism of an event, null where there is none. It never changes, so it may be cached. */
export type FindMechanism = (eventId: EventId) => Mechanism | null | Promise<Mechanism | null>;

/** A mechanism as this process runs it. */
export type RunningMechanism = { readonly facts: MechanismFacts; readonly issuer: CouponIssuer };

/** What is known of mechanisms, by name. */
export type KnownMechanisms = ReadonlyMap<Mechanism, { readonly facts: MechanismFacts }>;

/** Those of this process, by name. An event of another build's mechanism finds none here. */
export type Mechanisms = ReadonlyMap<Mechanism, RunningMechanism>;

export type Claim = {
  readonly eventId: EventId;
  readonly userId: UserId;
  /** The mechanism whose path the person used. */
  readonly mechanism: Mechanism;
};

export type Claimed = Exclude<ClaimAnswer, { readonly kind: "refused" }>;

export type ClaimCouponRefusal =
  | { readonly kind: "no-such-event" }
  /** Null: the event's mechanism is none of this process. */
  | { readonly kind: "wrong-mechanism"; readonly version: string | null }
  | ClaimRefusal;

/**
 * Claims a coupon of an event by the mechanism that was named. Rejects with `EngineFault`.
 */
export function claimCoupon(
  dependencies: { readonly findMechanism: FindMechanism; readonly mechanisms: Mechanisms },
  claim: Claim,
): Promise<Result<Claimed, ClaimCouponRefusal>> {
  const { findMechanism, mechanisms } = dependencies;
  const found = findMechanism(claim.eventId);
  // Waited for only where it is not cached, and by no async function of its own: both are a turn and
  // some objects saved for each of ten thousand.
  return found instanceof Promise
    ? found.then((mechanism) => claimBy(mechanism, mechanisms, claim))
    : claimBy(found, mechanisms, claim);
}

function claimBy(
  mechanism: Mechanism | null,
  mechanisms: Mechanisms,
  claim: Claim,
): Promise<Result<Claimed, ClaimCouponRefusal>> {
  if (mechanism === null) return Promise.resolve(refuse({ kind: "no-such-event" }));
  const running = mechanisms.get(mechanism);
  if (mechanism !== claim.mechanism || running === undefined) {
    const version = running?.facts.version ?? null;
    return Promise.resolve(refuse({ kind: "wrong-mechanism", version }));
  }
  return running.issuer.claim(claim.eventId, claim.userId).then(resultOf);
}

function resultOf(answer: ClaimAnswer): Result<Claimed, ClaimCouponRefusal> {
  return answer.kind === "refused" ? refuse(answer.refusal) : ok(answer);
}
