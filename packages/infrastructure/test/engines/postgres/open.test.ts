// The pool and its transactions: what is refused at start-up, what a swallowed error costs, how long a
// caller waits where connections are short. Each test names what turns it red.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, chmod, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import pg from "pg";
import { drawCode } from "../../../src/rows/codes.ts";
import { startPostgres } from "@stampede/launcher";
import { EventDirectory } from "../../../src/rows/event-directory.ts";
import { openPostgres } from "../../../src/engines/postgres/open.ts";
import type { Postgres, PostgresOptions } from "../../../src/engines/postgres/open.ts";
import { rowLockIssuer } from "../../../src/row-lock/issuer.ts";
import { UnsafeEngine } from "../../../src/engines/postgres/settings.ts";
import { createTestDatabase } from "../../support/database.ts";
import { missing, testEngine, until } from "@stampede/launcher/testing";
import { person } from "../../support/sale.ts";
import { startTcpProxy } from "../../support/tcp-proxy.ts";
import { faultOf, insertEvent, openClient, readStored } from "../../support/postgres.ts";
import { systemTime } from "../../../src/engines/time.ts";

const bounds = { connectionsMax: 2, waitersMax: 10, waitMsMax: 1_000 };

async function open(t: TestContext, options: Partial<PostgresOptions>): Promise<Postgres> {
  const url = options.url ?? (await createTestDatabase(t));
  const postgres = await openPostgres({ ...bounds, time: systemTime, ...options, url });
  t.after(async () => postgres.close());
  return postgres;
}

describe("a transaction", { skip: missing("postgres") }, () => {
  // P14, B4, F3. Red when `runTransaction` does not look at the tag.
  test("is not applied when it swallowed a failed statement, although COMMIT succeeds", async (t) => {
    const url = await createTestDatabase(t);
    const postgres = await open(t, { url });
    const observer = await openClient(t, url);
    const eventId = await insertEvent(observer, 5);
    const fault = await faultOf(
      postgres.transaction(async (sql) => {
        await sql.query("UPDATE events SET issued = 1 WHERE id = $1", [eventId]);
        await sql.query("SELECT 1 / 0").catch(() => undefined);
        return "told as committed";
      }),
    );
    assert.equal(fault.outcome, "not-applied");
    assert.match(fault.message, /ROLLBACK/);
    assert.equal((await readStored(observer, eventId)).issued, 0);
    assert.deepEqual(await postgres.query("SELECT 1 AS one"), [{ one: 1 }]);
  });

  // B36. Red when `releasing` does not release where `run` throws.
  test("gives its connection back when it throws, and the pool goes on", async (t) => {
    const postgres = await open(t, { connectionsMax: 1 });
    for (let n = 0; n < 5; n += 1) {
      const failing = postgres.transaction(async () => {
        throw new Error("a mistake of ours");
      });
      await assert.rejects(failing, /a mistake of ours/);
      await faultOf(postgres.query("SELECT 1 / 0"));
    }
    assert.deepEqual(await postgres.query("SELECT 1 AS one"), [{ one: 1 }]);
    assert.deepEqual(postgres.usage(), { open: 1, idle: 1, waiting: 0 });
  });

  // P13, B38. Red when `isRetryable` does not know 40P01, or only the last statement runs again.
  test("runs again as a whole after a deadlock", async (t) => {
    const url = await createTestDatabase(t);
    const postgres = await open(t, { url });
    const observer = await openClient(t, url);
    const [one, two] = [await insertEvent(observer, 5), await insertEvent(observer, 5)];
    const raise = "UPDATE events SET issued = issued + 1 WHERE id = $1";
    let runs = 0;
    let met = 0;
    const crossing = async (first: string, second: string): Promise<void> =>
      postgres.transaction(async (sql) => {
        runs += 1;
        await sql.query(raise, [first]);
        met += 1;
        // Both hold their first row before either asks for its second.
        if (runs <= 2) await until(() => met === 2, "both hold one row");
        await sql.query(raise, [second]);
      });
    await Promise.all([crossing(one, two), crossing(two, one)]);
    assert.equal(runs, 3);
    assert.equal((await readStored(observer, one)).issued, 2);
    assert.equal((await readStored(observer, two)).issued, 2);
  });
});

describe("a database that is short of connections", { skip: missing("postgres") }, () => {
  // P5, B37. Red when the line has no deadline.
  test("lets a claim wait for a bounded time and tells it that nothing was applied", async (t) => {
    const url = await createTestDatabase(t);
    const postgres = await open(t, { url });
    const observer = await openClient(t, url);
    const eventId = await insertEvent(observer, 5);
    const directory = new EventDirectory(postgres);
    t.after(() => directory.close());
    const issuer = rowLockIssuer({ postgres, directory, drawCode });
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const holders = [1, 2].map(async () => postgres.transaction(async () => released));
    await until(() => postgres.usage().open === 2, "both connections are taken");
    const askedMs = performance.now();
    const fault = await faultOf(issuer.claim(eventId, person(1)));
    assert.equal(fault.outcome, "not-applied");
    assert.ok(performance.now() - askedMs < 2_000);
    release();
    await Promise.all(holders);
    assert.deepEqual((await readStored(observer, eventId)).seqs, []);
    assert.equal((await issuer.claim(eventId, person(1))).kind, "issued");
  });

  // P2. Red when each pool finds out by itself alone: claims are then reserved that cannot be written.
  test("is away for all pools of a process from the moment on at which one has noticed", async (t) => {
    const url = await createTestDatabase(t);
    const proxy = await startTcpProxy(t, testEngine("postgres"));
    const first = await open(t, { url: proxy.through(url) });
    const second = await open(t, { url, beside: first });
    assert.equal(second.isUp(), true);
    proxy.goAway();
    await until(() => !first.isUp(), "the loss is noticed");
    assert.equal(second.isUp(), false);
    proxy.comeBack();
    await until(() => second.isUp(), "it is back");
  });

  // P5 at the server. Red when `connect` tells a refused connection as "unknown", or keeps its permit.
  test("is told as not applied when it accepts no more, and is found again", async (t) => {
    const url = new URL(await createTestDatabase(t));
    const role = await createNarrowRole(t);
    url.username = role;
    url.password = role;
    const postgres = await open(t, { url: url.href });
    const release = Promise.withResolvers<void>();
    const holder = postgres.transaction(async () => release.promise);
    const fault = await faultOf(postgres.transaction(async (sql) => sql.query("SELECT 1")));
    assert.equal(fault.outcome, "not-applied");
    assert.match(fault.message, /too many connections/);
    release.resolve();
    await holder;
    assert.deepEqual(await postgres.query("SELECT 1 AS one"), [{ one: 1 }]);
  });
});

// P10. Red when `refuseUnsafeSettings` is not called, or forgets a setting.
describe("start-up", { skip: missing("postgres") }, () => {
  test("refuses a database that answers COMMIT before the commit is on its disk", async (t) => {
    const url = await createTestDatabase(t);
    const client = await openClient(t, url);
    const name = new URL(url).pathname.slice(1);
    await client.query(`ALTER DATABASE ${name} SET synchronous_commit = off`);
    await assert.rejects(openPostgres({ url, time: systemTime, ...bounds }), (error) => {
      assert.ok(error instanceof UnsafeEngine);
      assert.match(error.message, /synchronous_commit = on/);
      return true;
    });
    await client.query(`ALTER DATABASE ${name} RESET synchronous_commit`);
    await (await openPostgres({ url, time: systemTime, ...bounds })).close();
  });

  test("refuses a server without fsync or full pages", async (t) => {
    // Both are the whole server's: it takes one that no other test uses.
    const dataFolder = await mkdtemp(join(tmpdir(), "stampede-postgres-"));
    await chmod(dataFolder, 0o711);
    const server = await startPostgres({ dataFolder });
    t.after(async () => {
      await server.stop();
      await rm(dataFolder, { recursive: true, force: true });
    });
    const { url } = server;
    const client = await openClient(t, url);
    const set = async (name: string, value: string): Promise<void> => {
      await client.query(`ALTER SYSTEM SET ${name} = ${value}`);
      await client.query("SELECT pg_reload_conf()");
      // Seen by a new session, as the service's own will be.
      await until(async () => {
        const fresh = await openClient(t, url);
        const { rows } = await fresh.query<Record<string, string>>(`SHOW ${name}`);
        return rows[0]![name] === value;
      }, `${name} is ${value}`);
    };
    for (const name of ["fsync", "full_page_writes"]) {
      await set(name, "off");
      await assert.rejects(
        openPostgres({ url, time: systemTime, ...bounds }),
        new RegExp(`${name} = on`),
      );
      await set(name, "on");
    }
    await (await openPostgres({ url, time: systemTime, ...bounds })).close();
  });
});

/** A role that may connect once at a time. */
async function createNarrowRole(t: TestContext): Promise<string> {
  const role = `role_${randomBytes(4).toString("hex")}`;
  const admin = new pg.Client({ connectionString: testEngine("postgres") });
  await admin.connect();
  await admin.query(`CREATE ROLE ${role} LOGIN PASSWORD '${role}' CONNECTION LIMIT 1`);
  t.after(async () => {
    await admin.query(`DROP ROLE ${role}`);
    await admin.end();
  });
  return role;
}
