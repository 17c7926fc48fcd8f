// O7: SIGKILL of the launcher in the middle of sales, then of the next one while it starts, then
// `npm start` again: what runs is replaced, no directory ever has two engines, and no row is lost.
//
// Red when the launcher does not end what a killed one left running (`endLeftover` and
// `endLeftoverServer` in launcher/src/launcher.ts and engine-home.ts).
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import type { Attempt } from "@stampede/lab";
import { isAlive } from "@stampede/launcher";
import { until } from "@stampede/launcher/testing";
import type { FaultCase, Stage } from "../case.ts";
import { finish } from "../finish.ts";
import { MECHANISMS } from "../mechanisms.ts";
import { happened } from "../notes.ts";
import { ENGINES, launchFolder } from "../support/launched.ts";
import type { Engine, LaunchFolder } from "../support/launched.ts";
import { claimAtOnce, openSale, people, readStored, tally } from "../support/sale.ts";
import type { Sale } from "../support/sale.ts";

const LIMIT = 150;
const PEOPLE = 120;
const SPREAD_MS = 2_500;
const PEOPLE_AFTER = 60;
/** The second launcher dies at any of its steps: leftovers are ended, engines come up. */
const STARTING_MS = [300, 2_000] as const;
const LOOK_EVERY_MS = 30;

export const launcherCase: FaultCase = {
  id: "O7",
  mechanisms: MECHANISMS,
  injects: "SIGKILL of the launcher in mid-sale, and of the next one while it starts",
  holds: "what runs is replaced, no directory ever has two engines, and no row is lost",
  runs: "proof",
  needs: ["proc"],
  place: "own",
  async run(stage) {
    const home = await launchFolder(stage.t);
    const first = home.start();
    await first.ready();
    const sales: Sale[] = [];
    for (const mechanism of stage.mechanisms) {
      sales.push(await openSale(home.program, { mechanism, limit: LIMIT }));
    }
    const crowds = sales.map(async (sale) =>
      claimAtOnce(sale, people(PEOPLE), { spreadMs: SPREAD_MS }),
    );
    // A case that fails before it needs them has a reason of its own.
    for (const crowd of crowds) crowd.catch(() => undefined);
    await until(
      async () => (await Promise.all(sales.map(readStored))).every(({ issued }) => issued > 5),
      "every sale has begun",
    );
    const before = home.recorded();
    const watch = watchEngines(stage, home);
    await kill(first);
    for (const engine of ENGINES) assert.ok(isAlive(before.pids[engine]), `${engine} outlives it`);
    const second = home.start();
    await pause(stage.pick(...STARTING_MS));
    await kill(second);
    stage.injected(2);
    const startedMs = performance.now();
    const third = home.start();
    await third.ready();
    const readyMs = Math.round(performance.now() - startedMs);
    stage.t.diagnostic(`the third start was ready after ${readyMs} ms`);
    const most = await watch.end();
    for (const engine of ENGINES) {
      assert.equal(most[engine], 1, `never two of ${engine} on one directory`);
      const { pids } = home.recorded();
      assert.deepEqual(home.running(engine), [pids[engine]]);
      assert.ok(pids[engine] === before.pids[engine] || !isAlive(before.pids[engine]));
    }
    for (const [n, sale] of sales.entries()) {
      await finish(stage, sale, await goOn(sale, await crowds[n]!));
    }
    const { pids } = home.recorded();
    third.signal("SIGTERM");
    assert.equal(await third.exited, 0);
    for (const [name, pid] of Object.entries(pids)) assert.ok(!isAlive(pid), `${name} is gone`);
  },
};

/** Whoever was left without an answer claims again, and others come. */
async function goOn(sale: Sale, told: readonly Attempt[]): Promise<readonly Attempt[]> {
  const left = told.filter(({ outcome }) => outcome === "unknown" || outcome === "refused");
  happened(left.length < told.length, `nobody was served: ${JSON.stringify(tally(told))}`);
  const again = [...left.map(({ person }) => person), ...people(PEOPLE_AFTER)];
  return [...told, ...(await claimAtOnce(sale, again))];
}

async function kill(launcher: ReturnType<LaunchFolder["start"]>): Promise<void> {
  launcher.signal("SIGKILL");
  await launcher.exited;
}

/** Looks again and again how many of each engine run; gives the most that were seen at once. */
function watchEngines(
  { t }: Stage,
  home: LaunchFolder,
): { readonly end: () => Promise<Record<Engine, number>> } {
  const most = { postgres: 0, redis: 0, kafka: 0 };
  const ending = new AbortController();
  // A case that fails before it asks must not be kept alive by this.
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
