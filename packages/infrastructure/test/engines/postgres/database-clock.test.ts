// One clock for every window: the database's, carried by our monotonic clock. Each test names what
// turns it red.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { databaseClock } from "../../../src/engines/postgres/database-clock.ts";
import type { DatabaseClock } from "../../../src/engines/postgres/database-clock.ts";
import { createTestDatabase, openSecondInstance } from "../../support/database.ts";
import { missing, testEngine, until } from "@stampede/launcher/testing";
import { startTcpProxy } from "../../support/tcp-proxy.ts";
import { openClient } from "../../support/postgres.ts";
import { systemTime } from "../../../src/engines/time.ts";

const HOUR_MS = 3_600_000;

function open(t: TestContext, readMs: () => Promise<number>): DatabaseClock {
  const clock = databaseClock(readMs, systemTime);
  t.after(() => clock.close());
  return clock;
}

describe("the database's clock", () => {
  // T1. Red when `nowMs` is taken from our own clock.
  test("is right where this machine's own clock is an hour wrong", async (t) => {
    const clock = open(t, async () => Date.now() - HOUR_MS);
    await clock.measure();
    assert.ok(Math.abs(clock.nowMs() - (Date.now() - HOUR_MS)) < 100);
  });

  // Red when the newest reading wins over the exact one: a slow answer moves the window's edge.
  test("keeps to the quickest of its readings", async (t) => {
    let slow = false;
    const clock = open(t, async () => {
      const nowMs = Date.now();
      if (slow) await until(() => Date.now() >= nowMs + 200, "a slow answer");
      return nowMs;
    });
    await clock.measure();
    slow = true;
    await clock.measure();
    assert.ok(Math.abs(clock.nowMs() - Date.now()) < 50);
  });

  // Red when a quick reading from before the step outlives the slow ones after it.
  test("is right with the next reading after the database's clock was set, or this machine slept", async (t) => {
    let stepMs = 0;
    let slow = false;
    const clock = open(t, async () => {
      const nowMs = Date.now() + stepMs;
      if (slow) await until(() => Date.now() + stepMs >= nowMs + 20, "an answer that takes longer");
      return nowMs;
    });
    await clock.measure();
    slow = true;
    for (stepMs of [5_000, -5_000]) {
      await clock.measure();
      assert.ok(Math.abs(clock.nowMs() - (Date.now() + stepMs)) < 50);
    }
  });

  test("is asked once by all who want it measured at the same moment", async (t) => {
    let readings = 0;
    const clock = open(t, async () => {
      readings += 1;
      return Date.now();
    });
    await Promise.all([clock.measure(), clock.measure(), clock.measure()]);
    assert.equal(readings, 1);
  });

  // Red when a failed measurement touches the offset (`measureOnce`).
  test(
    "goes on while PostgreSQL is away, says that it is, and finds it again",
    { skip: missing("postgres") },
    async (t) => {
      const url = await createTestDatabase(t);
      const proxy = await startTcpProxy(t, testEngine("postgres"));
      const { postgres } = await openSecondInstance(t, proxy.through(url));
      const direct = await openClient(t, url);
      const apartMs = async (): Promise<number> => {
        const { rows } = await direct.query<{ ms: number }>(
          "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS ms",
        );
        return Math.abs(postgres.clock.nowMs() - rows[0]!.ms);
      };
      assert.ok((await apartMs()) < 50);
      proxy.goAway();
      await until(() => !postgres.clock.isUp(), "the loss is noticed");
      await assert.rejects(postgres.clock.measure());
      assert.ok((await apartMs()) < 50);
      proxy.comeBack();
      await until(() => postgres.clock.isUp(), "the database is found again");
      assert.ok((await apartMs()) < 50);
    },
  );
});
