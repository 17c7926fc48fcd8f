import { join } from "node:path";
import { runner } from "node-pg-migrate";
import { withAdvice } from "../engines/postgres/advice.ts";
import { openPatientClient } from "../engines/postgres/driver.ts";
import type { Asking } from "../engines/postgres/driver.ts";
import { postgresFault, sqlState } from "../engines/postgres/faults.ts";
import { beginning } from "../engines/postgres/renewable-pool.ts";

/** A change of the schema may take its time; its wait for a table that is in use may not. */
const SETTINGS = {
  statement_timeout: "0",
  lock_timeout: "5000ms",
  idle_in_transaction_session_timeout: "0",
};

/**
 * Brings the schema up to this build's, forward only. Of processes that start together one migrates
 * and the others wait for it. Rejects with what to change where that cannot be.
 */
export async function migrate(url: string, log: (line: string) => void): Promise<void> {
  try {
    await run(url, log);
  } catch (error) {
    throw withAdvice(sqlState(error) === null ? error : postgresFault(error, "not-applied"));
  }
}

async function run(url: string, log: (line: string) => void): Promise<void> {
  const client = await openForMigrations(url);
  try {
    const { home, migrationsIn } = await placeOf(client);
    await runner({
      dbClient: client,
      dir: join(import.meta.dirname, "migrations"),
      direction: "up",
      schema: home,
      migrationsSchema: migrationsIn,
      migrationsTable: "schema_migrations",
      advisoryLockMode: "wait",
      logger: { info: () => undefined, warn: log, error: log },
    });
  } finally {
    await client.end();
  }
}

/** A session that may change tables; the caller ends it. */
export async function openForMigrations(url: string): ReturnType<typeof openPatientClient> {
  try {
    return await openPatientClient(url, beginning(SETTINGS));
  } catch (error) {
    throw postgresFault(error, "not-applied");
  }
}

/** Schemas: where the tables are or shall be, and where it is written down which migrations have run. */
export type Place = {
  readonly home: string;
  readonly migrationsIn: string;
  /** Whether there are any. */
  readonly begun: boolean;
};

/** The tables of an installation are those that the session finds; a new one is made where it makes tables. */
const FIND_PLACE = `
  SELECT n.nspname AS found, current_schema() AS current, current_setting('search_path') AS path,
         current_user AS role,
         to_regclass(quote_ident(coalesce(n.nspname, current_schema())) || '.schema_migrations')
           IS NOT NULL AS own,
         to_regclass('public.schema_migrations') IS NOT NULL AS public,
         has_schema_privilege(coalesce(n.nspname, current_schema()), 'CREATE') AS may_create
    FROM (SELECT) one
    LEFT JOIN pg_class c ON c.oid = to_regclass('coupon_issues')
    LEFT JOIN pg_namespace n ON n.oid = c.relnamespace`;

type Found = {
  readonly found: string | null;
  readonly current: string | null;
  readonly path: string;
  readonly role: string;
  readonly own: boolean | null;
  readonly public: boolean;
  readonly may_create: boolean | null;
};

/** Rejects with what to change where no tables can be made. */
export async function placeOf(client: Asking): Promise<Place> {
  const { rows } = await client.query<Found>(FIND_PLACE);
  const [row] = rows;
  const home = row?.found ?? row?.current ?? null;
  if (row === undefined || home === null) {
    throw new Error(
      `PostgreSQL finds no schema by search_path = ${row?.path ?? ""}. Make it (CREATE SCHEMA …), let ` +
        "this role use it, or name another one in DATABASE_URL or for the role.",
    );
  }
  // Installations that began by a search_path of their own before this was looked at have their tables
  // there and this one list in public: it stays theirs.
  const begun = row.found !== null;
  if (row.own !== true && begun && row.public) return { home, migrationsIn: "public", begun };
  if (row.own !== true && row.may_create !== true) {
    throw new Error(
      `PostgreSQL does not let ${row.role} make tables in schema ${home}. As its owner: ` +
        `GRANT USAGE, CREATE ON SCHEMA ${home} TO ${row.role}.`,
    );
  }
  return { home, migrationsIn: home, begun };
}
