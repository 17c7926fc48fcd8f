import { setTimeout as sleep } from "node:timers/promises";
import { EngineFault } from "../src/engine-fault.ts";
import type { EventId, UserId } from "../src/ids.ts";
import type { DoorRefusal } from "../src/model/claim.ts";
import type { CouponIssue } from "../src/model/coupon-issue.ts";
import type { CouponIssuer } from "../src/ports.ts";

const SETTLE_MS_MAX = 20_000;
const POLL_MS = 20;

/**
 * Claims, then asks until the answer is final, so that the same sentences hold for a mechanism that
 * queues. Claims again where an engine was not ready, as a person would. Rejects after 20 s.
 */
export async function settle(
  issuer: CouponIssuer,
  eventId: EventId,
  userId: UserId,
): Promise<CouponIssue | "sold-out" | DoorRefusal> {
  const deadlineMs = Date.now() + SETTLE_MS_MAX;
  while (Date.now() < deadlineMs) {
    try {
      const answer = await issuer.claim(eventId, userId);
      if (answer.kind === "refused") {
        return answer.refusal.kind === "sold-out" ? "sold-out" : answer.refusal;
      }
      if (answer.kind !== "queued") return answer.couponIssue;
      while (Date.now() < deadlineMs) {
        const status = await issuer.status(eventId, userId, answer.ticket.ticket);
        if (status.kind === "issued") return status.couponIssue;
        if (status.kind === "sold-out") return "sold-out";
        await sleep(POLL_MS);
      }
    } catch (error) {
      if (!(error instanceof EngineFault)) throw error;
      await sleep(POLL_MS);
    }
  }
  throw new Error(`${userId} got no final answer about ${eventId} within ${SETTLE_MS_MAX} ms`);
}
