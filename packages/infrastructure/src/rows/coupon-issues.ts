// The one table that all mechanisms end in. Every row is written by `issueBatch`, in a transaction
// that holds the event row's lock (`lockEvent`): so `issued`, read after the lock was held, counts
// the rows (facts F1 and F2 of docs/dictionary.md: never count in the statement that locks).
import type {
  ClaimRefusal,
  CouponEvent,
  CouponIssue,
  DoorRefusal,
  EventId,
  Result,
  UserId,
} from "@stampede/domain";
import { decideClaim, EngineFault, invariant, ok, refuse } from "@stampede/domain";
import type { EventRow, IssueRow } from "./event-rows.ts";
import {
  couponEventOf,
  couponIssueOf,
  EVENT_COLUMNS,
  ISSUE_COLUMNS,
  ISSUE_OF_ASKED,
} from "./event-rows.ts";
import { sqlState } from "../engines/postgres/faults.ts";
import type { Sql } from "../engines/postgres/open.ts";

export type BatchClaim = {
  readonly userId: UserId;
  /** The coupon's code if this claim wins, or what makes it: that is asked of winners only. */
  readonly code: string | (() => string);
  readonly ticket: number | null;
  /** Null: the claim passed the door in time, however long it took since. */
  readonly door: DoorRefusal | null;
};

export type BatchAnswer = Result<
  { readonly kind: "issued" | "replayed"; readonly couponIssue: CouponIssue },
  ClaimRefusal
>;

export type IssuedBatch = {
  /** One answer per claim, in the claims' order. */
  readonly answers: readonly BatchAnswer[];
  /** The coupon issues that this batch adds, in `seq` order. */
  readonly added: readonly CouponIssue[];
  /** The event with its new `issued`. */
  readonly event: CouponEvent;
};

/** Takes the event row's lock until the transaction ends. Null: no such event. */
export async function lockEvent(sql: Sql, eventId: EventId): Promise<CouponEvent | null> {
  const rows = await sql.query<EventRow>(
    `SELECT ${EVENT_COLUMNS} FROM events e WHERE e.id = $1 FOR UPDATE`,
    [eventId],
  );
  return rows[0] === undefined ? null : couponEventOf(rows[0]);
}

/**
 * What a decision needs beside the locked event: the coupon issues that these persons have already,
 * and the database's clock. A statement of its own, after the lock: its snapshot sees every row that
 * was committed before we got the lock, and its clock is not that of the start of our wait.
 */
export async function readUnderLock(
  sql: Sql,
  eventId: EventId,
  userIds: readonly UserId[],
): Promise<{ readonly mine: Map<UserId, CouponIssue>; readonly nowMs: number }> {
  const rows = await sql.query<Partial<IssueRow> & { now_ms: number }>(
    `SELECT ${ISSUE_COLUMNS}, (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now_ms
       FROM (SELECT 1) one LEFT JOIN (
         (SELECT $1::text AS event_id, unnest($2::text[]) AS user_id) asked CROSS JOIN ${ISSUE_OF_ASKED}
       ) ON true`,
    [eventId, userIds],
  );
  const mine = new Map<UserId, CouponIssue>();
  for (const row of rows) if (isIssueRow(row)) mine.set(row.user_id, couponIssueOf(row));
  return { mine, nowMs: rows[0]?.now_ms ?? Number.NaN };
}

function isIssueRow(row: Partial<IssueRow>): row is IssueRow {
  return typeof row.seq === "number";
}

/**
 * Decides claims in order and writes what they win. Must run in the transaction that holds `event`
 * by `lockEvent`, with `mine` and `nowMs` from `readUnderLock` after it. The schema's constraints
 * guard the same promises once more; they should never have to speak.
 */
export async function issueBatch(
  sql: Sql,
  event: CouponEvent,
  facts: { readonly mine: ReadonlyMap<UserId, CouponIssue>; readonly nowMs: number },
  claims: readonly BatchClaim[],
): Promise<IssuedBatch> {
  const mine = new Map(facts.mine);
  const added: CouponIssue[] = [];
  const issuedAtMs = Math.floor(facts.nowMs);
  const answers = claims.map((claim): BatchAnswer => {
    const issued = event.issued + added.length;
    const decision = decideClaim({
      limit: event.limit,
      issued,
      mine: mine.get(claim.userId) ?? null,
      door: claim.door,
    });
    if (!decision.ok) return refuse(decision.refusal);
    if (decision.value.kind === "replay") {
      return ok({ kind: "replayed", couponIssue: decision.value.couponIssue });
    }
    const { userId, code, ticket } = claim;
    const couponIssue = {
      eventId: event.id,
      userId,
      seq: decision.value.seq,
      code: typeof code === "string" ? code : code(),
      issuedAtMs,
      ticket,
    };
    mine.set(userId, couponIssue);
    added.push(couponIssue);
    return ok({ kind: "issued", couponIssue });
  });
  if (added.length > 0) await writeIssues(sql, event, added);
  return { answers, added, event: { ...event, issued: event.issued + added.length } };
}

/** Those of `codes` that are some coupon's, of whatever event. */
export async function readHeldCodes(
  sql: Sql,
  codes: readonly string[],
): Promise<ReadonlySet<string>> {
  const rows = await sql.query<{ code: string }>(
    "SELECT code FROM coupon_issues WHERE code = ANY ($1)",
    [codes],
  );
  return new Set(rows.map((row) => row.code));
}

/** Whether a coupon's code was another one's already; nothing was applied then. */
export function isCodeTaken(error: unknown): boolean {
  if (!(error instanceof EngineFault) || sqlState(error.cause) !== "23505") return false;
  const { cause } = error;
  return typeof cause === "object" && cause !== null && "constraint" in cause
    ? cause.constraint === CODE_KEY
    : false;
}

const CODE_KEY = "coupon_issues_code_key";

async function writeIssues(
  sql: Sql,
  event: CouponEvent,
  added: readonly CouponIssue[],
): Promise<void> {
  const rows = await sql.query<{ issued: number }>(
    `WITH added AS (
       INSERT INTO coupon_issues (event_id, seq, user_id, code, issued_at, ticket)
       SELECT $1, row.seq, row.user_id, row.code, to_timestamp($2 / 1000.0), row.ticket
         FROM unnest($3::integer[], $4::text[], $5::text[], $6::bigint[]) AS row (seq, user_id, code, ticket)
       RETURNING 1)
     UPDATE events SET issued = issued + (SELECT count(*) FROM added)
      WHERE id = $1 AND issued = $7
     RETURNING issued`,
    [
      event.id,
      added[0]?.issuedAtMs,
      added.map((issue) => issue.seq),
      added.map((issue) => issue.userId),
      added.map((issue) => issue.code),
      added.map((issue) => issue.ticket),
      event.issued,
    ],
  );
  invariant(rows[0]?.issued === event.issued + added.length, "only the holder of the lock counts");
}
