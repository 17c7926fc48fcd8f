// A13: of a program with two workers one is killed after the other, the first in the rush. Red when nobody
// takes the place of a worker that ended (`keep` in api/src/workers/primary.ts).
import assert from "node:assert/strict";
import type { Attempt } from "@stampede/lab";
import { until } from "@stampede/launcher/testing";
import { startProgram } from "../../support/program.ts";
import type { Program } from "../../support/program.ts";
import type { FaultCase, Stage } from "../case.ts";
import { finish, noteGoodClaim } from "../finish.ts";
import { MECHANISMS } from "../mechanisms.ts";
import { happened } from "../notes.ts";
import { killTree, serversOf } from "../support/processes.ts";
import { claimUntilAnswered, openSale, people, readStored, tally } from "../support/sale.ts";
import type { Sale } from "../support/sale.ts";

const WORKERS = 2;
const CROWD = { people: 300, limit: 200, spreadMs: 3_000, deadlineMs: 30_000 } as const;
/** In the middle of those who come, while there are coupons left. */
const ISSUED_BEFORE = [20, 80];

export const workersCase: FaultCase = {
  id: "A13",
  mechanisms: MECHANISMS,
  injects: "SIGKILL of one worker of two in mid-sale, and of the other one when it was replaced",
  holds: "another takes its place, people get through, and nobody is told wrong",
  runs: "proof",
  needs: ["proc"],
  place: "own",
  run: killWorkers,
};

async function killWorkers(stage: Stage): Promise<void> {
  const program = await startProgram(stage.t, { WORKERS: String(WORKERS) });
  const sales = await Promise.all(
    stage.mechanisms.map(async (mechanism) => openSale(program, { ...CROWD, mechanism })),
  );
  const told = sales.map((): Attempt[] => []);
  const crowds = sales.map(async (sale, n) => {
    told[n]!.push(...(await claimUntilAnswered(sale, people(CROWD.people), CROWD)));
  });
  const killed: number[] = [];
  for (const issued of ISSUED_BEFORE) {
    await until(async () => haveIssued(sales, issued), `every sale has issued ${issued}`);
    const victim = serversOf(program.pid).find((pid) => !killed.includes(pid));
    assert.ok(victim !== undefined);
    await killTree(victim);
    killed.push(victim);
    stage.injected();
    await allServe(program, killed);
  }
  const healedMs = performance.now();
  await Promise.all(crowds);
  const without = told.flat().filter(({ outcome }) => ["refused", "unknown"].includes(outcome));
  happened(without.length > 0, `the kills hit nobody: ${JSON.stringify(tally(told.flat()))}`);
  await Promise.all(
    sales.map(async (sale, n) => {
      noteGoodClaim(stage, sale, told[n]!, { healedMs });
      await finish(stage, sale, told[n]!, { healedMs });
    }),
  );
}

async function haveIssued(sales: readonly Sale[], count: number): Promise<boolean> {
  const stored = await Promise.all(sales.map(readStored));
  return stored.every(({ issued }) => issued >= count);
}

/** As many as before, none of them killed, and all of them listen. */
async function allServe(program: Program, killed: readonly number[]): Promise<void> {
  await until(
    async () => {
      const servers = serversOf(program.pid);
      if (servers.length < WORKERS || servers.some((pid) => killed.includes(pid))) return false;
      // A connection may be in the queue of the one that was killed.
      const text = await fetch(`${program.url}/metrics`).then(
        async (response) => response.text(),
        () => "",
      );
      return text.includes(`\nstampede_workers ${WORKERS}\n`);
    },
    "another worker has taken the place",
    { msMax: 15_000 },
  );
}
