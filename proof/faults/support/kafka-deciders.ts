// Deciders in processes of their own beside one at the door, each a database user of its own, so that
// PostgreSQL can tell who did what.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { until } from "@stampede/launcher/testing";
import type pg from "pg";
import { startProgram } from "../../support/program.ts";
import type { Program } from "../../support/program.ts";
import type { Cleaning } from "./cleaning.ts";
import { continueTree, stopTree } from "./processes.ts";
import { withDatabase } from "./sale.ts";
import type { Sale } from "./sale.ts";

export type DeciderProcess = {
  readonly program: Program;
  /** Its user in the database. */
  readonly user: string;
  /** SIGSTOP: it keeps its sessions, its locks and what it has in its hands. */
  readonly freeze: () => void;
  /** SIGCONT. */
  readonly thaw: () => void;
};

/** Another process on the same engines, ROLE=decider; resolves when it serves `/readyz`. */
export async function startDecider(
  t: Cleaning,
  door: Program,
  /** Its way to the database. */
  through: (databaseUrl: string) => string = (databaseUrl) => databaseUrl,
): Promise<DeciderProcess> {
  const user = `decider_${randomBytes(5).toString("hex")}`;
  const url = new URL(door.databaseUrl);
  url.username = user;
  url.password = user;
  await withDatabase(door, async (client) => {
    await client.query(`CREATE ROLE ${user} LOGIN SUPERUSER PASSWORD '${user}'`);
  });
  const settings = { ROLE: "decider", DATABASE_URL: through(url.href) };
  const program = await startProgram(t, settings).catch(async (error: unknown) => {
    await withDatabase(door, async (client) => client.query(`DROP ROLE ${user}`));
    throw error;
  });
  return {
    program,
    user,
    freeze: () => stopTree(program.pid),
    thaw: () => continueTree(program.pid),
  };
}

/** Sessions of a decider, as many as fit the condition. */
async function sessions(
  client: pg.Client,
  decider: DeciderProcess,
  condition: string,
): Promise<number> {
  const { rowCount } = await client.query(
    `SELECT 1 FROM pg_stat_activity WHERE usename = $1 AND (${condition})`,
    [decider.user],
  );
  return rowCount ?? 0;
}

/** Waits until the decider waits for a lock in its transaction. */
export async function untilBlocked(sale: Sale, decider: DeciderProcess): Promise<void> {
  await withDatabase(sale.program, async (client) => {
    const blocked = "cardinality(pg_blocking_pids(pid)) > 0 AND xact_start IS NOT NULL";
    await until(
      async () => (await sessions(client, decider, blocked)) > 0,
      `${decider.user} waits for the event's row`,
    );
  });
}

/** Freezes the decider between two transactions. */
export async function freezeBetween(sale: Sale, decider: DeciderProcess): Promise<void> {
  await withDatabase(sale.program, async (client) => {
    await until(async () => {
      decider.freeze();
      if ((await sessions(client, decider, "xact_start IS NOT NULL")) === 0) return true;
      decider.thaw();
      return false;
    }, `${decider.user} is between two transactions`);
  });
}

/** Ends the session that makes the decider the leader: another one may lead at once. */
export async function endLeadership(sale: Sale, decider: DeciderProcess): Promise<void> {
  await withDatabase(sale.program, async (client) => {
    const { rowCount } = await client.query(
      `SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid
        WHERE a.usename = $1 AND l.locktype = 'advisory'
          AND l.classid = hashtext('stampede')::bigint & 4294967295
          AND l.objid = hashtext('decider')::bigint & 4294967295`,
      [decider.user],
    );
    assert.equal(rowCount, 1, `${decider.user} leads`);
  });
}

/** Runs while this session holds the event's row; whoever decides waits behind it. */
export async function whileHeld<Value>(sale: Sale, run: () => Promise<Value>): Promise<Value> {
  return withDatabase(sale.program, async (client) => {
    await client.query("BEGIN");
    await client.query("SELECT 1 FROM events WHERE id = $1 FOR UPDATE", [sale.eventId]);
    const value = await run();
    await client.query("ROLLBACK");
    return value;
  });
}
