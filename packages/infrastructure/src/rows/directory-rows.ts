import type { CouponEvent, CouponIssue, EventId, UserId } from "@stampede/domain";
import type { EventRow, IssueRow } from "./event-rows.ts";
import { couponEventOf, couponIssueOf, EVENT_COLUMNS, ISSUE_COLUMNS } from "./event-rows.ts";
import type { Sql } from "./open.ts";

/** Where the decider of an event's log stands. */
export type QueueFacts = {
  readonly topic: string;
  readonly topicId: string;
  /** The mark: the next undecided offset. */
  readonly nextOffset: number;
  readonly lastWinningTicket: number | null;
  /** Why the event is not decided any more; null while it is. */
  readonly halted: string | null;
};

export type EventReading = {
  readonly event: CouponEvent;
  readonly queue: QueueFacts | null;
  readonly generation: string | null;
};

type DirectoryRow = EventRow & {
  readonly topic: string | null;
  readonly topic_id: string;
  readonly next_offset: number;
  readonly last_winning_ticket: number | null;
  readonly halted: string | null;
  readonly generation: string | null;
};

/** Events with their mechanism's own state, in one snapshot. */
export async function readEvents(sql: Sql, ids: readonly EventId[]): Promise<EventReading[]> {
  const rows = await sql.query<DirectoryRow>(
    `SELECT ${EVENT_COLUMNS}, q.topic, q.topic_id, q.next_offset::float8 AS next_offset,
            q.last_winning_ticket::float8 AS last_winning_ticket, q.halted, g.generation
       FROM events e
       LEFT JOIN queues q ON q.event_id = e.id
       LEFT JOIN redis_generations g ON g.event_id = e.id
      WHERE e.id = ANY ($1)`,
    [ids],
  );
  return rows.map((row) => ({
    event: couponEventOf(row),
    queue:
      row.topic === null
        ? null
        : {
            topic: row.topic,
            topicId: row.topic_id,
            nextOffset: row.next_offset,
            lastWinningTicket: row.last_winning_ticket,
            halted: row.halted,
          },
    generation: row.generation,
  }));
}

/** The coupon issues with a greater `seq`, in order (primary key). */
export async function readIssuesAfter(
  sql: Sql,
  eventId: EventId,
  seq: number,
): Promise<CouponIssue[]> {
  const rows = await sql.query<IssueRow>(
    `SELECT ${ISSUE_COLUMNS} FROM coupon_issues i WHERE i.event_id = $1 AND i.seq > $2 ORDER BY i.seq`,
    [eventId, seq],
  );
  return rows.map(couponIssueOf);
}

/** The coupon issues of these persons (unique index on event and person). */
export async function readIssuesOf(
  sql: Sql,
  eventId: EventId,
  userIds: readonly UserId[],
): Promise<Map<UserId, CouponIssue>> {
  const rows = await sql.query<IssueRow>(
    `SELECT ${ISSUE_COLUMNS} FROM coupon_issues i WHERE i.event_id = $1 AND i.user_id = ANY ($2)`,
    [eventId, userIds],
  );
  return new Map(rows.map((row) => [row.user_id, couponIssueOf(row)]));
}
