// From the domain's values to the contract's fields.
import { eventState } from "@stampede/domain";
import type { ClaimStatus, CouponEvent, CouponIssue, EventId, Ticket } from "@stampede/domain";
import { claimPath } from "./problems.ts";

export function eventOnWire(
  event: CouponEvent,
  at: { readonly nowMs: number; readonly available: boolean },
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
    version: event.version,
    claim: claimPath(event.mechanism, event.id),
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
    case "sold-out":
    case "none":
      return { eventId, status: status.kind };
  }
}

/** RFC 3339 in UTC with milliseconds. */
export function timeOnWire(ms: number): string {
  return new Date(ms).toISOString();
}
