// Another session holds an event's row, or the coupons' table: whoever writes by the database meanwhile
// waits for its lock.
import { until } from "@stampede/launcher/testing";
import type pg from "pg";
import type { Program } from "../../support/program.ts";
import { withDatabase } from "./sale.ts";
import type { Sale } from "./sale.ts";

/**
 * Runs while the sale's row is locked. `untilWaited` resolves when a session of the service waits for
 * it. What `run` returns is awaited before the row is free: a claim that waits for it goes in an object.
 */
export async function whileRowHeld<Value>(
  { program, eventId }: Sale,
  run: (untilWaited: () => Promise<void>) => Promise<Value>,
): Promise<Value> {
  return withDatabase(program, async (holder) => {
    await holder.query("BEGIN");
    await holder.query("SELECT 1 FROM events WHERE id = $1 FOR UPDATE", [eventId]);
    const value = await run(async () =>
      until(async () => (await blockedSessions(program)) > 0, "a claim waits for the event's row"),
    );
    await holder.query("ROLLBACK");
    return value;
  });
}

/** Sessions of the service that wait for a lock; in a session of its own each time: `pg_stat_activity` would not change within the holder's. */
export async function blockedSessions(program: Program): Promise<number> {
  return withDatabase(program, async (client) => {
    const { rows } = await client.query<{ blocked: number }>(
      `SELECT count(*)::integer AS blocked FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'stampede'
          AND cardinality(pg_blocking_pids(pid)) > 0`,
    );
    return rows[0]!.blocked;
  });
}

/** Runs while the table is locked and so many writers hold their event's row and wait for it. */
export async function withWritesHeld<Value>(
  program: Program,
  writers: number,
  run: (client: pg.Client) => Promise<Value>,
): Promise<Value> {
  return withDatabase(program, async (client) => {
    await client.query("BEGIN");
    await client.query("LOCK TABLE coupon_issues IN EXCLUSIVE MODE");
    await until(
      async () => (await waitingWriters(client)).length >= writers,
      `${writers} writers wait for the table`,
    );
    const value = await run(client);
    await client.query("ROLLBACK");
    return value;
  });
}

/** Sessions that wait to write a row. (`pg_stat_activity` would not change within a transaction.) */
export async function waitingWriters(client: pg.Client): Promise<readonly number[]> {
  const { rows } = await client.query<{ pid: number }>(
    `SELECT pid FROM pg_locks
      WHERE NOT granted AND relation = 'coupon_issues'::regclass AND mode = 'RowExclusiveLock'`,
  );
  return rows.map(({ pid }) => pid);
}
