// Simulated sales from the command line:
//
//   npm run simulate -- [--mechanism NAME] [--seeds N] [--from N]
//   npm run simulate -- --mechanism M --seed N [--trace]
//
// Exits with 1 where a sale broke a promise, and prints the command that runs that sale again.
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import type { Mechanism } from "@stampede/domain";
import { mechanisms } from "@stampede/infrastructure";
import { addResult, emptyTotals, failureText, totalsText } from "./report.ts";
import { runSale } from "./sale.ts";
import { openWorkers } from "./workers.ts";
import type { Workers } from "./workers.ts";

const FAILURES_SHOWN_MAX = 10;

const { values } = parseArgs({
  options: {
    mechanism: { type: "string" },
    seed: { type: "string" },
    seeds: { type: "string", default: "1000" },
    from: { type: "string", default: "1" },
    workers: { type: "string" },
    trace: { type: "boolean", default: false },
    /** Ends at the first sale that breaks a promise. */
    first: { type: "boolean", default: false },
  },
});

const names = mechanisms.map(({ name }) => name);
const chosen = names.filter((name) => (values.mechanism ?? name) === name);
if (chosen.length === 0) throw new Error(`"${values.mechanism}" is none of ${names.join(", ")}`);
if (values.seed === undefined) {
  await using workers = openWorkers(
    wholeNumber("workers", values.workers ?? String(availableParallelism())),
  );
  for (const mechanism of chosen) await runMany(mechanism, workers);
} else {
  const seed = wholeNumber("seed", values.seed);
  for (const mechanism of chosen) await runOne(mechanism, seed);
}

async function runOne(mechanism: Mechanism, seed: number): Promise<void> {
  const { lines, ...result } = await runSale(mechanism, seed, { keepTrace: values.trace });
  for (const line of lines ?? []) console.log(line);
  const faults = [...result.faults].map(([fault, count]) => `${fault} ${count}`).join(", ");
  console.log(`${mechanism} seed ${seed}: trace ${result.trace}, ${result.claims} claims`);
  console.log(`  faults: ${faults}`);
  if (result.violations.length === 0) return;
  console.log(failureText(result));
  process.exitCode = 1;
}

async function runMany(mechanism: Mechanism, workers: Workers): Promise<void> {
  const first = wholeNumber("from", values.from);
  const seeds = wholeNumber("seeds", values.seeds);
  const tasks = Array.from({ length: seeds }, (_, index) => ({
    mechanism,
    seed: first + index,
    twice: index % 100 === 0,
  }));
  const totals = emptyTotals(mechanism);
  const startedMs = performance.now();
  let shown = 0;
  let earliest = Infinity;
  await workers.run(tasks, {
    until: () => values.first && totals.violations > 0,
    onResult(result) {
      addResult(totals, result);
      if (result.violations.length === 0) return;
      earliest = Math.min(earliest, result.seed);
      shown += 1;
      if (shown <= FAILURES_SHOWN_MAX) console.log(failureText(result));
      process.exitCode = 1;
    },
  });
  console.log(totalsText(totals, (performance.now() - startedMs) / 1_000));
  if (earliest < Infinity) console.log(`  the first seed that broke a promise: ${earliest}`);
}

function wholeNumber(name: string, text: string): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw new Error(`--${name} is a whole number, not "${text}"`);
  return value;
}
