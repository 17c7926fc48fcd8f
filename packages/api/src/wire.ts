// From the domain's values to the contract's fields.
import { eventState } from "@stampede/domain";
import type { ClaimStatus, CouponEvent, CouponIssue, EventId, Ticket } from "@stampede/domain";
import { claimPath } from "./problems.ts";

export function eventOnWire(
  event: CouponEvent,
  at: { readonly nowMs: number; readonly version: string | null; readonly available: boolean },
): Record<string, unknown> {
  return {
    id: event.id,
    name: event.name,
    mechanism: event.mechanism,
    limit: event.limit,
    issued: event.issued,
    remaining: event.limit - event.issued,
    state: eventState(event, at.nowMs),
    paused: event.paused,
    opensAt: timeOnWire(event.opensAtMs),
    closesAt: event.closesAtMs === null ? null : timeOnWire(event.closesAtMs),
    pace: event.pace,
    ...(event.voided ? { voided: true } : {}),
    version: event.version,
    // An event of another build's mechanism takes no claims here; where it does, only that build knows.
    claim: at.version === null ? "" : claimPath(at.version, event.id),
    available: at.available,
  };
}

export function couponIssueOnWire(couponIssue: CouponIssue): Record<string, unknown> {
  const { eventId, seq, code, issuedAtMs } = couponIssue;
  return { eventId, status: "issued", seq, code, issuedAt: timeOnWire(issuedAtMs) };
}

export function listedIssueOnWire(couponIssue: CouponIssue): Record<string, unknown> {
  const { userId, ticket } = couponIssue;
  return { ...couponIssueOnWire(couponIssue), userId, ...(ticket === null ? {} : { ticket }) };
}

export function ticketOnWire(ticket: Ticket): Record<string, unknown> {
  return { ...ticket, status: "queued" };
}

export function statusOnWire(eventId: EventId, status: ClaimStatus): Record<string, unknown> {
  switch (status.kind) {
    case "issued":
      return couponIssueOnWire(status.couponIssue);
    case "queued":
      return ticketOnWire(status.ticket);
    case "stalled":
      return { eventId, status: "stalled", ticket: status.ticket };
    case "pending":
    case "sold-out":
    case "voided":
    case "none":
      return { eventId, status: status.kind };
  }
}

/** RFC 3339 in UTC with milliseconds. */
function timeOnWire(ms: number): string {
  return new Date(ms).toISOString();
}
