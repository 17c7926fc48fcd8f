import type { UserId } from "../src/ids.ts";
import type { DoorRefusal } from "../src/model/claim.ts";
import { decideClaim, doorRefusal } from "../src/model/claim.ts";
import type { ClaimAnswer, CouponIssuer } from "../src/ports.ts";
import type { MemoryEntry, MemoryState } from "./state.ts";
import { entryOf, notify } from "./state.ts";

/** Issues at once, one claim after the other: what v1 and v2 look like from outside. */
export function memoryCouponIssuer(state: MemoryState): CouponIssuer {
  return {
    async claim(eventId, userId) {
      const entry = entryOf(state, eventId);
      return issueTo(state, entry, {
        userId,
        door: doorRefusal(entry.event, state.nowMs()),
        ticket: null,
        code: state.drawCode(),
      });
    },
    async status(eventId, userId) {
      const entry = entryOf(state, eventId);
      const couponIssue = entry.issues.find((issue) => issue.userId === userId);
      if (couponIssue !== undefined) return { kind: "issued", couponIssue };
      return { kind: entry.event.issued === entry.event.limit ? "sold-out" : "none" };
    },
    available: () => true,
  };
}

/** Decides and records one claim; nothing can come between the two. */
export function issueTo(
  state: MemoryState,
  entry: MemoryEntry,
  claim: {
    readonly userId: UserId;
    readonly door: DoorRefusal | null;
    readonly ticket: number | null;
    readonly code: string;
  },
): ClaimAnswer {
  const { event, issues } = entry;
  const mine = issues.find((issue) => issue.userId === claim.userId) ?? null;
  const decision = decideClaim({
    limit: event.limit,
    issued: event.issued,
    mine,
    door: claim.door,
  });
  if (!decision.ok) return { kind: "refused", refusal: decision.refusal };
  if (decision.value.kind === "replay") {
    return { kind: "replayed", couponIssue: decision.value.couponIssue };
  }
  const couponIssue = {
    eventId: event.id,
    userId: claim.userId,
    seq: decision.value.seq,
    code: claim.code,
    issuedAtMs: state.nowMs(),
    ticket: claim.ticket,
  };
  issues.push(couponIssue);
  entry.event = { ...event, issued: couponIssue.seq };
  notify(state, event.id);
  return { kind: "issued", couponIssue };
}
