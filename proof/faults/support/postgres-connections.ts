// Every connection that PostgreSQL has, taken by sessions of the test.
import assert from "node:assert/strict";
import { until } from "@stampede/launcher/testing";
import pg from "pg";

/**
 * Sessions of ours, as many as there are connections, the service's ended until it has none. They
 * are added to `holders`, whoever fails; end them to give the connections back.
 */
export async function takeAllConnections(url: string, holders: pg.Client[]): Promise<void> {
  const first = await connected(url);
  holders.push(first);
  await until(async () => {
    await first.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE backend_type = 'client backend' AND application_name <> 'holder'`,
    );
    for (;;) {
      try {
        holders.push(await connected(url));
      } catch (error) {
        assert.equal((error as { code?: string }).code, "53300");
        break;
      }
    }
    // By what is ours: a session that is about to begin has a connection and is in no view yet.
    const { rows } = await first.query<{ all: boolean }>(
      `SELECT count(*) = current_setting('max_connections')::integer AS all
        FROM pg_stat_activity WHERE application_name = 'holder'`,
    );
    return rows[0]!.all;
  }, "the service has no session left");
}

async function connected(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: "holder" });
  client.on("error", () => undefined);
  try {
    await client.connect();
    return client;
  } catch (error) {
    await client.end().catch(() => undefined);
    throw error;
  }
}
