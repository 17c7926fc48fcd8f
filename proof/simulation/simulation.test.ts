// 20,000 simulated sales of the production mechanisms under faults, every one judged by the referee;
// the same seed is always the same sale. docs/simulation.md says what turns it red, mistake by
// mistake, with the seed that finds each. Red as well when the simulation loses its determinism (a
// clock, a timer or a random source past `Time`), when a fault never fires, or when a mark is missed.
import assert from "node:assert/strict";
import { availableParallelism } from "node:os";
import { describe, test } from "node:test";
import type { Mechanism } from "@stampede/domain";
import { CORPUS } from "./corpus.ts";
import { EVENT_FAULTS_OF } from "./plan.ts";
import { addResult, emptyTotals, failureText, missingMarks, totalsText } from "./report.ts";
import type { Totals } from "./report.ts";
import { runTasks } from "./workers.ts";
import type { Task } from "./workers.ts";

const SALES: Readonly<Record<Mechanism, number>> = {
  "row-lock": 4_000,
  "redis-counter": 8_000,
  "kafka-queue": 8_000,
};
/** One in ten is new every day. */
const NEW_SHARE = 10;
const TWICE = 100;
/** On average; a sale whose faults do not fire shows little. In all at least 380,000. */
const FAULTS_PER_SALE_MIN: Readonly<Record<Mechanism, number>> = {
  "row-lock": 15,
  "redis-counter": 20,
  "kafka-queue": 20,
};
const DAY_MS = 86_400_000;
const WORKERS = Math.min(2, availableParallelism());

describe("simulated sales", () => {
  for (const mechanism of ["row-lock", "redis-counter", "kafka-queue"] as const) {
    test(`of ${mechanism} break no promise`, async (t) => {
      const totals = emptyTotals(mechanism);
      const failures: string[] = [];
      const startedMs = performance.now();
      await runTasks(tasksOf(mechanism), {
        workers: WORKERS,
        onResult(result) {
          addResult(totals, result);
          if (result.violations.length > 0) failures.push(failureText(result));
        },
      });
      t.diagnostic(totalsText(totals, (performance.now() - startedMs) / 1_000));
      assert.deepEqual(failures.slice(0, 5), [], `${failures.length} sales broke a promise`);
      assert.deepEqual(missingMarks(totals), [], "marks that no sale met");
      assertFaults(totals);
    });
  }
});

function tasksOf(mechanism: Mechanism): Task[] {
  const count = SALES[mechanism];
  const fresh = count / NEW_SHARE;
  const today = 1_000_000_000 + Math.floor(Date.now() / DAY_MS) * 10_000;
  const seeds = [
    ...CORPUS.filter((entry) => entry.mechanism === mechanism).map(({ seed }) => seed),
    ...Array.from({ length: count - fresh }, (_, index) => index + 1),
    ...Array.from({ length: fresh }, (_, index) => today + index),
  ];
  const every = Math.floor(count / (TWICE / 3));
  return seeds.map((seed, index) => ({ mechanism, seed, twice: index % every === 0 }));
}

function assertFaults({ mechanism, faults, seeds, faultKinds }: Totals): void {
  const least = seeds * FAULTS_PER_SALE_MIN[mechanism];
  assert.ok(faults >= least, `${faults} faults in ${seeds} sales`);
  const silent = EVENT_FAULTS_OF[mechanism].filter((fault) => !faultKinds.has(fault));
  assert.deepEqual(silent, [], "faults that never fired");
}
