// O7: SIGKILL of the launcher in the middle of sales, then of the next one while it starts, then
// `npm start` again: what runs is replaced, no directory ever has two engines, and no row is lost.
//
// Red when the launcher does not end what a killed one left running (`endLeftover` and
// `endLeftoverServer` in embedded/launcher.ts and engine-home.ts).
import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { isAlive } from "@stampede/infrastructure/embedded";
import type { Attempt } from "@stampede/lab";
import { ENGINES, launchFolder } from "./support/launched.ts";
import type { Engine, LaunchFolder } from "./support/launched.ts";
import { endSale } from "./support/operations.ts";
import { procMissing } from "./support/processes.ts";
import { faultRow } from "./support/row.ts";
import {
  claimAtOnce,
  engineMissing,
  MECHANISMS,
  openSale,
  people,
  readStored,
  tally,
  until,
} from "./support/sale.ts";
import type { Sale } from "./support/sale.ts";

const LIMIT = 150;
const PEOPLE = 120;
const SPREAD_MS = 2_500;
const PEOPLE_AFTER = 60;
/** The second launcher dies at any of its steps: leftovers are ended, engines come up. */
const STARTING_MS = [300, 2_000] as const;
const LOOK_EVERY_MS = 30;

const skip = engineMissing || procMissing;

test("SIGKILL of the launcher in the middle of sales", { skip }, async (t) => {
  const fault = "SIGKILL of the launcher in mid-sale, and of the next one while it starts";
  const rows = MECHANISMS.map((mechanism) => faultRow(t, { row: "O7", mechanism, fault }));
  const home = await launchFolder(t);
  const first = home.start();
  await first.ready();
  const sales: Sale[] = [];
  for (const mechanism of MECHANISMS) {
    sales.push(await openSale(home.program, { mechanism, limit: LIMIT }));
  }
  const crowds = sales.map(async (sale) =>
    claimAtOnce(sale, people(PEOPLE), { spreadMs: SPREAD_MS }),
  );
  // A test that fails before it needs them has a reason of its own.
  for (const crowd of crowds) crowd.catch(() => undefined);
  await until(
    async () => (await Promise.all(sales.map(readStored))).every(({ issued }) => issued > 5),
    "every sale has begun",
  );
  const before = home.recorded();
  const watch = watchEngines(t, home);
  await kill(first);
  for (const engine of ENGINES) assert.ok(isAlive(before.pids[engine]), `${engine} outlives it`);
  const second = home.start();
  await pause(rows[0]!.pick(...STARTING_MS));
  await kill(second);
  for (const row of rows) row.injected(2);
  const startedMs = performance.now();
  const third = home.start();
  await third.ready();
  t.diagnostic(`the third start was ready after ${Math.round(performance.now() - startedMs)} ms`);
  const most = await watch.end();

  for (const engine of ENGINES) {
    assert.equal(most[engine], 1, `never two of ${engine} on one directory`);
    const { pids } = home.recorded();
    assert.deepEqual(home.running(engine), [pids[engine]]);
    assert.ok(pids[engine] === before.pids[engine] || !isAlive(before.pids[engine]));
  }
  for (const [n, sale] of sales.entries()) {
    const told = await goOn(sale, await crowds[n]!);
    const { kafkaBrokers: brokers } = home.recorded();
    const count = await endSale(sale, { row: rows[n]!, told, brokers });
    assert.equal(count, LIMIT, `${sale.mechanism}: exactly the limit`);
  }
  const { pids } = home.recorded();
  third.signal("SIGTERM");
  assert.equal(await third.exited, 0);
  for (const [name, pid] of Object.entries(pids)) assert.ok(!isAlive(pid), `${name} is gone`);
});

/** Whoever was left without an answer claims again, and others come. */
async function goOn(sale: Sale, told: readonly Attempt[]): Promise<readonly Attempt[]> {
  const left = told.filter(({ outcome }) => outcome === "unknown" || outcome === "refused");
  assert.ok(left.length < told.length, `somebody was served: ${JSON.stringify(tally(told))}`);
  const again = [...left.map(({ person }) => person), ...people(PEOPLE_AFTER)];
  return [...told, ...(await claimAtOnce(sale, again))];
}

async function kill(launcher: ReturnType<LaunchFolder["start"]>): Promise<void> {
  launcher.signal("SIGKILL");
  await launcher.exited;
}

/** Looks again and again how many of each engine run; gives the most that were seen at once. */
function watchEngines(
  t: TestContext,
  home: LaunchFolder,
): { readonly end: () => Promise<Record<Engine, number>> } {
  const most = { postgres: 0, redis: 0, kafka: 0 };
  const ending = new AbortController();
  // A test that fails before it asks must not be kept alive by this.
  t.after(() => ending.abort());
  const watching = (async () => {
    while (!ending.signal.aborted) {
      for (const engine of ENGINES) {
        most[engine] = Math.max(most[engine], home.running(engine).length);
      }
      await pause(LOOK_EVERY_MS);
    }
  })();
  return {
    async end() {
      ending.abort();
      await watching;
      return most;
    },
  };
}
