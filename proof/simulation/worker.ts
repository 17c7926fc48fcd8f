import { parentPort } from "node:worker_threads";
import { runSale } from "./sale.ts";
import type { Task, TaskResult } from "./workers.ts";

// Thousands of faults a second are errors with a cause; nobody reads their stacks here.
Error.stackTraceLimit = 0;

parentPort?.on("message", (tasks: readonly Task[]) => void runAll(tasks));

async function runAll(tasks: readonly Task[]): Promise<void> {
  const results: TaskResult[] = [];
  for (const task of tasks) results.push(await run(task));
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, no window
  parentPort?.postMessage(results);
}

async function run({ mechanism, seed, twice }: Task): Promise<TaskResult> {
  const { lines: _, ...result } = await runSale(mechanism, seed);
  if (!twice) return result;
  const again = await runSale(mechanism, seed);
  if (again.trace === result.trace) return result;
  const finding = `the seed is not one history: trace ${result.trace}, then ${again.trace}`;
  return { ...result, violations: [...result.violations, finding] };
}
