// Which schema an installation lives in is what its search path says: its tables, the list of its migrations
// and its leaders. Each test names what turns it red.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { missing, until } from "@stampede/launcher/testing";
import { runner } from "node-pg-migrate";
import pg from "pg";
import type { Leadership } from "../../src/engines/postgres/leadership.ts";
import { migrate } from "../../src/rows/migrate.ts";
import { createEmptyDatabase, openSecondInstance } from "../support/database.ts";
import { candidateOn, insertEvent, openClient } from "../support/postgres.ts";

const FOLDER = join(import.meta.dirname, "../../src/rows/migrations");

function pathTo(url: string, path: string): string {
  const other = new URL(url);
  other.searchParams.set("options", `-c search_path=${path}`);
  return other.href;
}

async function tablesOf(t: TestContext, url: string): Promise<readonly string[]> {
  const client = await openClient(t, url);
  const { rows } = await client.query<{ name: string }>(
    `SELECT schemaname || '.' || tablename AS name FROM pg_tables
      WHERE tablename IN ('events', 'schema_migrations') ORDER BY 1`,
  );
  return rows.map(({ name }) => name);
}

async function candidate(t: TestContext, url: string): Promise<Leadership> {
  const { postgres } = await openSecondInstance(t, url);
  const one = candidateOn(t, postgres);
  t.after(async () => one.close());
  return one;
}

const silent = (): void => undefined;

describe("the schemas of one database", { skip: missing("postgres") }, () => {
  // Red when the list of migrations is in public wherever the tables are: the second one finds all done.
  // Red when both ask for one lock (`INSTALLATION` in leadership.ts): one of them is never decided.
  test("are installations of their own, each with its tables and its leader", async (t) => {
    const url = await createEmptyDatabase(t);
    const client = await openClient(t, url);
    await client.query("CREATE SCHEMA one; CREATE SCHEMA two");
    const urls = [url, pathTo(url, "one"), pathTo(url, "two")];
    for (const each of [...urls, ...urls]) await migrate(each, silent);
    const schemas = ["one", "public", "two"];
    assert.deepEqual(
      await tablesOf(t, url),
      schemas.flatMap((schema) => [`${schema}.events`, `${schema}.schema_migrations`]),
    );
    const leaders = await Promise.all(urls.map(async (each) => candidate(t, each)));
    await until(() => leaders.every((one) => one.isLeader()), "each has its leader");
  });

  test("is the one that the session finds where a new one stands before it", async (t) => {
    const url = await createEmptyDatabase(t);
    await migrate(url, silent);
    const client = await openClient(t, url);
    await client.query("CREATE SCHEMA mine");
    await migrate(pathTo(url, "mine,public"), silent);
    assert.deepEqual(await tablesOf(t, url), ["public.events", "public.schema_migrations"]);
  });

  // Red when an installation that began before the path ruled the list is taken for a new one.
  test("keep what began with its list of migrations in public", async (t) => {
    const url = await createEmptyDatabase(t);
    const client = await openClient(t, url);
    await client.query("CREATE SCHEMA app");
    await runner({
      databaseUrl: pathTo(url, "app"),
      dir: FOLDER,
      direction: "up",
      count: 5,
      migrationsTable: "schema_migrations",
      logger: { info: silent, warn: silent, error: silent },
    });
    await migrate(pathTo(url, "app"), silent);
    await migrate(pathTo(url, "app"), silent);
    assert.deepEqual(await tablesOf(t, url), ["app.events", "public.schema_migrations"]);
    const { rows } = await client.query("SELECT 1 FROM public.schema_migrations");
    assert.equal(rows.length, readdirSync(FOLDER).length);
  });

  test("may be served by a role that owns none of the tables, with the rights that are told", async (t) => {
    const url = await createEmptyDatabase(t);
    await migrate(url, silent);
    const client = await openClient(t, url);
    const role = `serves_${randomBytes(4).toString("hex")}`;
    await client.query(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`);
    await client.query(`GRANT USAGE ON SCHEMA public TO ${role}`);
    const rights = "SELECT, INSERT, UPDATE, DELETE";
    await client.query(`GRANT ${rights} ON ALL TABLES IN SCHEMA public TO ${role}`);
    const as = new URL(url);
    as.username = role;
    as.password = "secret";
    await migrate(as.href, silent);
    const serving = new pg.Client({ connectionString: as.href });
    await serving.connect();
    await insertEvent(serving, 1);
    await serving.end();
    await client.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  });

  test("of another program is left alone: whoever has a table of that name there is told", async (t) => {
    const url = await createEmptyDatabase(t);
    const client = await openClient(t, url);
    await client.query("CREATE TABLE events (other integer)");
    await assert.rejects(migrate(url, silent), /"events" already exists/);
    await client.query("CREATE SCHEMA app");
    await migrate(pathTo(url, "app,public"), silent);
    assert.deepEqual(await tablesOf(t, url), [
      "app.events",
      "app.schema_migrations",
      "public.events",
      "public.schema_migrations",
    ]);
  });
});
