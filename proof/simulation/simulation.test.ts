// Simulated sales of the production mechanisms under faults, every one judged by the referee; the same seed
// is always the same sale. STAMPEDE_SALES says how many: 1,000 in npm test, 20,000 in npm run proof. Planted
// bugs with a seed (docs/planted-bugs.md) turn it red. Red as well when the simulation loses its determinism
// (a clock, a timer or a random source past `Time`), when a fault never fires, or when a mark is missed.
import assert from "node:assert/strict";
import { availableParallelism } from "node:os";
import { after, describe, test } from "node:test";
import type { Mechanism } from "@stampede/domain";
import { CORPUS } from "./corpus.ts";
import { mechanisms } from "@stampede/infrastructure";
import { descriptionOf, eventFaultsOf } from "./plan.ts";
import { addResult, emptyTotals, failureText, missingMarks, totalsText } from "./report.ts";
import type { Totals } from "./report.ts";
import { openWorkers } from "./workers.ts";
import type { Task } from "./workers.ts";

/** Sales of all mechanisms together: the more engines one needs, the more of them are its own. */
const SALES = Number(process.env["STAMPEDE_SALES"] ?? 1_000);
/** Rare situations are looked for from here on: fewer sales may miss one by chance. */
const SALES_FOR_MARKS = 20_000;
const ENGINES = mechanisms.reduce((sum, { needs }) => sum + needs.length, 0);
/** One in ten is new every day. */
const NEW_SHARE = 10;
const TWICE = 100;
/** On average; a sale whose faults do not fire shows little. In 20,000 at least 340,000. */
const FAULTS_PER_SALE_MIN = 20;
/** One engine alone can fail, and a statement of v4 carries many claims: fewer messages can be lost. */
const FAULTS_PER_SALE_OF: Readonly<Record<Mechanism, number>> = {
  "row-lock": 15,
  "group-commit": 8,
};
const DAY_MS = 86_400_000;
const WORKERS = Math.min(2, availableParallelism());

describe("simulated sales", () => {
  const workers = openWorkers(WORKERS);
  after(async () => workers[Symbol.asyncDispose]());
  for (const { name: mechanism } of mechanisms) {
    test(`of ${mechanism} break no promise`, async (t) => {
      const totals = emptyTotals(mechanism);
      const failures: string[] = [];
      const startedMs = performance.now();
      await workers.run(tasksOf(mechanism), {
        onResult(result) {
          addResult(totals, result);
          if (result.violations.length > 0) failures.push(failureText(result));
        },
      });
      t.diagnostic(totalsText(totals, (performance.now() - startedMs) / 1_000));
      assert.deepEqual(failures.slice(0, 5), [], `${failures.length} sales broke a promise`);
      if (SALES >= SALES_FOR_MARKS) {
        assert.deepEqual(missingMarks(totals), [], "marks that no sale met");
      }
      assertFaults(totals);
    });
  }
});

function tasksOf(mechanism: Mechanism): Task[] {
  const count = Math.ceil((SALES * descriptionOf(mechanism).needs.length) / ENGINES);
  const fresh = Math.floor(count / NEW_SHARE);
  const today = 1_000_000_000 + Math.floor(Date.now() / DAY_MS) * 10_000;
  const seeds = [
    ...CORPUS.filter((entry) => entry.mechanism === mechanism).map(({ seed }) => seed),
    ...Array.from({ length: count - fresh }, (_, index) => index + 1),
    ...Array.from({ length: fresh }, (_, index) => today + index),
  ];
  const every = Math.max(1, Math.floor(count / (TWICE / mechanisms.length)));
  return seeds.map((seed, index) => ({ mechanism, seed, twice: index % every === 0 }));
}

function assertFaults({ mechanism, faults, seeds, faultKinds }: Totals): void {
  const least = seeds * (FAULTS_PER_SALE_OF[mechanism] ?? FAULTS_PER_SALE_MIN);
  assert.ok(faults >= least, `${faults} faults in ${seeds} sales`);
  const silent = eventFaultsOf(mechanism).filter((fault) => !faultKinds.has(fault));
  assert.deepEqual(silent, [], "faults that never fired");
}
