// Runs many sales on all cores: some worker threads, each with a small part of the work at a time. A worker
// takes as long to start as it takes for a hundred sales, so one set of them serves every mechanism.
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

export type Workers = AsyncDisposable & {
  /** Works on all of them; one call at a time. */
  readonly run: (
    tasks: readonly Task[],
    options: {
      readonly onResult: (result: TaskResult) => void;
      /** Ends before the last task where it says so. */
      readonly until?: () => boolean;
    },
  ) => Promise<void>;
};

const TASKS_PER_MESSAGE = 20;

export function openWorkers(count: number): Workers {
  const workers = Array.from(
    { length: count },
    () => new Worker(new URL("worker.ts", import.meta.url)),
  );
  return {
    async run(tasks, options) {
      let next = 0;
      const work = async (worker: Worker): Promise<void> => {
        while (next < tasks.length && options.until?.() !== true) {
          const part = tasks.slice(next, next + TASKS_PER_MESSAGE);
          next += part.length;
          for (const result of await resultsOf(worker, part)) options.onResult(result);
        }
      };
      await Promise.all(workers.map(work));
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(workers.map(async (worker) => worker.terminate()));
    },
  };
}

async function resultsOf(worker: Worker, part: readonly Task[]): Promise<readonly TaskResult[]> {
  // Of an error in an earlier part it has ended, and would never answer.
  if (worker.threadId === -1) throw new Error("a worker of the simulation has ended");
  const { promise, resolve, reject } = Promise.withResolvers<readonly TaskResult[]>();
  worker.once("message", resolve);
  worker.once("error", reject);
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, no window
  worker.postMessage(part);
  return promise.finally(() => worker.removeAllListeners("error"));
}
