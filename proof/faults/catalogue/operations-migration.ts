// O3: a new build with a migration starts while people claim, and somebody's long transaction keeps
// the migration from its lock. It may hold up everybody behind it no longer than its `lock_timeout`;
// the old build goes on serving, and the new one migrates as soon as it can.
//
// Red when the migration waits for ever (`lock_timeout` in rows/migrate.ts).
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort, serverNodeFlags } from "@stampede/launcher";
import { until } from "@stampede/launcher/testing";
import type { Program } from "../../support/program.ts";
import type { FaultCase, Stage } from "../case.ts";
import { finish } from "../finish.ts";
import { MECHANISMS } from "../mechanisms.ts";
import { makeOtherBuild } from "../support/other-build.ts";
import { claimUntilAnswered, openSale, people, withDatabase } from "../support/sale.ts";
import type { Sale } from "../support/sale.ts";

const LIMIT = 120;
const PEOPLE = 160;
const SPREAD_MS = 9_000;
const DEADLINE_MS = 40_000;
/** The migration's `lock_timeout`, and what a busy machine adds. */
const LOCK_MS_MAX = 5_000 + 1_000;

const GAVE_UP = "a migration gave up its lock";

export const migrationCase: FaultCase = {
  id: "O3",
  mechanisms: MECHANISMS,
  injects: "a migration waits for a table that a long transaction of somebody else holds",
  holds: "it holds nobody up for longer than its lock_timeout, and migrates as soon as it can",
  runs: "all",
  expects: [GAVE_UP],
  place: "shared",
  // The database has a column more afterwards.
  fresh: true,
  async run(stage) {
    const { program } = stage.at;
    const build = newBuild(stage);
    const sales: Sale[] = [];
    for (const mechanism of stage.mechanisms) {
      sales.push(await openSale(program, { mechanism, limit: LIMIT }));
    }
    const options = { spreadMs: SPREAD_MS, deadlineMs: DEADLINE_MS };
    const crowds = sales.map(async (sale) => claimUntilAnswered(sale, people(PEOPLE), options));
    const waitedMs = await withDatabase(program, async (client) => {
      await client.query("BEGIN");
      await client.query("SELECT count(*) FROM events");
      const start = await startBuild(stage, build, program);
      await until(async () => (await migrating(program)) === 1, "the migration waits");
      const fromMs = performance.now();
      stage.injected();
      assert.equal(await start.exited, 1, "it gives up and says so");
      const untilMs = performance.now();
      await client.query("ROLLBACK");
      return untilMs - fromMs;
    });
    stage.met(GAVE_UP);
    assert.ok(waitedMs <= LOCK_MS_MAX, `it held everybody up for ${Math.round(waitedMs)} ms`);
    const next = await startBuild(stage, build, program);
    await next.ready();
    for (const [n, sale] of sales.entries()) await finish(stage, sale, await crowds[n]!);
  },
};

/** This build with one migration more, one that needs the events for itself. */
function newBuild({ t }: Stage): string {
  const folder = makeOtherBuild(t, []);
  const migrations = join(folder, "packages", "infrastructure", "src", "rows", "migrations");
  writeFileSync(
    join(migrations, "9999_later.sql"),
    "ALTER TABLE events ADD COLUMN later integer NOT NULL DEFAULT 0;\n",
  );
  return folder;
}

async function startBuild(
  { t }: Stage,
  folder: string,
  program: Program,
): Promise<{ readonly exited: Promise<number | null>; readonly ready: () => Promise<void> }> {
  const { PATH = "", HOME = "" } = process.env;
  const port = await freePort();
  const main = join(folder, "packages", "api", "src", "main.ts");
  const child = spawn(process.execPath, [...serverNodeFlags, main], {
    cwd: folder,
    stdio: "ignore",
    env: {
      PATH,
      HOME,
      HOST: "127.0.0.1",
      PORT: String(port),
      DATABASE_URL: program.databaseUrl,
      REDIS_URL: program.redisUrl,
      KAFKA_BROKERS: program.brokers,
      ADMIN_TOKEN: program.adminToken,
    },
  });
  const exited = once(child, "exit").then(([code]) => code as number | null);
  t.after(async () => {
    child.kill("SIGKILL");
    await exited;
  });
  const ready = async (): Promise<void> =>
    until(async () => {
      // Until it listens there is nobody to answer.
      const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => null);
      return answer?.status === 200;
    }, "the new build serves");
  return { exited, ready };
}

/** Sessions of a migration that wait for a lock. */
async function migrating(program: Program): Promise<number> {
  return withDatabase(program, async (client) => {
    const { rowCount } = await client.query(
      `SELECT 1 FROM pg_stat_activity WHERE datname = current_database()
          AND application_name = 'stampede-migrate' AND cardinality(pg_blocking_pids(pid)) > 0`,
    );
    return rowCount ?? 0;
  });
}
