// P11: PostgreSQL fails over to an asynchronous standby that is behind. What the standby had not heard is
// lost, as from an older copy, and the steps of docs/operating.md are the same: v1 and v2 sell what is
// left, with Redis rebuilt from the rows; v3 decides its log again, with the same winners.
//
// Red as operations-restored.fault.ts, whose end this shares.
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { chmod } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { startPostgres } from "@stampede/infrastructure/embedded";
import type { RunningEngine } from "@stampede/infrastructure/embedded";
import pg from "pg";
import { startOnPrivateEngines } from "./support/private-engines.ts";
import type { PrivateEngine } from "./support/private-engines.ts";
import { procMissing } from "./support/processes.ts";
import { startProxy } from "./support/proxy.ts";
import type { FaultProxy } from "./support/proxy.ts";
import {
  copyFolder,
  documentedSql,
  finishRestored,
  openSales,
  sellAll,
} from "./support/restored-sale.ts";
import type { At } from "./support/restored-sale.ts";
import { engineMissing, until, withDatabase } from "./support/sale.ts";

test(
  "P11: PostgreSQL fails over to a standby that is behind",
  { skip: engineMissing || procMissing },
  async (t) => {
    const at = await startOnPrivateEngines(t);
    const standby = await startStandby(t, at.postgres);
    const fault = "a standby that was cut off in mid-sale takes the place of PostgreSQL";
    const sales = await openSales(t, at.program, { row: "P11", fault });
    const before = await sellAll(sales, async () => {
      await standby.untilEven();
      standby.link.set({ blackhole: true });
    });
    await failOver(at, standby);
    await finishRestored(at, sales, before);
  },
);

type Standby = {
  /** Through which it hears of its primary. */
  readonly link: FaultProxy;
  readonly folder: string;
  readonly engine: RunningEngine;
  /** Waits until it has heard all that was committed when this was called. */
  readonly untilEven: () => Promise<void>;
};

/** From a copy of the stopped primary: the binaries from npm have no other way of making one. */
async function startStandby(
  t: Pick<TestContext, "after">,
  primary: PrivateEngine,
): Promise<Standby> {
  const { port, username, password } = new URL(primary.url);
  const link = await startProxy(t, { port: Number(port) });
  const dataFolder = mkdtempSync(join(tmpdir(), "stampede-standby-"));
  await chmod(dataFolder, 0o711);
  const folder = join(dataFolder, "postgres");
  await primary.stop();
  copyFolder(primary.folder, folder);
  await primary.start();
  writeFileSync(join(folder, "data", "standby.signal"), "");
  const conninfo = `host=127.0.0.1 port=${link.port} user=${username} password=${password}`;
  const settings = { max_connections: "100", primary_conninfo: conninfo };
  const engine = await startPostgres({ dataFolder, settings });
  t.after(async () => {
    await engine.stop();
    rmSync(dataFolder, { recursive: true, force: true });
  });
  return {
    link,
    folder,
    engine,
    async untilEven() {
      const [now] = await query(primary.url, "SELECT pg_current_wal_lsn()::text AS lsn");
      await until(async () => {
        const question = `SELECT pg_last_wal_replay_lsn() >= '${String(now!["lsn"])}' AS even`;
        return (await query(engine.url, question))[0]!["even"] === true;
      }, "the standby has heard of it");
    },
  };
}

/** The steps of docs/operating.md; the standby gets the primary's address. */
async function failOver({ program, postgres }: At, standby: Standby): Promise<void> {
  await program.stop();
  await postgres.kill();
  await query(standby.engine.url, "SELECT pg_promote()");
  await standby.engine.stop();
  rmSync(join(postgres.folder, "data"), { recursive: true });
  renameSync(join(standby.folder, "data"), join(postgres.folder, "data"));
  await postgres.start();
  await withDatabase(program, async (client) => client.query(documentedSql()));
  await program.restart();
}

async function query(url: string, text: string): Promise<readonly Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}
