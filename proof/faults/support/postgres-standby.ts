// A standby of a PostgreSQL of the case's own. What it is told by its primary comes through a proxy, so
// that it can fall behind by exactly what it is not told.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { chmod } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startPostgres } from "@stampede/launcher";
import type { RunningEngine } from "@stampede/launcher";
import { startProxy, until } from "@stampede/launcher/testing";
import type { FaultProxy } from "@stampede/launcher/testing";
import type { Cleaning } from "./cleaning.ts";
import type { PrivateEngine } from "./private-engines.ts";
import { copyFolder } from "./restored-sale.ts";
import { withDatabase } from "./sale.ts";

export type Standby = {
  /** Through which it hears of its primary. */
  readonly link: FaultProxy;
  readonly folder: string;
  readonly engine: RunningEngine;
  /** Waits until it has heard all that was committed when this was called. */
  readonly untilEven: () => Promise<void>;
};

/** From a copy of the stopped primary: the binaries from npm have no other way of making one. */
export async function startStandby(t: Cleaning, primary: PrivateEngine): Promise<Standby> {
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
      const [now] = await ask(primary.url, "SELECT pg_current_wal_lsn()::text AS lsn");
      await until(async () => {
        const question = `SELECT pg_last_wal_replay_lsn() >= '${String(now!["lsn"])}' AS even`;
        return (await ask(engine.url, question))[0]!["even"] === true;
      }, "the standby has heard of it");
    },
  };
}

/** In a session of its own. */
export async function ask(url: string, text: string): Promise<readonly Record<string, unknown>[]> {
  return withDatabase({ databaseUrl: url }, async (client) => {
    return (await client.query<Record<string, unknown>>(text)).rows;
  });
}
