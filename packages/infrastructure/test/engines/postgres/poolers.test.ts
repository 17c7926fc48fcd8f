// A pooler that gives sessions away between transactions is seen by what it does, whatever its name; one
// that keeps them is as good as none. Each test names what turns it red.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { missing, until } from "@stampede/launcher/testing";
import { pgDriver } from "../../../src/engines/postgres/driver.ts";
import { openPostgres } from "../../../src/engines/postgres/open.ts";
import type { Postgres } from "../../../src/engines/postgres/open.ts";
import { refuseSharedSessions } from "../../../src/engines/postgres/session-look.ts";
import { systemTime } from "../../../src/engines/time.ts";
import { migrate } from "../../../src/rows/migrate.ts";
import { createEmptyDatabase, createTestDatabase } from "../../support/database.ts";
import { hearFacts } from "../../support/facts.ts";
import { pgbouncerMissing, throughPgbouncer } from "../../support/pgbouncer.ts";
import type { PoolMode } from "../../support/pgbouncer.ts";
import { candidateOn, openClient } from "../../support/postgres.ts";

const bounds = { connectionsMax: 3, waitersMax: 10, waitMsMax: 1_000, time: systemTime };
const skip = missing("postgres") || pgbouncerMissing();

/** Where a test's own hooks run first: what uses the database is closed before it is dropped. */
async function openThrough(t: TestContext, url: string): Promise<Postgres> {
  const postgres = await openPostgres({ ...bounds, url });
  t.after(async () => postgres.close());
  return postgres;
}

async function pooled(
  t: TestContext,
  url: string,
  pool_mode: PoolMode,
  more: Readonly<Record<string, string>> = {},
): Promise<string> {
  return throughPgbouncer(t, url, { pool_mode, ...more });
}

describe("PgBouncer", { skip }, () => {
  // Red when sessions are not looked at (`refuseSharedSessions`): timeouts and locks are others' then.
  for (const mode of ["transaction", "statement"] as const) {
    for (const size of ["1", "20"]) {
      for (const roundRobin of ["0", "1"]) {
        const how = `${mode} mode, ${size} sessions, round robin ${roundRobin}`;
        test(`is refused with what to change: ${how}`, async (t) => {
          const url = await pooled(t, await createTestDatabase(t), mode, {
            default_pool_size: size,
            server_round_robin: roundRobin,
          });
          await assert.rejects(
            refuseSharedSessions(pgDriver(url)),
            /pooler .*PgBouncer with pool_mode = transaction or statement.* Set pool_mode = session/,
          );
        });
      }
    }
  }

  test("is refused in transaction mode while others keep its sessions busy", async (t) => {
    const url = await pooled(t, await createTestDatabase(t), "transaction", {
      default_pool_size: "4",
    });
    const others = await Promise.all([1, 2, 3, 4, 5].map(async () => openClient(t, url)));
    const calm = new AbortController();
    const work = others.map(async (client) => {
      while (!calm.signal.aborted) await client.query("SELECT pg_sleep(0.002)");
    });
    await assert.rejects(refuseSharedSessions(pgDriver(url)), /pool_mode = session/);
    calm.abort();
    await Promise.all(work);
  });

  // Red when any of them is a start-up parameter, which PgBouncer refuses, or is told to ignore.
  test("in session mode changes nothing: the schema is made, all four time limits hold, somebody leads", async (t) => {
    const direct = await createEmptyDatabase(t);
    const url = await pooled(t, direct, "session");
    await refuseSharedSessions(pgDriver(url));
    await migrate(url, (line) => t.diagnostic(line));
    const postgres = await openThrough(t, url);
    const shown = async (name: string): Promise<unknown> =>
      Object.values((await postgres.query(`SHOW ${name}`))[0] ?? {})[0];
    assert.equal(await shown("lock_timeout"), "4s");
    assert.equal(await shown("statement_timeout"), "4400ms");
    assert.equal(await shown("idle_in_transaction_session_timeout"), "4600ms");
    const session = await postgres.openSession({ idle_session_timeout: "100ms" });
    const ended = new Promise<void>((resolve) => session.once("end", () => resolve()));
    await ended;
    const candidate = candidateOn(t, postgres);
    await until(() => candidate.isLeader(), "it leads");
    await candidate.close();
  });

  test("in session mode without a session free is told as what it is", async (t) => {
    const url = await pooled(t, await createTestDatabase(t), "session", { default_pool_size: "1" });
    await assert.rejects(refuseSharedSessions(pgDriver(url)), /did not answer: Query read timeout/);
  });

  // Red when a leader does not look whose session it speaks on (`SPEAK` in leadership.ts).
  test("that begins to share sessions ends the lead that is held through it, and it is told", async (t) => {
    const heard = hearFacts(t);
    const url = await pooled(t, await createTestDatabase(t), "transaction", {
      server_round_robin: "1",
      min_pool_size: "3",
    });
    const postgres = await openThrough(t, url);
    const others = await Promise.all([1, 2, 3].map(async () => openClient(t, url)));
    await Promise.all(others.map(async (client) => client.query("SELECT pg_sleep(0.1)")));
    const candidate = candidateOn(t, postgres);
    await until(
      () =>
        heard.failures.some(
          ({ part, error }) => part === "leadership" && /pooler stands before/.test(String(error)),
        ),
      "the lead is lost, and why",
    );
    await candidate.close();
  });
});
