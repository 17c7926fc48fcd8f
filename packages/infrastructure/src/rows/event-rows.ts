import type { CouponEvent, CouponIssue, EventId, Mechanism, UserId } from "@stampede/domain";
import { invariant } from "@stampede/domain";

// Times leave the database as epoch milliseconds: no parsing of text, no time zone of a session.
export const EVENT_COLUMNS = `
  e.id, e.name, e.mechanism, e.limit_quantity, e.issued, e.version, e.paused, e.pace, e.listed,
  e.voided_at IS NOT NULL AS voided,
  (extract(epoch FROM e.opens_at) * 1000)::float8 AS opens_at_ms,
  (extract(epoch FROM e.closes_at) * 1000)::float8 AS closes_at_ms`;

export type EventRow = {
  readonly id: EventId;
  readonly name: string;
  readonly mechanism: Mechanism;
  readonly limit_quantity: number;
  readonly issued: number;
  readonly version: number;
  readonly paused: boolean;
  readonly pace: number | null;
  readonly listed: boolean;
  readonly voided: boolean;
  readonly opens_at_ms: number;
  readonly closes_at_ms: number | null;
};

export function couponEventOf(row: EventRow): CouponEvent {
  invariant(row.issued <= row.limit_quantity, "an event never issues more than its limit");
  return {
    id: row.id,
    name: row.name,
    mechanism: row.mechanism,
    limit: row.limit_quantity,
    issued: row.issued,
    opensAtMs: row.opens_at_ms,
    closesAtMs: row.closes_at_ms,
    paused: row.paused,
    pace: row.pace,
    listed: row.listed,
    voided: row.voided,
    version: row.version,
  };
}

export const ISSUE_COLUMNS = `
  i.event_id, i.seq, i.user_id, i.code, i.ticket::float8 AS ticket,
  floor(extract(epoch FROM i.issued_at) * 1000)::float8 AS issued_at_ms`;

/**
 * Beside `asked (event_id, user_id)`: the coupon issue of each, by the unique index on both. OFFSET 0
 * keeps the planner from joining in another way: of an event that outgrew its statistics it expects so
 * few rows that it would read them all, for each batch, and a large sale would slow down with each
 * coupon.
 */
export const ISSUE_OF_ASKED = `LATERAL (
  SELECT * FROM coupon_issues own
   WHERE own.event_id = asked.event_id AND own.user_id = asked.user_id OFFSET 0) i`;

export type IssueRow = {
  readonly event_id: EventId;
  readonly seq: number;
  readonly user_id: UserId;
  readonly code: string;
  readonly ticket: number | null;
  readonly issued_at_ms: number;
};

export function couponIssueOf(row: IssueRow): CouponIssue {
  return {
    eventId: row.event_id,
    userId: row.user_id,
    seq: row.seq,
    code: row.code,
    issuedAtMs: row.issued_at_ms,
    ticket: row.ticket,
  };
}
