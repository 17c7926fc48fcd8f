// O3: a new build with a migration starts while people claim, and somebody's long transaction keeps
// the migration from its lock. It may hold up everybody behind it no longer than its `lock_timeout`;
// the old build goes on serving, and the new one migrates as soon as it can.
//
// Red when the migration waits for ever (`lock_timeout` in postgres/migrate.ts).
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { freePort, serverNodeFlags, testEngine } from "@stampede/infrastructure/embedded";
import type { Attempt } from "@stampede/lab";
import { startProgram } from "../support/program.ts";
import type { Program } from "../support/program.ts";
import { endSale } from "./support/operations.ts";
import { faultRow } from "./support/row.ts";
import {
  claimUntilAnswered,
  engineMissing,
  MECHANISMS,
  openSale,
  people,
  until,
  withDatabase,
} from "./support/sale.ts";
import type { Sale } from "./support/sale.ts";

const REPOSITORY = join(import.meta.dirname, "..", "..");
const LIMIT = 120;
const PEOPLE = 160;
const SPREAD_MS = 9_000;
const DEADLINE_MS = 40_000;
/** The migration's `lock_timeout`, and what a busy machine adds. */
const LOCK_MS_MAX = 5_000 + 1_000;

test("a migration under load, behind a long transaction", { skip: engineMissing }, async (t) => {
  const fault = "a migration waits for a table that a long transaction of somebody else holds";
  const expects = ["a migration gave up its lock"];
  const rows = MECHANISMS.map((mechanism) => faultRow(t, { row: "O3", mechanism, fault, expects }));
  const program = await startProgram(t);
  const build = newBuild(t);
  const sales: Sale[] = [];
  for (const mechanism of MECHANISMS) {
    sales.push(await openSale(program, { mechanism, limit: LIMIT }));
  }
  const options = { spreadMs: SPREAD_MS, deadlineMs: DEADLINE_MS };
  const crowds = sales.map(async (sale) => claimUntilAnswered(sale, people(PEOPLE), options));
  const waitedMs = await withDatabase(program, async (client) => {
    await client.query("BEGIN");
    await client.query("SELECT count(*) FROM events");
    const start = await startBuild(t, build, program);
    await until(async () => (await migrating(program)) === 1, "the migration waits");
    const fromMs = performance.now();
    for (const row of rows) row.injected();
    assert.equal(await start.exited, 1, "it gives up and says so");
    const untilMs = performance.now();
    await client.query("ROLLBACK");
    return untilMs - fromMs;
  });
  for (const row of rows) row.met("a migration gave up its lock");
  assert.ok(waitedMs <= LOCK_MS_MAX, `it held everybody up for ${Math.round(waitedMs)} ms`);
  const next = await startBuild(t, build, program);
  await next.ready();
  for (const [n, sale] of sales.entries()) {
    const told: Attempt[] = await crowds[n]!;
    const count = await endSale(sale, { row: rows[n]!, told, brokers: testEngine("kafka") });
    assert.equal(count, LIMIT, `${sale.mechanism}: exactly the limit`);
  }
});

/** This build with one migration more, one that needs the events for itself. */
function newBuild(t: Pick<TestContext, "after">): string {
  const folder = mkdtempSync(join(tmpdir(), "stampede-build-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const part of ["packages", "web"]) {
    // The workspaces' own links are relative: in the copy they lead to the copy.
    cpSync(join(REPOSITORY, part), join(folder, part), { recursive: true, verbatimSymlinks: true });
  }
  symlinkSync(join(REPOSITORY, "node_modules"), join(folder, "node_modules"));
  cpSync(join(REPOSITORY, "package.json"), join(folder, "package.json"));
  const migrations = join(folder, "packages", "infrastructure", "src", "postgres", "migrations");
  writeFileSync(
    join(migrations, "9999_later.sql"),
    "ALTER TABLE events ADD COLUMN later integer NOT NULL DEFAULT 0;\n",
  );
  return folder;
}

async function startBuild(
  t: Pick<TestContext, "after">,
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
      REDIS_URL: testEngine("redis"),
      KAFKA_BROKERS: testEngine("kafka"),
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
