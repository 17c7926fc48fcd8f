// Of two instances the leading one is stopped (SIGSTOP) while its transactions hold every event's row.
// PostgreSQL frees the rows by itself, the other instance goes on, leads, and sells; then the stopped
// one wakes up (SIGCONT) and goes on as if no time had passed.
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import type { Program } from "../../support/program.ts";
import { withWritesHeld } from "./held-row.ts";
import { startOnPrivateEngines } from "./private-engines.ts";
import { continueTree, stopTree } from "./processes.ts";
import {
  claimUntilAnswered,
  MECHANISMS,
  people,
  readStored,
  throughInstance,
  until,
} from "./sale.ts";
import type { Sale } from "./sale.ts";
import { sellUnderFault } from "./sale-under-fault.ts";
import type { FaultSale } from "./sale-under-fault.ts";

/** Come to the other instance meanwhile. */
const PEOPLE_THERE = 40;
/** P6: a row that a silent session holds is free again this soon. */
const FREED_MS_MAX = 5_000;
const GOOD_CLAIM_MS_MAX = 5_000;

/** One such sale of each mechanism, judged; `stoppedMs` is the least time that the instance sleeps. */
export async function sellWhilePaused(
  t: TestContext,
  { row, stoppedMs }: { readonly row: string; readonly stoppedMs: number },
): Promise<void> {
  const at = await startOnPrivateEngines(t, { instances: 2 });
  const [other] = at.others;
  const sold = await sellUnderFault(t, at, {
    row,
    fault: `SIGSTOP of the leading instance with every event's row locked, SIGCONT after ${stoppedMs} ms`,
    mechanisms: MECHANISMS,
    goodClaimMsMax: GOOD_CLAIM_MS_MAX,
    async inject(sales) {
      const injectedMs = await withWritesHeld(at.program, sales.length, async () => {
        stopTree(at.program.pid);
        return performance.now();
      });
      const stored = await Promise.all(sales.map(async ({ sale }) => readStored(sale)));
      const crowds = sales.map(async (one) => claimThere(one, other!, stoppedMs));
      await Promise.all(
        sales.map(async ({ sale }, n) => goesOn(sale, stored[n]!.issued, injectedMs)),
      );
      await pause(Math.max(0, stoppedMs - (performance.now() - injectedMs)));
      continueTree(at.program.pid);
      const healedMs = performance.now();
      await Promise.all(crowds);
      return { injectedMs, healedMs };
    },
  });
  for (const { sale, told, injectedMs } of sold) {
    const { authority } = sale.target;
    const held = told.filter(
      ({ sentMs, instance }) => sentMs < injectedMs && instance === authority,
    );
    assert.ok(held.length > 0, `${sale.mechanism}: claims were in flight`);
  }
}

/** The same sale, through the other instance. */
async function claimThere(
  { sale, told }: FaultSale,
  program: Program,
  stoppedMs: number,
): Promise<void> {
  const there = throughInstance(sale, program);
  const options = { spreadMs: stoppedMs, deadlineMs: 4 * stoppedMs };
  told.push(...(await claimUntilAnswered(there, people(PEOPLE_THERE), options)));
}

/** A row is freed by PostgreSQL, and rows are written by whoever is awake. */
async function goesOn(sale: Sale, issuedBefore: number, sinceMs: number): Promise<void> {
  await until(
    async () => (await readStored(sale)).issued > issuedBefore,
    `${sale.mechanism}: the other instance writes rows`,
  );
  const ms = performance.now() - sinceMs;
  if (sale.mechanism === "row-lock") assert.ok(ms < FREED_MS_MAX, `the row was held for ${ms} ms`);
}
