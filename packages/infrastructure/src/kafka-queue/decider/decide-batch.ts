// The one transaction of v3: rows, rejected records and mark move together, under the event row's
// lock, and only if the epoch and the mark are still those of this decider (both fences: B21, B22).
import type { CouponEvent, CouponIssue, EventId } from "@stampede/domain";
import { EngineFault, invariant } from "@stampede/domain";
import { issueBatch, lockEvent, readHeldCodes, readUnderLock } from "../../rows/coupon-issues.ts";
import type { BatchClaim } from "../../rows/coupon-issues.ts";
import type { Postgres, Sql } from "../../engines/postgres/open.ts";
import type { ClaimRecord } from "../log/claim-codec.ts";
import { couponCodes } from "./coupon-codes.ts";
import type { PaceLimiter } from "./pace.ts";

/** What a decider was given when it took an event over. */
export type TakenOver = {
  readonly eventId: EventId;
  readonly topic: string;
  readonly topicId: string;
  readonly epoch: number;
  readonly nextOffset: number;
  readonly lastWinningTicket: number | null;
};

export type QueueEntry = { readonly ticket: number } & (
  | { readonly claim: ClaimRecord }
  | { readonly rejected: string }
);

export type BatchOutcome =
  | {
      readonly kind: "decided";
      readonly event: CouponEvent;
      readonly count: number;
      readonly added: readonly CouponIssue[];
    }
  | { readonly kind: "wait"; readonly until: "pace" | "opening"; readonly waitMs: number }
  /** Somebody else took the event over, or an operator or a check halted it. */
  | { readonly kind: "stale" };

export type BatchOptions = {
  readonly limiter: PaceLimiter;
  readonly openingAwaited: boolean;
  /** Somebody held a code of an earlier attempt: held ones are looked for first, and passed by. */
  readonly codesHeld?: boolean;
};

/**
 * Takes a queue over: from the commit on, every transaction of an earlier decider fails. Null: there
 * is no such queue, or it is halted. Waits for an earlier decider's transaction that holds the row.
 */
export async function takeOver(postgres: Postgres, eventId: EventId): Promise<TakenOver | null> {
  const rows = await postgres.query<{
    topic: string;
    topic_id: string;
    epoch: number;
    next_offset: number;
    last_winning_ticket: number | null;
  }>(
    `UPDATE queues SET epoch = epoch + 1 WHERE event_id = $1 AND halted IS NULL
     RETURNING topic, topic_id, epoch::float8 AS epoch, next_offset::float8 AS next_offset,
               last_winning_ticket::float8 AS last_winning_ticket`,
    [eventId],
  );
  const row = rows[0];
  if (row === undefined) return null;
  return {
    eventId,
    topic: row.topic,
    topicId: row.topic_id,
    epoch: row.epoch,
    nextOffset: row.next_offset,
    lastWinningTicket: row.last_winning_ticket,
  };
}

/**
 * Decides `entries`, the next ones of the log, or as many of them as the pace allows. Rejects with
 * `EngineFault`; where its outcome is unknown, only taking the queue over again tells the truth.
 */
export async function decideBatch(
  postgres: Postgres,
  at: Pick<TakenOver, "eventId" | "epoch" | "nextOffset">,
  entries: readonly QueueEntry[],
  options: BatchOptions,
): Promise<BatchOutcome> {
  return postgres.transaction(async (sql) => {
    const event = await lockEvent(sql, at.eventId);
    const queue = event === null ? null : await lockQueue(sql, at);
    if (event === null || queue === null) return { kind: "stale" };
    const { count, waitMs } = options.limiter.allowance(event.pace, postgres.time.nowMs());
    if (count === 0) return { kind: "wait", until: "pace", waitMs };
    const batch = entries.slice(0, count);
    invariant(batch[0]?.ticket === at.nextOffset, "a batch starts at the mark");
    const issued = await issueTo(sql, { event, codeKey: queue.code_key }, batch, options);
    if ("waitMs" in issued) return { kind: "wait", until: "opening", waitMs: issued.waitMs };
    await recordRejected(sql, at.eventId, batch);
    await moveMark(sql, at, { count: batch.length, winner: issued.added.at(-1)?.ticket ?? null });
    return { kind: "decided", count: batch.length, ...issued };
  });
}

/** Null: the queue is not this decider's any more. The key of its codes is known for this long only. */
async function lockQueue(
  sql: Sql,
  at: Pick<TakenOver, "eventId" | "epoch" | "nextOffset">,
): Promise<{ readonly code_key: string } | null> {
  const rows = await sql.query<{
    epoch: number;
    next_offset: number;
    halted: string | null;
    code_key: string;
  }>(
    `SELECT epoch::float8 AS epoch, next_offset::float8 AS next_offset, halted, code_key
       FROM queues WHERE event_id = $1 FOR UPDATE`,
    [at.eventId],
  );
  const row = rows[0];
  const isOurs =
    row?.epoch === at.epoch && row.next_offset === at.nextOffset && row.halted === null;
  return isOurs ? row : null;
}

async function issueTo(
  sql: Sql,
  { event, codeKey }: { readonly event: CouponEvent; readonly codeKey: string },
  batch: readonly QueueEntry[],
  { openingAwaited, codesHeld = false }: BatchOptions,
): Promise<
  | { readonly event: CouponEvent; readonly added: readonly CouponIssue[] }
  | { readonly waitMs: number }
> {
  // Whoever comes after the last coupon has a final answer without a look at the rows.
  if (event.issued === event.limit) return { event, added: [] };
  const codes = couponCodes(codeKey, event.id);
  // Passing the door in time is passing it: a claim in the log is not judged by the window again.
  const claims = batch.flatMap((entry): BatchClaim[] => {
    if (!("claim" in entry)) return [];
    const { userId } = entry.claim;
    return [{ userId, code: () => codes.of(userId), ticket: entry.ticket, door: null }];
  });
  if (claims.length === 0) return { event, added: [] };
  const persons = [...new Set(claims.map((claim) => claim.userId))];
  const facts = await readUnderLock(sql, event.id, persons);
  // A door whose clock ran ahead let somebody in early: no row is dated before the opening.
  if (facts.nowMs < event.opensAtMs && !openingAwaited) {
    return { waitMs: event.opensAtMs - facts.nowMs };
  }
  if (codesHeld) {
    const winnable = persons.filter((userId) => !facts.mine.has(userId));
    await codes.pass(winnable, async (drawn) => readHeldCodes(sql, drawn));
  }
  return issueBatch(sql, event, facts, claims);
}

async function recordRejected(
  sql: Sql,
  eventId: EventId,
  batch: readonly QueueEntry[],
): Promise<void> {
  const rejected = batch.flatMap((entry) => ("rejected" in entry ? [entry] : []));
  if (rejected.length === 0) return;
  await sql.query(
    `INSERT INTO rejected_records (event_id, ticket, reason)
     SELECT $1, row.ticket, row.reason FROM unnest($2::bigint[], $3::text[]) AS row (ticket, reason)`,
    [eventId, rejected.map((entry) => entry.ticket), rejected.map((entry) => entry.rejected)],
  );
}

async function moveMark(
  sql: Sql,
  at: Pick<TakenOver, "eventId" | "epoch" | "nextOffset">,
  by: { readonly count: number; readonly winner: number | null },
): Promise<void> {
  const rows = await sql.query(
    `UPDATE queues SET next_offset = $4, last_winning_ticket = coalesce($5, last_winning_ticket)
      WHERE event_id = $1 AND epoch = $2 AND next_offset = $3 RETURNING event_id`,
    [at.eventId, at.epoch, at.nextOffset, at.nextOffset + by.count, by.winner],
  );
  if (rows.length !== 1) {
    throw new EngineFault(
      "postgres",
      "not-applied",
      `another process moved the mark of ${at.eventId} although its row was locked`,
    );
  }
}
