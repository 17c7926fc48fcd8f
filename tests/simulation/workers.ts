// Runs many sales on all cores: one worker thread each, small parts of the work at a time.
import { Worker } from "node:worker_threads";
import type { Mechanism } from "@stampede/domain";
import type { SaleOutcome } from "./sale.ts";

export type Task = {
  readonly mechanism: Mechanism;
  readonly seed: number;
  /** Runs it again, to see that it is the same sale. */
  readonly twice: boolean;
};

export type TaskResult = Omit<SaleOutcome, "lines">;

const TASKS_PER_MESSAGE = 20;

export async function runTasks(
  tasks: readonly Task[],
  options: {
    readonly workers: number;
    readonly onResult: (result: TaskResult) => void;
    /** Ends before the last task where it says so. */
    readonly until?: () => boolean;
  },
): Promise<void> {
  let next = 0;
  const work = async (): Promise<void> => {
    const worker = new Worker(new URL("worker.ts", import.meta.url));
    try {
      while (next < tasks.length && options.until?.() !== true) {
        const part = tasks.slice(next, next + TASKS_PER_MESSAGE);
        next += part.length;
        const results = await new Promise<readonly TaskResult[]>((resolve, reject) => {
          worker.once("message", resolve);
          worker.once("error", reject);
          // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, no window
          worker.postMessage(part);
        });
        worker.removeAllListeners("error");
        for (const result of results) options.onResult(result);
      }
    } finally {
      await worker.terminate();
    }
  };
  await Promise.all(Array.from({ length: options.workers }, work));
}
