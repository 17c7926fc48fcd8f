// What a connection to PostgreSQL has to be before anybody uses it. The server may be another one than
// the last connection's: after a failover, or behind a proxy.
import { EngineFault } from "@stampede/domain";
import {
  IDLE_IN_TRANSACTION_MS_MAX,
  LOCK_MS_MAX,
  SESSION_REPLY_MS_MAX,
  STATEMENT_MS_MAX,
} from "./driver.ts";
import type { Asking } from "./driver.ts";
import type { Sql } from "./sql.ts";

/** A setting of an engine under which an acknowledged coupon could be lost. */
export class UnsafeEngine extends Error {
  override readonly name = "UnsafeEngine";
}

const UNSAFE_IF_OFF = ["fsync", "full_page_writes", "synchronous_commit"] as const;

const SILENT_MS_MAX = 3_000;

const FACTS = [
  ...UNSAFE_IF_OFF,
  "transaction_read_only",
  "server_version",
  "server_version_num",
  "server_encoding",
] as const;

export type SessionFacts = Readonly<Record<(typeof FACTS)[number], string>>;

/** The first one that ends a silent session (`idle_session_timeout`): a leader that hangs is replaced by it. */
const VERSION_MIN = 14;

/** Columns, as a session has them now; a standby's transactions only read. */
export const SESSION_FACTS = FACTS.map((name) => `current_setting('${name}') AS ${name}`).join(
  ", ",
);

const BEGIN_SESSION = `SELECT ${SESSION_FACTS}, (SELECT count(set_config(name, value, false))
  FROM unnest($1::text[], $2::text[]) AS own (name, value)) AS own`;

/** Settings that are the session's own. */
export type SessionSettings = Readonly<Record<string, string>>;

export const POOL_SETTINGS: SessionSettings = {
  statement_timeout: `${STATEMENT_MS_MAX}ms`,
  lock_timeout: `${LOCK_MS_MAX}ms`,
  idle_in_transaction_session_timeout: `${IDLE_IN_TRANSACTION_MS_MAX}ms`,
};

/** Of a session that holds a lead: one that says nothing for so long is ended. */
export const LEADER_SETTINGS: SessionSettings = { idle_session_timeout: `${SILENT_MS_MAX}ms` };

/**
 * Sets what a session runs under, by a statement, so that nothing in the address, the role or the
 * database says otherwise, and looks whether its server may be used: one round trip. Rejects where it
 * may not, or with what ended the connection.
 */
export async function beginSession(session: Asking, settings: SessionSettings): Promise<void> {
  const own = Object.entries({
    default_transaction_isolation: "read committed",
    // The driver reads and writes nothing else.
    client_encoding: "UTF8",
    ...settings,
  });
  const { rows } = await session.query<SessionFacts>({
    text: BEGIN_SESSION,
    values: [own.map(([name]) => name), own.map(([, value]) => value)],
    query_timeout: SESSION_REPLY_MS_MAX,
  });
  const refusal = serverRefusal(rows[0]);
  if (refusal !== null) throw refusal;
}

/** Why a server may not be used; where its settings are unsafe, the cause says what to change. */
export function serverRefusal(facts: SessionFacts | undefined): EngineFault | null {
  if (facts === undefined) return refused(new Error("PostgreSQL did not tell its settings"));
  const impossible = versionRefusal(facts) ?? encodingRefusal(facts);
  if (impossible !== null) return refused(new UnsafeEngine(impossible));
  const unsafe = UNSAFE_IF_OFF.filter((name) => facts[name] === "off");
  if (unsafe.length > 0) {
    return refused(
      new UnsafeEngine(
        `PostgreSQL runs with ${unsafe.join(", ")} off and could lose coupons that were acknowledged. ` +
          `Set ${unsafe.map((name) => `${name} = on`).join(", ")} in postgresql.conf (or by ALTER ` +
          "SYSTEM, also for the role and the database), reload, and start again what did not start.",
      ),
    );
  }
  if (facts.transaction_read_only === "off") return null;
  return refused(
    new Error(
      "PostgreSQL only reads: it is a standby, or default_transaction_read_only is on. Promote it, " +
        "set it to off, or let DATABASE_URL lead to the primary.",
    ),
  );
}

export function versionRefusal({
  server_version_num,
  server_version,
}: Pick<SessionFacts, "server_version_num" | "server_version">): string | null {
  if (Number(server_version_num) >= VERSION_MIN * 10_000) return null;
  return (
    `PostgreSQL ${VERSION_MIN} is the oldest that works, and this is ${server_version}. ` +
    `Upgrade it to ${VERSION_MIN} or newer, or let DATABASE_URL name one that is.`
  );
}

export function encodingRefusal({
  server_encoding,
}: Pick<SessionFacts, "server_encoding">): string | null {
  if (server_encoding === "UTF8") return null;
  return (
    `PostgreSQL keeps this database in ${server_encoding}, which cannot hold every name. Make one in ` +
    "UTF-8: CREATE DATABASE stampede ENCODING 'UTF8' TEMPLATE template0 (with a LOCALE that allows " +
    "it, such as 'C'), and name it in DATABASE_URL."
  );
}

/** A pooler that gives a server's session to others between two transactions, whatever its name. */
export const SHARED_SESSIONS =
  "a pooler stands before PostgreSQL and gives our session to others between two transactions " +
  "(PgBouncer with pool_mode = transaction or statement, Supavisor at port 6543, a host of Neon with " +
  "-pooler in its name, pgcat or Odyssey in transaction mode), so timeouts and locks do not hold. Set " +
  "pool_mode = session for this database, or let DATABASE_URL lead to PostgreSQL itself";

function refused(cause: Error): EngineFault {
  return new EngineFault("postgres", "not-applied", cause.message, { cause });
}

export type ConnectionRoom = {
  /** What the server lets clients open, all of them together. */
  readonly allowed: number;
  /** What all of them have open now. */
  readonly open: number;
};

/** What others' sessions are is hidden from a plain role, but not that they are there. */
export async function readConnectionRoom(sql: Sql): Promise<ConnectionRoom> {
  const rows = await sql.query<ConnectionRoom>(
    `SELECT (current_setting('max_connections')::int
             - current_setting('superuser_reserved_connections')::int
             - coalesce(current_setting('reserved_connections', true), '0')::int)::float8 AS allowed,
            (SELECT count(*) FROM pg_stat_activity
              WHERE datid IS NOT NULL
                AND coalesce(backend_type, 'client backend') = 'client backend')::float8 AS open`,
  );
  return rows[0] ?? { allowed: Infinity, open: 0 };
}
