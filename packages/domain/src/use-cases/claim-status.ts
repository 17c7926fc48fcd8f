import { EngineFault } from "../engine-fault.ts";
import type { EventId, UserId } from "../ids.ts";
import type { ClaimStatus } from "../ports.ts";
import type { Result } from "../result.ts";
import { ok, refuse } from "../result.ts";
import type { FindMechanism, Mechanisms } from "./claim-coupon.ts";

export type StatusQuestion = {
  readonly eventId: EventId;
  readonly userId: UserId;
  readonly ticket: number | null;
};

/** Tells a person what became of their claim. Rejects with `EngineFault`. */
export async function claimStatus(
  dependencies: { readonly findMechanism: FindMechanism; readonly mechanisms: Mechanisms },
  question: StatusQuestion,
): Promise<Result<ClaimStatus, { readonly kind: "no-such-event" }>> {
  const mechanism = await dependencies.findMechanism(question.eventId);
  if (mechanism === null) return refuse({ kind: "no-such-event" });
  const running = dependencies.mechanisms.get(mechanism);
  if (running === undefined) {
    const message = `this build does not know ${mechanism}: update it to serve ${question.eventId}`;
    throw new EngineFault("postgres", "not-applied", message);
  }
  return ok(await running.issuer.status(question.eventId, question.userId, question.ticket));
}
