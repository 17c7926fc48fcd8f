import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, fstatSync, openSync, readFileSync, rmSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import type { ProcessExit, RunningProcess } from "./engine.ts";
import { boundLog } from "./logs.ts";
import { signalGroup } from "./processes.ts";
import { writePrivateFile } from "./private-file.ts";
import { sentence } from "./system-errors.ts";

export type ChildPlan = {
  readonly command: string;
  readonly args: readonly string[];
  readonly folder: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Only for a launcher that is root: whom the child runs as. */
  readonly user?: { readonly uid: number; readonly gid: number } | undefined;
  /** All output is appended here; the file is bounded (logs.ts). */
  readonly logPath: string;
  /** Gets each line as well. The child then writes to a pipe instead of to the file. */
  readonly onLine?: ((line: string) => void) | undefined;
  /** Names the living child for whoever comes after a killed launcher. */
  readonly pidPath: string;
  readonly pidText?: ((pid: number) => string) | undefined;
  readonly stopSignal: NodeJS.Signals;
  /** How long it may take to end in order before it is killed. */
  readonly orderlyMs: number;
  /** Called once when it is gone, before `exited` resolves. */
  readonly onGone?: (() => void) | undefined;
};

export type Child = RunningProcess & {
  /** The end of what it has written since it was started. */
  lastLines(): string;
};

export type ReadyPlan = {
  /** True: ready. False: not yet. Rejects: it never will be. */
  readonly check: () => Promise<boolean>;
  readonly waitMsMax: number;
  readonly signal?: AbortSignal | undefined;
};

/** The process ended, or did not answer in time; `lastLines` is the end of its output. */
export class StartFailed extends Error {
  override readonly name = "StartFailed";
  readonly lastLines: string;

  constructor(message: string, lastLines: string) {
    super(lastLines === "" ? message : `${message} Its last lines:\n${lastLines}`);
    this.lastLines = lastLines;
  }
}

const lastLinesCharactersMax = 2_000;
const lastLinesMax = 12;
const closeMsMax = 500;
const readyPollMs = 25;

/**
 * Starts a program in a process group of its own: Ctrl-C in a terminal reaches a whole group, and
 * what must end in order (the server before its engines) may not all be told at once.
 */
export async function startChild(plan: ChildPlan): Promise<Child> {
  const { child, logStart } = spawnLogged(plan);
  const { pid } = child;
  if (pid === undefined) {
    const cause = await new Promise((resolve) => child.once("error", resolve));
    plan.onGone?.();
    throw new Error(`Cannot start ${plan.command}. ${sentence(cause)}`, { cause });
  }
  const endBound = boundLog(plan.logPath);
  const exited = new Promise<ProcessExit>((resolve) => {
    child.once("exit", (code, signal) => {
      endBound();
      forget(plan.pidPath);
      plan.onGone?.();
      // What it wrote last may still be in the pipe; a helper of its own may keep that open.
      const closed = once(child, "close");
      void Promise.race([closed, delay(closeMsMax)]).then(() => resolve({ code, signal }));
    });
  });
  // A signal to a process that has just ended is reported here; `exited` tells all that matters.
  child.on("error", () => undefined);
  let stopping: Promise<void> | null = null;
  const stop = (): Promise<void> => (stopping ??= endChild(child, exited, plan));
  try {
    writePrivateFile(plan.pidPath, plan.pidText?.(pid) ?? `${pid}\n`);
  } catch (error) {
    // A process that nobody can find again may not stay.
    await stop();
    throw error;
  }
  return {
    pid,
    exited,
    lastLines: () => lastLines(plan.logPath, logStart),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** Waits until the child answers. When it does not, it is ended before the promise rejects. */
export async function untilReady(title: string, child: Child, ready: ReadyPlan): Promise<void> {
  const deadlineMs = performance.now() + ready.waitMsMax;
  let exit: ProcessExit | null = null;
  void child.exited.then((ended) => {
    exit = ended;
    return ended;
  });
  try {
    while (!(await ready.check())) {
      ready.signal?.throwIfAborted();
      if (exit !== null) {
        throw new StartFailed(`${title} ended ${describeExit(exit)}.`, child.lastLines());
      }
      if (performance.now() > deadlineMs) {
        const sentence = `${title} did not get ready within ${ready.waitMsMax} ms.`;
        throw new StartFailed(sentence, child.lastLines());
      }
      await delay(readyPollMs);
    }
    ready.signal?.throwIfAborted();
  } catch (error) {
    await child.stop();
    throw error;
  }
}

export function describeExit(exit: ProcessExit): string {
  return exit.signal === null ? `with exit code ${exit.code}` : `by ${exit.signal}`;
}

/** Called where nobody could catch what it throws. */
function forget(pidPath: string): void {
  try {
    rmSync(pidPath, { force: true });
  } catch {
    // A file system that has become read-only keeps it; whoever reads it looks whether the process lives.
  }
}

function lastLines(path: string, start: number): string {
  const all = readFileSync(path);
  // It has been cut meanwhile.
  const own = start > all.length ? all : all.subarray(start);
  const text = own.toString("utf8").slice(-lastLinesCharactersMax);
  return text.trimEnd().split("\n").slice(-lastLinesMax).join("\n");
}

function spawnLogged(plan: ChildPlan): { child: ChildProcess; logStart: number } {
  const log = openSync(plan.logPath, "a", 0o600);
  try {
    const logStart = fstatSync(log).size;
    const output = plan.onLine === undefined ? log : "pipe";
    const child = spawn(plan.command, plan.args, {
      cwd: plan.folder,
      env: plan.environment,
      detached: true,
      stdio: ["ignore", output, output],
      ...plan.user,
    });
    for (const stream of [child.stdout, child.stderr]) {
      if (stream !== null && plan.onLine !== undefined) {
        createInterface({ input: stream }).on("line", plan.onLine);
      }
    }
    return { child, logStart };
  } finally {
    closeSync(log);
  }
}

async function endChild(
  child: ChildProcess,
  exited: Promise<ProcessExit>,
  plan: ChildPlan,
): Promise<void> {
  const { pid } = child;
  if (pid === undefined || child.exitCode !== null || child.signalCode !== null) {
    await exited;
    return;
  }
  child.kill(plan.stopSignal);
  const timer = setTimeout(() => signalGroup(pid, "SIGKILL"), plan.orderlyMs);
  await exited;
  clearTimeout(timer);
}
