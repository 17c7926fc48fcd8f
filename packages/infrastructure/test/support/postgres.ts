// What the tests of the PostgreSQL layer share: plain sessions beside the code under test, which hold
// locks, look, and end other sessions.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import type { TestContext } from "node:test";
import { EngineFault, parseEventId } from "@stampede/domain";
import type { EventId } from "@stampede/domain";
import { until } from "@stampede/launcher/testing";
import pg from "pg";
import { leadership } from "../../src/engines/postgres/leadership.ts";
import type { Leadership } from "../../src/engines/postgres/leadership.ts";
import type { Postgres } from "../../src/engines/postgres/open.ts";

/** A session without any setting of ours; ended after the test. */
export async function openClient(t: TestContext, url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  // Tests end sessions on purpose; whoever uses one of them learns it from the statement.
  client.on("error", () => undefined);
  await client.connect();
  t.after(async () => client.end());
  return client;
}

export async function pidOf(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
  return rows[0]!.pid;
}

/** Whether this session waits for a lock that another one holds at this moment. */
export async function isBlocked(observer: pg.Client, pid: number): Promise<boolean> {
  const { rows } = await observer.query<{ blocked: boolean }>(
    "SELECT cardinality(pg_blocking_pids($1)) > 0 AS blocked",
    [pid],
  );
  return rows[0]!.blocked;
}

/** The sessions of this database that wait for a lock, with what they run. */
export async function blockedSessions(
  observer: pg.Client,
): Promise<{ readonly pid: number; readonly query: string }[]> {
  const { rows } = await observer.query<{ pid: number; query: string }>(
    `SELECT pid, query FROM pg_stat_activity
      WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0
      ORDER BY query_start`,
  );
  return rows;
}

/** An open event of v1, written past the service. */
export async function insertEvent(client: pg.Client, limit: number): Promise<EventId> {
  const id = parseEventId(`event-${randomBytes(5).toString("hex")}`);
  assert.ok(id !== null);
  await client.query(
    `INSERT INTO events (id, name, mechanism, limit_quantity, opens_at)
     VALUES ($1, 'A test event', 'row-lock', $2, clock_timestamp())`,
    [id, limit],
  );
  return id;
}

/** What is stored of an event: the counter and the rows that it counts. */
export type Stored = {
  readonly issued: number;
  readonly seqs: readonly number[];
  readonly persons: readonly string[];
};

export async function readStored(client: pg.Client, eventId: EventId): Promise<Stored> {
  const { rows } = await client.query<Stored>(
    `SELECT e.issued,
            coalesce(array_agg(i.seq ORDER BY i.seq) FILTER (WHERE i.seq IS NOT NULL), '{}') AS seqs,
            coalesce(array_agg(i.user_id ORDER BY i.seq) FILTER (WHERE i.seq IS NOT NULL), '{}') AS persons
       FROM events e LEFT JOIN coupon_issues i ON i.event_id = e.id
      WHERE e.id = $1 GROUP BY e.id`,
    [eventId],
  );
  return rows[0]!;
}

/** Waits until a candidate for leadership was told that another one has the lock. */
export async function untilRefusedLead(observer: pg.Client): Promise<void> {
  await until(async () => {
    const { rows } = await observer.query(
      `SELECT 1 FROM pg_stat_activity a
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'idle'
          AND query LIKE '%pg_try_advisory_lock%'
          AND NOT EXISTS (SELECT 1 FROM pg_locks l WHERE l.pid = a.pid AND locktype = 'advisory')`,
    );
    return rows.length > 0;
  }, "a candidate is refused");
}

/** Asks for the lead of a duty, and keeps it until it is closed. */
export function candidateOn(t: TestContext, postgres: Postgres): Leadership {
  return leadership(postgres, {
    duty: "a test's duty",
    lead: async (signal) =>
      new Promise((resolve) => signal.addEventListener("abort", () => resolve())),
    onError: (error) => t.diagnostic(String(error)),
  });
}

/** The fault that a promise rejects with; fails where it does not. */
export async function faultOf(promise: Promise<unknown>): Promise<EngineFault> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  assert.ok(
    "error" in outcome && outcome.error instanceof EngineFault,
    `an EngineFault, not ${JSON.stringify(outcome)}`,
  );
  return outcome.error;
}

/** The numbers from 1 to `last`. */
export function upTo(last: number): number[] {
  return Array.from({ length: last }, (_, n) => n + 1);
}
