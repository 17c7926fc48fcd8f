// P10: a PostgreSQL that answers COMMIT before the commit is on its disk is refused at the start, and
// the line says what to change. Red when `refuseUnsafeSettings` (postgres/settings.ts) is not called.
import assert from "node:assert/strict";
import { test } from "node:test";
import pg from "pg";
import { startInstance, startPrivateEngines } from "./support/private-engines.ts";
import { procMissing } from "./support/processes.ts";
import { faultRow } from "./support/row.ts";
import { engineMissing } from "./support/sale.ts";

const unsafe = [
  {
    setting: "fsync",
    plant: "ALTER SYSTEM SET fsync = off",
    mend: "ALTER SYSTEM RESET fsync",
  },
  {
    setting: "synchronous_commit",
    plant: "ALTER DATABASE stampede SET synchronous_commit = off",
    mend: "ALTER DATABASE stampede RESET synchronous_commit",
  },
] as const;

test(
  "P10: a PostgreSQL that may lose what it acknowledged is refused at the start",
  { skip: engineMissing || procMissing },
  async (t) => {
    const row = faultRow(t, {
      row: "P10",
      mechanism: "all",
      fault: "PostgreSQL with fsync off, and with synchronous_commit off, at start-up",
    });
    const engines = await startPrivateEngines(t);
    for (const { setting, plant, mend } of unsafe) {
      await administer(engines.postgres.url, plant);
      row.injected();
      await assert.rejects(startInstance(t, engines), (error: Error) => {
        assert.match(error.message, new RegExp(`PostgreSQL runs with ${setting} off`));
        assert.match(error.message, new RegExp(`Set ${setting} = on`));
        return true;
      });
      await administer(engines.postgres.url, mend);
    }
    // And once it is mended the same start succeeds: it was the setting that was refused.
    const program = await startInstance(t, engines);
    await program.stop();
  },
);

async function administer(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
    await client.query("SELECT pg_reload_conf()");
  } finally {
    await client.end();
  }
}
