import { randomBytes } from "node:crypto";
import type { TestContext } from "node:test";
import pg from "pg";
import { EventDirectory } from "../../src/rows/event-directory.ts";
import { migrate } from "../../src/rows/migrate.ts";
import { openPostgres } from "../../src/engines/postgres/open.ts";
import type { PoolOptions, Postgres } from "../../src/engines/postgres/open.ts";
import { testEngine } from "@stampede/launcher/testing";
import { systemTime } from "../../src/engines/time.ts";

export type TestDatabase = {
  readonly url: string;
  readonly postgres: Postgres;
  readonly directory: EventDirectory;
};

/** A migrated database of a test's own, closed and dropped after it. */
export async function openTestDatabase(t: TestContext): Promise<TestDatabase> {
  const url = await createTestDatabase(t);
  const opened = await openSecondInstance(t, url);
  return { url, ...opened };
}

/** Another process's view of the same database: its own pool and its own directory. */
export async function openSecondInstance(
  t: TestContext,
  url: string,
  options: Partial<PoolOptions> = {},
): Promise<{ readonly postgres: Postgres; readonly directory: EventDirectory }> {
  const postgres = await openPostgres({
    url,
    time: systemTime,
    connectionsMax: 8,
    waitersMax: 50_000,
    waitMsMax: 10_000,
    ...options,
  });
  const directory = new EventDirectory(postgres);
  t.after(async () => {
    directory.close();
    await postgres.close();
  });
  return { postgres, directory };
}

/** An empty migrated database; clones a template that the first caller of a process makes. */
export async function createTestDatabase(t: TestContext): Promise<string> {
  template ??= makeTemplate();
  return createEmptyDatabase(t, `TEMPLATE ${await template}`);
}

/** A database before any migration, dropped after the test. */
export async function createEmptyDatabase(t: TestContext, by = ""): Promise<string> {
  const name = `test_${randomBytes(6).toString("hex")}`;
  await onServer(`CREATE DATABASE ${name} ${by}`);
  t.after(async () => onServer(`DROP DATABASE ${name} WITH (FORCE)`));
  return urlOf(name);
}

let template: Promise<string> | null = null;

async function makeTemplate(): Promise<string> {
  // Removed by the runner with the whole server: a process cannot know when its last test has ended.
  const name = `template_${randomBytes(6).toString("hex")}`;
  await onServer(`CREATE DATABASE ${name}`);
  await migrate(urlOf(name), (line) => process.stderr.write(`${line}\n`));
  return name;
}

async function onServer(sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: testEngine("postgres") });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

function urlOf(database: string): string {
  const url = new URL(testEngine("postgres"));
  url.pathname = `/${database}`;
  return url.href;
}
