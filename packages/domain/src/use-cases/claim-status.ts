import type { EventId, UserId } from "../ids.ts";
import type { ClaimStatus } from "../ports.ts";
import type { Result } from "../result.ts";
import { ok, refuse } from "../result.ts";
import type { FindMechanism, Issuers } from "./claim-coupon.ts";

export type StatusQuestion = {
  readonly eventId: EventId;
  readonly userId: UserId;
  readonly ticket: number | null;
};

/** Tells a person what became of their claim. Rejects with `EngineFault`. */
export async function claimStatus(
  dependencies: { readonly findMechanism: FindMechanism; readonly issuers: Issuers },
  question: StatusQuestion,
): Promise<Result<ClaimStatus, { readonly kind: "no-such-event" }>> {
  const mechanism = await dependencies.findMechanism(question.eventId);
  if (mechanism === null) return refuse({ kind: "no-such-event" });
  const issuer = dependencies.issuers[mechanism];
  return ok(await issuer.status(question.eventId, question.userId, question.ticket));
}
