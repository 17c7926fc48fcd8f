import { setTimeout as delay } from "node:timers/promises";
import { describeExit } from "./child.ts";
import type { RunningProcess } from "./engine.ts";
import { sentence } from "./system-errors.ts";

export type Supervision<Running extends RunningProcess> = {
  readonly title: string;
  readonly running: Running;
  /** Starts the next one. It is called again, later, when it rejects. */
  readonly restart: (signal: AbortSignal) => Promise<Running>;
  readonly report: (line: string) => void;
  /** After a death (null) and after a new start. */
  readonly onChange: (running: Running | null) => void;
  /** Once aborted nothing is started again; `stop` is still to be called. */
  readonly signal?: AbortSignal;
  readonly backOff?: BackOff;
};

type BackOff = {
  readonly firstMs: number;
  readonly lastMs: number;
  /** Who lived this long has earned the shortest wait again. */
  readonly goodLifeMs: number;
};

/** Ends the supervision first and then the process, so that nothing is started again. */
export type Supervised = { stop(): Promise<void> };

/** What went wrong the same way again is told as often as this. */
const sameAgainMs = 60_000;

const patience: BackOff = { firstMs: 100, lastMs: 5_000, goodLifeMs: 30_000 };

/** Starts a process again whenever it ends without having been told to. */
export function supervise<Running extends RunningProcess>(plan: Supervision<Running>): Supervised {
  const stopping = new AbortController();
  const signal =
    plan.signal === undefined ? stopping.signal : AbortSignal.any([stopping.signal, plan.signal]);
  const { firstMs, lastMs, goodLifeMs } = plan.backOff ?? patience;
  let running: Running | null = plan.running;
  let waitMs = firstMs;
  const complain = complaints(plan.report);

  const startAgain = async (): Promise<void> => {
    while (running === null && !signal.aborted) {
      await delay(waitMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      waitMs = Math.min(waitMs * 2, lastMs);
      try {
        running = await plan.restart(signal);
        plan.onChange(running);
        plan.report(`${plan.title} is back (process ${running.pid}).`);
      } catch (error) {
        // The wait grows, and the cause may go away by itself.
        if (!signal.aborted) complain(`${plan.title} does not start again: ${sentence(error)}`);
      }
    }
  };
  const watch = async (): Promise<void> => {
    while (running !== null && !signal.aborted) {
      const bornMs = performance.now();
      const exit = await running.exited;
      if (signal.aborted) return;
      running = null;
      plan.onChange(null);
      plan.report(`${plan.title} ended ${describeExit(exit)}. Starting it again.`);
      if (performance.now() - bornMs >= goodLifeMs) waitMs = firstMs;
      await startAgain();
    }
  };
  const watching = watch();
  return {
    async stop() {
      stopping.abort();
      // The process first: `watching` waits for its end.
      const known = running;
      await known?.stop();
      await watching;
      // A restart that was under way may have come to its end all the same.
      if (running !== known) await running?.stop();
    },
  };
}

/** Tells the same thing, as its first line has it, once in a while. */
function complaints(report: (line: string) => void): (text: string) => void {
  let told = { line: "", atMs: 0 };
  return (text) => {
    const [line = ""] = text.split("\n");
    if (line === told.line && performance.now() - told.atMs < sameAgainMs) return;
    told = { line, atMs: performance.now() };
    report(text);
  };
}
