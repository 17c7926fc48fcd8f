// The simulated PostgreSQL answers as a real one does: two sessions take the same random steps on
// both, by the service's own functions, and must be told the same, wait at the same steps, and leave
// the same rows. Red when a meaning in engines/sql.ts or sql-writes.ts is wrong, and without
// `transaction.failed = true` in database.ts.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { migrate } from "@stampede/infrastructure";
import { missing, testEngine } from "@stampede/launcher/testing";
import { pgDriver } from "@stampede/infrastructure/src/engines/postgres/driver.ts";
import type { Asking } from "@stampede/infrastructure/src/engines/postgres/driver.ts";
import {
  beginSession,
  POOL_SETTINGS,
} from "@stampede/infrastructure/src/engines/postgres/settings.ts";
import { databaseDriver } from "./engines/database-client.ts";
import { Database } from "./engines/database.ts";
import { Faults } from "./faults.ts";
import { randomOf } from "./random.ts";
import { EPOCH_MS, Process, Scheduler } from "./scheduler.ts";
import { Trace } from "./trace.ts";
import { runSteps, stepsOf } from "./conformance-steps.ts";
import type { Bench } from "./conformance-steps.ts";
import pg from "pg";

const SEQUENCES = 40;
/** A statement that waits for a row still waits after this long. */
const WAITS_MS = 60;
const SIMULATED_WAITS_MS = 500;
const ANSWER_MS_MAX = 10_000;

describe("the simulated PostgreSQL", () => {
  test("answers as the real one", { skip: missing("postgres") }, async (t) => {
    const url = await openDatabase(t);
    for (let sequence = 0; sequence < SEQUENCES; sequence += 1) {
      const steps = stepsOf(randomOf(`conformance ${sequence}`), `event-${sequence}`);
      const simulated = await runSteps(await simulatedBench(), steps);
      const real = await runSteps(await realBench(t, url), steps, simulated);
      assert.deepEqual(simulated, real, `sequence ${sequence}`);
    }
  });
});

async function simulatedBench(): Promise<Bench> {
  const scheduler = new Scheduler();
  const process = new Process("bench", { startMs: 0, wallErrorMs: 0 });
  const random = randomOf("bench");
  const database = new Database(scheduler, EPOCH_MS);
  const faults = new Faults(random, new Trace(false));
  const link = { scheduler, random, faults, database, isReachable: () => true };
  const driver = databaseDriver(link, process);
  const settle: Bench["settle"] = async (asked) => {
    let answered = false;
    const outcome = asked.finally(() => {
      answered = true;
    });
    outcome.catch(() => undefined);
    // What was asked is sent first.
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    await scheduler.run(() => answered, scheduler.nowMs + SIMULATED_WAITS_MS);
    return answered ? outcome : "waits";
  };
  const pool = driver.openPool(3, begin);
  return { connect: async () => connected(settle, pool.connect()), settle };
}

async function begin(session: Asking): Promise<void> {
  await beginSession(session, POOL_SETTINGS);
}

async function realBench(t: TestContext, url: string): Promise<Bench> {
  const pool = pgDriver(url).openPool(3, begin);
  t.after(async () => pool.end());
  const settle: Bench["settle"] = async (asked, expectsToWait) => {
    const late = sleep(expectsToWait ? WAITS_MS : ANSWER_MS_MAX, "waits" as const);
    return Promise.race([asked, late]);
  };
  return { connect: async () => pool.connect(), settle };
}

async function connected<Value>(settle: Bench["settle"], asked: Promise<Value>): Promise<Value> {
  const answer = await settle(asked, false);
  assert.ok(answer !== "waits");
  return answer;
}

async function openDatabase(t: TestContext): Promise<string> {
  const name = `simulated_${randomBytes(6).toString("hex")}`;
  await onServer(`CREATE DATABASE ${name}`);
  t.after(async () => onServer(`DROP DATABASE ${name} WITH (FORCE)`));
  const url = new URL(testEngine("postgres"));
  url.pathname = `/${name}`;
  await migrate(url.href, (line) => t.diagnostic(line));
  return url.href;
}

async function onServer(sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: testEngine("postgres") });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
