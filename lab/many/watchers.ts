// What so many watchers of one paced sale cost those who claim on another event.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";

import { cpuMicrosOf, familyMiB, familyOf } from "../compare/processes.ts";
import type { OpenShop } from "../crowd/shop.ts";
import { percentile } from "../crowd/statistics.ts";
import { middleAndEnd } from "./figures.ts";
import type { Part } from "./part.ts";

const PACE = 20;
const IN_LINE = 5_000;
const CLAIMS = 300;
const WATCHERS_A_PROCESS = 10_000;
/** Until collections and first frames are over. */
const SETTLE_MS = 5_000;

export const measureWatchers: Part = async (sales, measure, { watchers }) => {
  const { shop } = sales;
  await measure(
    `${watchers} watchers of a paced sale: a claim on another event (p50, p99), and the server's memory for each of them`,
    "p99 <= 3 times quiet; 20 KiB",
    async () => {
      const watched = await sales.make("v3", "many-watched", IN_LINE, PACE);
      const idle = await sales.make("v2", "many-beside", 100_000);
      const probe = async (): Promise<readonly number[]> =>
        sales.claimInTurn(idle, (claims) => claims >= CLAIMS);
      // The paced sale goes on in both: the watchers alone make the difference.
      await sales.flood(watched, { people: IN_LINE, connections: IN_LINE });
      await probe();
      const quiet = await probe();
      const pid = shop.pid();
      const family = pid === null ? [] : familyOf(pid);
      const before = familyMiB(family);
      const crowd = await openWatchers(shop, watched.id, watchers);
      try {
        await pause(SETTLE_MS);
        const each = ((familyMiB(family) - before) * 1_024) / watchers;
        const cpu = (): number => cpuMicrosOf(shop.pids())["server"]?.total ?? Number.NaN;
        const [cpuBefore, startMs] = [cpu(), performance.now()];
        const beside = await probe();
        const percent = (cpu() - cpuBefore) / 10 / (performance.now() - startMs);
        const told = await crowd.end();
        const frames = Math.min(...told.map(({ perSecond }) => perSecond));
        const ended = told.reduce((sum, one) => sum + one.ended, 0);
        const times = (percentile(beside, 99) / percentile(quiet, 99)).toFixed(1);
        return (
          `${middleAndEnd(beside)}; quiet ${middleAndEnd(quiet)}: p99 is ${times} times that; ` +
          `${each.toFixed(1)} KiB, ${frames.toFixed(1)} frames a second, server ` +
          `${percent.toFixed(0)} % of a core, ${ended} streams ended`
        );
      } finally {
        crowd.kill();
      }
    },
  );
};

type Told = { readonly perSecond: number; readonly ended: number };

/** As few to a process as it may open descriptors for. */
async function openWatchers(
  shop: OpenShop,
  event: string,
  count: number,
): Promise<{ readonly end: () => Promise<readonly Told[]>; readonly kill: () => void }> {
  const { hostname, port } = new URL(shop.url);
  const script = join(import.meta.dirname, "watchers-process.ts");
  const crowds = Array.from({ length: Math.ceil(count / WATCHERS_A_PROCESS) }, (_, n) => {
    const own = Math.min(WATCHERS_A_PROCESS, count - n * WATCHERS_A_PROCESS);
    const child = spawn(process.execPath, [script, hostname, port, event, String(own)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    return { child, lines: createInterface({ input: child.stdout }) };
  });
  const kill = (): void => crowds.forEach(({ child }) => void child.kill("SIGKILL"));
  const nextLines = async (): Promise<readonly string[]> =>
    Promise.all(crowds.map(async ({ lines }) => String(await once(lines, "line"))));
  try {
    await nextLines();
  } catch (error) {
    kill();
    throw error;
  }
  return {
    kill,
    async end() {
      const told = nextLines();
      for (const { child } of crowds) child.kill("SIGTERM");
      return (await told).map((line): Told => JSON.parse(line));
    },
  };
}
