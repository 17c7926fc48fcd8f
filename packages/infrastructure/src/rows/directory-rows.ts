import type { CouponEvent, CouponIssue, EventId, UserId } from "@stampede/domain";
import type { EventRow, IssueRow } from "./event-rows.ts";
import {
  couponEventOf,
  couponIssueOf,
  EVENT_COLUMNS,
  ISSUE_COLUMNS,
  ISSUE_OF_ASKED,
} from "./event-rows.ts";
import type { Sql } from "../engines/postgres/open.ts";

/** Where the decider of an event's log stands. */
export type QueueFacts = {
  readonly topic: string;
  readonly topicId: string;
  /** The mark: the next undecided offset. */
  readonly nextOffset: number;
  readonly lastWinningTicket: number | null;
  /** Why the event is not decided any more; null while it is. */
  readonly halted: string | null;
  /** How often it was halted or set free. */
  readonly haltChanges: number;
  /** Its log is deleted, or will be soon. */
  readonly retired: boolean;
};

export type EventSnapshot = {
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
  readonly halt_changes: number;
  readonly retired: boolean;
  readonly generation: string | null;
};

/**
 * Events with their mechanism's own state, in one snapshot. A row that cannot be is told to `onWrong`,
 * and the others are not held up by it.
 */
export async function readEvents(
  sql: Sql,
  ids: readonly EventId[],
  onWrong: (eventId: EventId, error: unknown) => void = (_eventId, error) => {
    throw error;
  },
): Promise<EventSnapshot[]> {
  const rows = await sql.query<DirectoryRow>(
    `SELECT ${EVENT_COLUMNS}, q.topic, q.topic_id, q.next_offset::float8 AS next_offset,
            q.last_winning_ticket::float8 AS last_winning_ticket, q.halted, q.halt_changes,
            q.retired_at IS NOT NULL AS retired, g.generation
       FROM events e
       LEFT JOIN queues q ON q.event_id = e.id
       LEFT JOIN redis_generations g ON g.event_id = e.id
      WHERE e.id = ANY ($1)`,
    [ids],
  );
  return rows.flatMap((row) => {
    try {
      return [snapshotOf(row)];
    } catch (error) {
      onWrong(row.id, error);
      return [];
    }
  });
}

function snapshotOf(row: DirectoryRow): EventSnapshot {
  return {
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
            haltChanges: row.halt_changes,
            retired: row.retired,
          },
    generation: row.generation,
  };
}

/** The next `count` coupon issues with a greater `seq`, in order (primary key). */
export async function readIssuesAfter(
  sql: Sql,
  eventId: EventId,
  { seq, count }: { readonly seq: number; readonly count: number },
): Promise<CouponIssue[]> {
  const rows = await sql.query<IssueRow>(
    `SELECT ${ISSUE_COLUMNS} FROM coupon_issues i
      WHERE i.event_id = $1 AND i.seq > $2 ORDER BY i.seq LIMIT $3`,
    [eventId, seq, count],
  );
  // One text for all of them: each row brings its own, and thousands are kept.
  return rows.map((row) => couponIssueOf({ ...row, event_id: eventId }));
}

/** A person's question about one event. */
export type Pair = { readonly eventId: EventId; readonly userId: UserId };

/** The coupon issues of these persons in these events (unique index on event and person). */
export async function readIssuesOf(
  sql: Sql,
  pairs: readonly Pair[],
): Promise<Map<EventId, Map<UserId, CouponIssue>>> {
  const rows = await sql.query<IssueRow>(
    `SELECT ${ISSUE_COLUMNS} FROM unnest($1::text[], $2::text[]) AS asked (event_id, user_id)
      CROSS JOIN ${ISSUE_OF_ASKED}`,
    [pairs.map(({ eventId }) => eventId), pairs.map(({ userId }) => userId)],
  );
  const issues = new Map<EventId, Map<UserId, CouponIssue>>();
  for (const row of rows) {
    const ofEvent = issues.get(row.event_id) ?? new Map<UserId, CouponIssue>();
    issues.set(row.event_id, ofEvent.set(row.user_id, couponIssueOf(row)));
  }
  return issues;
}
