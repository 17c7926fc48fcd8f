import type {
  CouponEvent,
  EventReading,
  EventStore,
  LineState,
  Mechanism,
  Page,
} from "@stampede/domain";
import { EngineFault, ok, refuse } from "@stampede/domain";
import { lockEvent } from "./coupon-issues.ts";
import type { EventDirectory } from "./event-directory.ts";
import type { EventRow, IssueRow } from "./event-rows.ts";
import { couponEventOf, couponIssueOf, EVENT_COLUMNS, ISSUE_COLUMNS } from "./event-rows.ts";
import { sqlState } from "../engines/postgres/faults.ts";
import type { Postgres, Sql } from "../engines/postgres/open.ts";

/** What a mechanism adds to the making of an event, in the order in which it is called. */
export type EventPreparation = {
  /** Makes what the mechanism needs outside the database, before the event exists (a topic). */
  prepare(event: CouponEvent): Promise<PreparedEvent>;
};

type PreparedEvent = {
  /** Adds the mechanism's own rows, in the transaction that adds the event. */
  readonly record: (sql: Sql) => Promise<void>;
  /** Runs after the commit and before the operator is answered. */
  readonly finish: () => Promise<void>;
  /** Takes back what was made, where that transaction failed. It may have committed all the same. */
  readonly abandon?: () => Promise<void>;
};

const NOTHING: PreparedEvent = {
  record: async () => undefined,
  finish: async () => undefined,
};

/** Events in PostgreSQL. Null: the mechanism needs nothing but the row. */
export function postgresEventStore(
  postgres: Postgres,
  preparationOf: (mechanism: Mechanism) => EventPreparation | null = () => null,
): EventStore {
  return {
    async create(id, make) {
      const existing = await findEvent(postgres, id);
      if (existing !== null) return refuse({ kind: "event-exists" });
      const made = make(Math.floor(await readClock(postgres)));
      if (!made.ok) return made;
      const event = made.value;
      const prepared = (await preparationOf(event.mechanism)?.prepare(event)) ?? NOTHING;
      try {
        await postgres.transaction(async (sql) => {
          await insertEvent(sql, event);
          await prepared.record(sql);
        });
      } catch (error) {
        await prepared.abandon?.();
        // Of creators of the same id one inserts, the others meet its key.
        if (error instanceof EngineFault && sqlState(error.cause) === "23505") {
          return refuse({ kind: "event-exists" });
        }
        throw error;
      }
      await prepared.finish();
      return ok({ event, nowMs: await readClock(postgres) });
    },
    find: async (id) => findEvent(postgres, id),
    async list({ size, cursor, all }) {
      const before = cursorOf(cursor, Number.MAX_SAFE_INTEGER);
      if (before === null) return refuse({ kind: "cursor-unreadable" });
      const rows = await postgres.query<EventRow & { created_seq: number; now_ms: number }>(
        `SELECT ${EVENT_COLUMNS}, e.created_seq::float8 AS created_seq, ${NOW_MS}
           FROM events e
          WHERE e.created_seq < $1 AND (e.listed OR $3) ORDER BY e.created_seq DESC LIMIT $2`,
        [before, size + 1, all],
      );
      const page = pageOf(rows, size, (row) => row.created_seq);
      const nowMs = rows[0]?.now_ms ?? (await readClock(postgres));
      return ok({ entries: page.entries.map(couponEventOf), next: page.next, nowMs });
    },
    change: async (id, version, decide) =>
      postgres.transaction(async (sql) => {
        const event = await lockEvent(sql, id);
        if (event === null) return refuse({ kind: "no-such-event" });
        if (event.version !== version) return refuse({ kind: "stale-version" });
        const decided = decide(event, await lockLine(sql, id));
        if (!decided.ok) return decided;
        if (decided.value !== event) await updateEvent(sql, decided.value, version);
        return ok({ event: decided.value, nowMs: await readClock(sql) });
      }),
    async issues(id, { size, cursor }) {
      const after = cursorOf(cursor, 0);
      if (after === null) return refuse({ kind: "cursor-unreadable" });
      const rows = await postgres.query<IssueRow>(
        `SELECT ${ISSUE_COLUMNS} FROM coupon_issues i
          WHERE i.event_id = $1 AND i.seq > $2 ORDER BY i.seq LIMIT $3`,
        [id, Math.min(after, SEQ_MAX), size + 1],
      );
      const page = pageOf(rows, size, (row) => row.seq);
      return ok({ entries: page.entries.map(couponIssueOf), next: page.next });
    },
  };
}

/**
 * The same, as people are served: an event is read by the directory, where all who ask in one turn share
 * a reading that begins after the last of them.
 */
export function servedEventStore(
  { postgres, directory }: { readonly postgres: Postgres; readonly directory: EventDirectory },
  preparationOf: (mechanism: Mechanism) => EventPreparation | null,
): EventStore {
  return {
    ...postgresEventStore(postgres, preparationOf),
    async find(id) {
      const known = await directory.read(id);
      return known === null ? null : { event: known.event, nowMs: postgres.clock.nowMs() };
    },
  };
}

/** The greatest integer of the column: a greater cursor has nothing behind it either. */
const SEQ_MAX = 2_147_483_647;

const NOW_MS = "(extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now_ms";

async function readClock(sql: Sql): Promise<number> {
  const rows = await sql.query<{ now_ms: number }>(`SELECT ${NOW_MS}`);
  return rows[0]?.now_ms ?? Number.NaN;
}

async function findEvent(sql: Sql, id: CouponEvent["id"]): Promise<EventReading | null> {
  const rows = await sql.query<EventRow & { now_ms: number }>(
    `SELECT ${EVENT_COLUMNS}, ${NOW_MS} FROM events e WHERE e.id = $1`,
    [id],
  );
  return rows[0] === undefined ? null : { event: couponEventOf(rows[0]), nowMs: rows[0].now_ms };
}

async function insertEvent(sql: Sql, event: CouponEvent): Promise<void> {
  await sql.query(
    `INSERT INTO events (id, name, mechanism, limit_quantity, pace, listed, opens_at, closes_at)
     VALUES ($1, $2, $3, $4, $5, $6, to_timestamp($7 / 1000.0), to_timestamp($8 / 1000.0))`,
    [
      event.id,
      event.name,
      event.mechanism,
      event.limit,
      event.pace,
      event.listed,
      event.opensAtMs,
      event.closesAtMs,
    ],
  );
}

/**
 * After the event's row, as everywhere. The change that comes may open the event again, so its line is
 * not taken as finished: the decider looks anew.
 */
async function lockLine(sql: Sql, id: CouponEvent["id"]): Promise<LineState | null> {
  const rows = await sql.query<LineState>(
    `UPDATE queues SET finished_at = NULL WHERE event_id = $1
     RETURNING halted IS NOT NULL AS halted, retired_at IS NOT NULL AS retired`,
    [id],
  );
  return rows[0] ?? null;
}

async function updateEvent(sql: Sql, event: CouponEvent, version: number): Promise<void> {
  const rows = await sql.query(
    `UPDATE events SET name = $3, limit_quantity = $4, pace = $5, paused = $6, version = $7,
            listed = $8, opens_at = to_timestamp($9 / 1000.0), closes_at = to_timestamp($10 / 1000.0),
            voided_at = CASE WHEN $11 THEN coalesce(voided_at, clock_timestamp()) END
      WHERE id = $1 AND version = $2 RETURNING id`,
    [
      event.id,
      version,
      event.name,
      event.limit,
      event.pace,
      event.paused,
      event.version,
      event.listed,
      event.opensAtMs,
      event.closesAtMs,
      event.voided,
    ],
  );
  if (rows.length !== 1) throw new Error("an event changed although its row was locked");
}

/** One row more than the page was asked for: it tells whether there is a next page. */
function pageOf<Row>(
  rows: readonly Row[],
  size: number,
  cursorOfRow: (row: Row) => number,
): Page<Row> {
  const entries = rows.slice(0, size);
  const last = entries.at(-1);
  return {
    entries,
    next: rows.length > size && last !== undefined ? String(cursorOfRow(last)) : null,
  };
}

/** Null where the text is no cursor of ours: a whole number that JSON carries exactly. */
function cursorOf(cursor: string | null, first: number): number | null {
  if (cursor === null) return first;
  const value = /^\d{1,16}$/.test(cursor) ? Number(cursor) : Number.NaN;
  return Number.isSafeInteger(value) ? value : null;
}
