import type { EventId, UserId } from "../src/ids.ts";
import { decideAtDoor } from "../src/model/claim.ts";
import type { Ticket } from "../src/model/ticket.ts";
import { ahead, guaranteed } from "../src/model/ticket.ts";
import type { ClaimStatus, CouponIssuer } from "../src/ports.ts";
import { issueTo } from "./coupon-issuer.ts";
import type { MemoryEntry, MemoryState } from "./state.ts";
import { entryOf, notify } from "./state.ts";

/** Queues first and decides later: what v3 looks like from outside. */
export function memoryQueueIssuer(
  state: MemoryState,
  options: { readonly decideOnStatus: boolean },
): { readonly issuer: CouponIssuer; readonly decide: (id: EventId, count?: number) => void } {
  const decide = (id: EventId, count = Number.MAX_SAFE_INTEGER): void => {
    const entry = entryOf(state, id);
    if (entry.halted) return;
    for (const { userId, code } of entry.log.slice(entry.decided, entry.decided + count)) {
      issueTo(state, entry, { userId, door: null, ticket: entry.decided, code });
      entry.decided += 1;
    }
    notify(state, id);
  };
  const issuer: CouponIssuer = {
    async claim(eventId, userId) {
      const entry = entryOf(state, eventId);
      const mine = entry.issues.find((issue) => issue.userId === userId) ?? null;
      const decision = decideAtDoor(entry.event, mine, state.nowMs());
      if (decision.kind === "replay") {
        return { kind: "replayed", couponIssue: decision.couponIssue };
      }
      if (decision.kind !== "pass") return { kind: "refused", refusal: decision.refusal };
      entry.log.push({ userId, code: state.drawCode() });
      return { kind: "queued", ticket: ticketOf(entry, entry.log.length - 1) };
    },
    async status(eventId, userId, ticket) {
      if (options.decideOnStatus) decide(eventId);
      return statusOf(entryOf(state, eventId), userId, ticket);
    },
    available: () => true,
  };
  return { issuer, decide };
}

function statusOf(entry: MemoryEntry, userId: UserId, ticket: number | null): ClaimStatus {
  const couponIssue = entry.issues.find((issue) => issue.userId === userId);
  if (couponIssue !== undefined) return { kind: "issued", couponIssue };
  if (entry.event.issued === entry.event.limit) return { kind: "sold-out" };
  if (entry.event.voided) return { kind: "voided" };
  if (ticket === null || ticket < entry.decided) return { kind: "none" };
  if (entry.halted) return { kind: "stalled", ticket };
  return { kind: "queued", ticket: ticketOf(entry, ticket) };
}

function ticketOf(entry: MemoryEntry, ticket: number): Ticket {
  return {
    eventId: entry.event.id,
    ticket,
    ahead: ahead(ticket, entry.decided),
    guaranteed: guaranteed(ticket, entry.event.limit),
    estimate: null,
  };
}
