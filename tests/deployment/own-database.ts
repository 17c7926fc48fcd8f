import { randomBytes } from "node:crypto";
import pg from "pg";
import type { Cleanup } from "./processes.ts";

/** Runs statements with a session of its own. */
export async function ask(url: string, statement: string): Promise<pg.QueryResult> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  await client.connect();
  try {
    return await client.query(statement);
  } finally {
    await client.end();
  }
}

/** A new database on the server, gone at the end. */
export async function ownDatabase(t: Cleanup, serverUrl: string): Promise<string> {
  const name = `stampede_test_${randomBytes(6).toString("hex")}`;
  await ask(serverUrl, `CREATE DATABASE ${name}`);
  t.after(() => ask(serverUrl, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`));
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return url.href;
}
