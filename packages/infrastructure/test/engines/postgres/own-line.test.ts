// How long a claim of v1 may wait, whatever it waits for: shown on a driver and a clock of the test's own,
// so that no machine is too slow for it. (The line itself: waiting-line.test.ts.)
import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { EngineFault } from "@stampede/domain";
import type { ConnectionPool, PostgresDriver } from "../../../src/engines/postgres/driver.ts";
import { openPostgresWith } from "../../../src/engines/postgres/open.ts";
import type { Postgres } from "../../../src/engines/postgres/open.ts";
import { systemTime } from "../../../src/engines/time.ts";
import { faultOf } from "../../support/postgres.ts";

const WAIT_MS_MAX = 1_000;
const SAFE = {
  ms: 0,
  fsync: "on",
  full_page_writes: "on",
  synchronous_commit: "on",
  transaction_read_only: "off",
  server_version: "18.0",
  server_version_num: "180000",
  server_encoding: "UTF8",
};

type Bench = {
  readonly postgres: Postgres;
  /** Attempts to connect that are under way. */
  readonly connecting: PromiseWithResolvers<void>[];
  readonly advance: (ms: number) => Promise<void>;
  /** From now on a measurement of the clock fails. */
  readonly goAway: () => void;
};

async function open(
  t: TestContext,
  bounds: { readonly connectionsMax: number; readonly permits: number },
): Promise<Bench> {
  let nowMs = 0;
  let isAway = false;
  const every: (() => void)[] = [];
  const connecting: PromiseWithResolvers<void>[] = [];
  const pool: ConnectionPool = {
    async connect() {
      const attempt = Promise.withResolvers<void>();
      connecting.push(attempt);
      await attempt.promise;
      return {
        query: async (statement) => ({
          rows: [],
          command: typeof statement === "string" ? statement : "SELECT",
        }),
        release: () => undefined,
      };
    },
    async query() {
      if (isAway) throw new Error("connect ECONNREFUSED");
      return { rows: [SAFE as never], command: "SELECT" };
    },
    totalCount: 0,
    idleCount: 0,
    ended: false,
    end: async () => undefined,
  };
  const driver: PostgresDriver = {
    openPool: () => pool,
    openSession: async () => Promise.reject(new EngineFault("postgres", "not-applied", "none")),
  };
  const time = {
    ...systemTime,
    nowMs: () => nowMs,
    every: (_: number, run: () => void) => {
      every.push(run);
      return () => undefined;
    },
  };
  const { connectionsMax, permits } = bounds;
  const lines = { waitersMax: 1_000, waitMsMax: WAIT_MS_MAX };
  const perKey = { permits, waitersMax: 1_000 };
  const postgres = await openPostgresWith(driver, { time, connectionsMax, ...lines, perKey });
  t.after(async () => postgres.close());
  return {
    postgres,
    connecting,
    goAway: () => void (isAway = true),
    async advance(ms) {
      nowMs += ms;
      for (const run of every) run();
      await settled();
    },
  };
}

/** All that follows from what has happened has happened. */
async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

// P5. Red when each of a line finds out for itself that the server accepts no more, two at a time
// (`inTurn` in open.ts): with 0.3 s each, a hundred claims take 15 s.
test("a line for one event is told at once what those before it have found out", async (t) => {
  const { postgres, connecting, goAway, advance } = await open(t, {
    connectionsMax: 4,
    permits: 2,
  });
  const claims = Array.from({ length: 100 }, async () =>
    faultOf(postgres.transaction(async () => undefined, "an event")),
  );
  await settled();
  assert.equal(connecting.length, 2);
  goAway();
  await advance(500);
  assert.equal(postgres.isUp(), false);
  for (const attempt of connecting) attempt.reject(new Error("sorry, too many clients already"));
  await settled();
  assert.equal(connecting.length, 2);
  const faults = await Promise.all(claims);
  assert.deepEqual(new Set(faults.map(({ outcome }) => outcome)), new Set(["not-applied"]));
});

// Red when a turn in one line begins the wait in the next one anew (`deadlineMs` in `transaction`).
test("a claim waits once, in its event's line and for a connection together", async (t) => {
  const { postgres, connecting, advance } = await open(t, { connectionsMax: 1, permits: 1 });
  const first = postgres.transaction(async () => "committed", "an event");
  const second = faultOf(postgres.transaction(async () => undefined, "an event"));
  let answered = false;
  void second.then(() => (answered = true));
  await settled();
  // Somebody else waits for the only connection, and will have it before the second claim.
  await advance(WAIT_MS_MAX - 200);
  const other = postgres.transaction(async () => "committed", "another event");
  await settled();
  connecting[0]?.resolve();
  await first;
  await settled();
  assert.equal(connecting.length, 2);
  assert.equal(answered, false);
  await advance(250);
  assert.equal(answered, true);
  assert.equal((await second).outcome, "not-applied");
  connecting[1]?.resolve();
  await other;
});
