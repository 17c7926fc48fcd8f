// A disk that fails: strace makes the system calls by which a program asks for its data to be durable
// fail in processes that run. What was written stays in memory, as with a real disk that has an error.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { childrenOf } from "./processes.ts";

const POLL_MS = 5;
const ATTACHED_MS_MAX = 5_000;

export type FailingDisk = {
  /** The calls succeed again. */
  readonly heal: () => Promise<void>;
};

export type FailingDiskPlan = {
  /** The process whose children fail. */
  readonly pid: number;
  /** With the process itself and those that it starts from now on. */
  readonly withNew: boolean;
};

/** Why it cannot be had; false where it can. */
export const straceMissing: string | false = missingReason();

/** From when this resolves, every fsync and fdatasync of these processes answers EIO. */
export async function failSyncs({ pid, withNew }: FailingDiskPlan): Promise<FailingDisk> {
  const children = childrenOf(pid);
  const pids = withNew ? [pid, ...children] : children;
  const fault = "inject=fsync,fdatasync:error=EIO";
  const options = [...(withNew ? ["-f"] : []), "-qq", "-o", "/dev/null", "-e", fault];
  const targets = pids.flatMap((one) => ["-p", String(one)]);
  const strace = spawn("strace", [...options, ...targets], { stdio: "ignore" });
  const ended = once(strace, "exit");
  const isRunning = (): boolean => strace.exitCode === null && strace.signalCode === null;
  const endMs = performance.now() + ATTACHED_MS_MAX;
  while (!pids.every(isTracedOrGone)) {
    assert.ok(isRunning() && performance.now() < endMs, "strace does not attach");
    await pause(POLL_MS);
  }
  return {
    async heal() {
      // It lets its processes go on as they were.
      if (isRunning()) strace.kill("SIGTERM");
      await ended;
    },
  };
}

function isTracedOrGone(pid: number): boolean {
  try {
    return !/^TracerPid:\t0$/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    // It ended while we looked.
    return true;
  }
}

function missingReason(): string | false {
  if (spawnSync("strace", ["-V"]).status !== 0) return "there is no strace to make the disk fail";
  // A process that is not strace's own child: attaching is what a kernel or a container forbids.
  const attach = 'sleep 0.5 & strace -qq -o /dev/null -e trace=none -p "$!"';
  const { status } = spawnSync("sh", ["-c", attach], { stdio: "ignore" });
  return status === 0 ? false : "strace may not attach to a running process here";
}
