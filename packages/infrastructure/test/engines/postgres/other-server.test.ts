// What a connection leads to may change: a failover, a proxy, an operator's ALTER. Whoever only reads, or
// could lose what it acknowledges, is not used, by no connection. Each test names what turns it red.
import assert from "node:assert/strict";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import type { TestContext } from "node:test";
import pg from "pg";
import { startPostgres } from "@stampede/launcher";
import type { RunningEngine } from "@stampede/launcher";
import { missing, until } from "@stampede/launcher/testing";
import { openPostgres } from "../../../src/engines/postgres/open.ts";
import type { Postgres, PostgresOptions } from "../../../src/engines/postgres/open.ts";
import { systemTime } from "../../../src/engines/time.ts";
import { hearFacts } from "../../support/facts.ts";
import { candidateOn, faultOf } from "../../support/postgres.ts";

const bounds = { connectionsMax: 3, waitersMax: 10, waitMsMax: 1_000, time: systemTime };
/** L3 of PostgreSQL. */
const RECOVERY_MS_MAX = 5_000;

let server: Promise<RunningEngine> | null = null;
let folder = "";

/** A server that a test may set up as it likes; what it sets it has to reset. */
async function ownServer(): Promise<string> {
  server ??= (async () => {
    folder = await mkdtemp(join(tmpdir(), "stampede-postgres-"));
    await chmod(folder, 0o711);
    return startPostgres({ dataFolder: folder });
  })();
  return (await server).url;
}

after(async () => {
  await (await server)?.stop();
  if (folder !== "") await rm(folder, { recursive: true, force: true });
});

type Opened = { readonly postgres: Postgres; readonly refused: () => readonly string[] };

async function open(t: TestContext, options: Partial<PostgresOptions> = {}): Promise<Opened> {
  const heard = hearFacts(t);
  const postgres = await openPostgres({
    ...bounds,
    url: await ownServer(),
    ...options,
  });
  t.after(async () => postgres.close());
  return { postgres, refused: () => heard.failures.map(({ error }) => String(error)) };
}

/** Sets it for the whole server, sessions that are there included; reset after the test. */
async function alterSystem(t: TestContext, setting: string): Promise<void> {
  await administer(`ALTER SYSTEM SET ${setting}`, "SELECT pg_reload_conf()");
  t.after(resetSystem);
}

async function resetSystem(): Promise<void> {
  await administer("ALTER SYSTEM RESET ALL", "SELECT pg_reload_conf()");
}

/** Sessions that are there only read from now on, new ones write: as after a failover. */
async function demoteSessions(t: TestContext): Promise<void> {
  await alterDatabase(t, "default_transaction_read_only", "off");
  await alterSystem(t, "default_transaction_read_only = on");
}

/** What sessions begin with from now on, whatever the server says; reset after the test. */
async function alterDatabase(t: TestContext, name: string, value: string): Promise<void> {
  await administer(`ALTER DATABASE stampede SET ${name} = ${value}`);
  t.after(async () => resetDatabase(name));
}

async function resetDatabase(name: string): Promise<void> {
  await administer(`ALTER DATABASE stampede RESET ${name}`);
}

/** In a session that writes, whatever the server says. */
async function administer(...statements: readonly string[]): Promise<void> {
  const client = new pg.Client({ connectionString: await ownServer() });
  await client.connect();
  try {
    await client.query("SET default_transaction_read_only = off");
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

/** Two connections at once, so that one lies idle beside the one that is used. */
async function openTwo(postgres: Postgres): Promise<void> {
  const both = Promise.withResolvers<void>();
  let open = 0;
  const one = async (): Promise<void> =>
    postgres.transaction(async () => {
      open += 1;
      if (open === 2) both.resolve();
      await both.promise;
    });
  await Promise.all([one(), one()]);
  assert.ok(postgres.usage().idle >= 2);
}

const WRITE = "CREATE TABLE IF NOT EXISTS public.written (one integer)";

describe("PostgreSQL behind a connection", { skip: missing("postgres") }, () => {
  // Red when 25006 is an error like any other (`isReadOnly` in open.ts).
  test("is left with all its connections when it says that it only reads, and found again", async (t) => {
    let demoted = 0;
    // Nobody asks beside the test, so that a statement is the first to learn of it.
    const time = { ...systemTime, every: () => () => undefined };
    const { postgres } = await open(t, { time, onDemoted: () => (demoted += 1) });
    await openTwo(postgres);
    await demoteSessions(t);
    await until(async () => {
      const rows = await postgres.query("SHOW transaction_read_only");
      return rows[0]?.["transaction_read_only"] === "on";
    }, "the sessions only read");
    const fault = await faultOf(postgres.transaction(async (sql) => sql.query(WRITE)));
    assert.match(fault.message, /read-only transaction/);
    assert.equal(fault.outcome, "not-applied");
    assert.equal(postgres.isUp(), false);
    assert.equal(demoted, 1);
    assert.deepEqual(postgres.usage(), { open: 0, idle: 0, waiting: 0 });
    // The next connection leads to one that writes, at once.
    await postgres.transaction(async (sql) => sql.query(WRITE));
    await postgres.clock.measure();
    assert.equal(postgres.isUp(), true);
    assert.equal(demoted, 1);
  });

  // Red when the probe does not look (`serverRefusal` in `readClock`): a service at rest is up for ever then.
  test("is left within seconds, by itself, when it begins to read only", async (t) => {
    let demoted = 0;
    const { postgres, refused } = await open(t, { onDemoted: () => (demoted += 1) });
    await openTwo(postgres);
    await alterSystem(t, "default_transaction_read_only = on");
    await until(() => !postgres.isUp(), "it is down", { msMax: RECOVERY_MS_MAX });
    await until(() => refused().length > 1, "a new connection is refused too");
    assert.match(refused()[0] ?? "", /only reads: .* let DATABASE_URL lead to the primary/);
    const fault = await faultOf(postgres.query("SELECT 1"));
    assert.equal(fault.outcome, "not-applied");
    await assert.rejects(open(t), /only reads/);
    assert.equal(postgres.isUp(), false);
    assert.equal(demoted, 1);
    await resetSystem();
    await until(() => postgres.isUp(), "it is up again", { msMax: RECOVERY_MS_MAX });
    await postgres.transaction(async (sql) => sql.query(WRITE));
  });

  // Red when settings are looked at when the pool is opened, and not on each connection.
  test("is refused by a later connection, and told what to change, when it could lose commits", async (t) => {
    const { postgres, refused } = await open(t);
    await openTwo(postgres);
    await alterDatabase(t, "synchronous_commit", "off");
    assert.equal(refused().length, 0);
    // What is open keeps what it has; what takes its place is another matter.
    postgres.renew();
    const fault = await faultOf(postgres.transaction(async (sql) => sql.query(WRITE)));
    assert.equal(fault.outcome, "not-applied");
    assert.match(refused()[0] ?? "", /synchronous_commit off .* Set synchronous_commit = on/);
    await until(() => !postgres.isUp(), "it is down", { msMax: RECOVERY_MS_MAX });
    await resetDatabase("synchronous_commit");
    await until(() => postgres.isUp(), "it is up again", { msMax: RECOVERY_MS_MAX });
  });

  test("is left by the connections that are there when it could lose commits from now on", async (t) => {
    const { postgres, refused } = await open(t);
    await openTwo(postgres);
    await alterSystem(t, "full_page_writes = off");
    await until(() => !postgres.isUp(), "it is down", { msMax: RECOVERY_MS_MAX });
    assert.match(refused()[0] ?? "", /Set full_page_writes = on/);
  });

  // Red when a session is given them as it starts: what the address says wins then, and a role's says more.
  test("has our own settings whatever the address says", async (t) => {
    const url = new URL(await ownServer());
    url.searchParams.set(
      "options",
      "-c search_path=app -c lock_timeout=0 -c idle_session_timeout=0",
    );
    url.searchParams.set("statement_timeout", "0");
    await alterDatabase(t, "default_transaction_isolation", "'repeatable read'");
    const { postgres } = await open(t, { url: url.href });
    const shown = async (name: string): Promise<unknown> =>
      Object.values((await postgres.query(`SHOW ${name}`))[0] ?? {})[0];
    assert.equal(await shown("search_path"), "app");
    assert.equal(await shown("lock_timeout"), "4s");
    assert.equal(await shown("statement_timeout"), "4400ms");
    assert.equal(await shown("idle_in_transaction_session_timeout"), "4600ms");
    assert.equal(await shown("transaction_isolation"), "read committed");
    const session = await postgres.openSession({ idle_session_timeout: "3000ms" });
    const { rows } = await session.query<{ idle_session_timeout: string }>(
      "SHOW idle_session_timeout",
    );
    await session.end();
    assert.deepEqual(rows, [{ idle_session_timeout: "3s" }]);
  });

  // Red when the session of a leader asks anything else to keep its lock (`SPEAK` in leadership.ts): it
  // has the lock of a server that nobody else asks.
  test("is not where anybody leads once it only reads", async (t) => {
    const { postgres } = await open(t);
    const candidate = candidateOn(t, postgres);
    t.after(async () => candidate.close());
    await until(() => candidate.isLeader(), "it leads");
    await alterSystem(t, "default_transaction_read_only = on");
    await until(() => !candidate.isLeader(), "it does not lead", { msMax: RECOVERY_MS_MAX });
    await resetSystem();
    await until(() => candidate.isLeader(), "it leads again", { msMax: RECOVERY_MS_MAX });
  });
});
