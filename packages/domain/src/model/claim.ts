import { invariant } from "../invariant.ts";
import type { Result } from "../result.ts";
import { ok, refuse } from "../result.ts";
import type { CouponEvent } from "./coupon-event.ts";
import type { CouponIssue } from "./coupon-issue.ts";

/** Why an event takes no new claims at an instant. */
export type DoorRefusal =
  | { readonly kind: "not-open"; readonly opensAtMs: number; readonly waitMs: number }
  | { readonly kind: "closed" }
  | { readonly kind: "paused" };

export type ClaimRefusal = DoorRefusal | { readonly kind: "sold-out" };

/** All that a decision may depend on, read under whatever lock the mechanism uses. */
export type ClaimFacts = {
  readonly limit: number;
  readonly issued: number;
  readonly mine: CouponIssue | null;
  /** Null: the claim may enter, or might when it passed the door (batch writer, decider). */
  readonly door: DoorRefusal | null;
};

export type Decision =
  | { readonly kind: "issue"; readonly seq: number }
  | { readonly kind: "replay"; readonly couponIssue: CouponIssue };

/** Judges the window [opens, closes) and the pause at `nowMs`, by the database's clock. */
export function doorRefusal(event: CouponEvent, nowMs: number): DoorRefusal | null {
  if (event.voided) return { kind: "closed" };
  if (nowMs < event.opensAtMs) {
    return { kind: "not-open", opensAtMs: event.opensAtMs, waitMs: event.opensAtMs - nowMs };
  }
  if (event.closesAtMs !== null && nowMs >= event.closesAtMs) return { kind: "closed" };
  return event.paused ? { kind: "paused" } : null;
}

/**
 * Decides one claim. What is final comes first: a person who has a coupon gets the same one, also
 * after the close, and sold out stays sold out. `seq` counts from 1 to `limit`.
 */
export function decideClaim(facts: ClaimFacts): Result<Decision, ClaimRefusal> {
  invariant(facts.issued <= facts.limit, "an event never issues more than its limit");
  if (facts.mine !== null) return ok({ kind: "replay", couponIssue: facts.mine });
  if (facts.issued === facts.limit) return refuse({ kind: "sold-out" });
  if (facts.door !== null) return refuse(facts.door);
  return ok({ kind: "issue", seq: facts.issued + 1 });
}

export type DoorDecision =
  /** The claim goes on to whatever decides. */
  | { readonly kind: "pass" }
  | { readonly kind: "replay"; readonly couponIssue: CouponIssue }
  | { readonly kind: "refuse"; readonly refusal: ClaimRefusal }
  /** The refusal holds unless this person has a coupon: whoever can look has to. */
  | { readonly kind: "look"; readonly refusal: ClaimRefusal };

/**
 * Decides at a door in front of the lock, by the same rule and from committed facts: what is certain
 * already is answered there. Null: this person has no coupon; undefined: nobody has looked.
 */
export function decideAtDoor(
  event: CouponEvent,
  mine: CouponIssue | null | undefined,
  nowMs: number,
): DoorDecision {
  const { limit, issued } = event;
  const door = doorRefusal(event, nowMs);
  const decision = decideClaim({ limit, issued, mine: mine ?? null, door });
  if (!decision.ok) {
    return { kind: mine === undefined ? "look" : "refuse", refusal: decision.refusal };
  }
  return decision.value.kind === "replay" ? decision.value : PASS;
}

const PASS = { kind: "pass" } as const;
