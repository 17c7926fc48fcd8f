// What fault cases do to processes: end them without a word, stop them in mid-step, let them go on.
// Everything goes by pid, and only to processes that the case itself has started.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { isAlive } from "@stampede/launcher";

const POLL_MS = 10;
/** How long a process may take to vanish after SIGKILL. */
const GONE_MS_MAX = 10_000;

/** Why there is no /proc to read; false where there is. */
export const procMissing: string | false =
  process.platform === "linux" ? false : "processes are looked up in /proc, which only Linux has";

/** The processes that this one has started and that still run. */
export function childrenOf(pid: number): number[] {
  if (procMissing !== false) return [];
  return readdirSync("/proc").flatMap((name) => {
    const child = Number(name);
    return Number.isInteger(child) && parentOf(child) === pid ? [child] : [];
  });
}

/**
 * SIGKILL for a process and its children, the parent first: PostgreSQL's postmaster would otherwise
 * see a child die and start over in an order of its own. Resolves when all of them are gone.
 */
export async function killTree(pid: number): Promise<void> {
  const all = [pid, ...childrenOf(pid)];
  for (const one of all) signal(one, "SIGKILL");
  const endMs = performance.now() + GONE_MS_MAX;
  while (all.some(isAlive)) {
    assert.ok(performance.now() < endMs, `${all.filter(isAlive).join()} outlived SIGKILL`);
    await pause(POLL_MS);
  }
}

/** SIGSTOP: it keeps its memory, locks and sockets, and does nothing more. Children stop first. */
export function stopTree(pid: number): void {
  for (const one of [...childrenOf(pid), pid]) signal(one, "SIGSTOP");
}

/** SIGCONT: it goes on where it was stopped and knows nothing of the time between. */
export function continueTree(pid: number): void {
  for (const one of [pid, ...childrenOf(pid)]) signal(one, "SIGCONT");
}

/** The processes of a program that serve people: its workers, or itself where it has none. */
export function serversOf(pid: number): readonly number[] {
  const workers = childrenOf(pid);
  return workers.length === 0 ? [pid] : workers;
}

/** Open files and sockets of a program (L5). */
export function descriptorsOf(pid: number): number {
  return serversOf(pid).reduce((sum, one) => sum + readdirSync(`/proc/${one}/fd`).length, 0);
}

/** The parent of a process; null where there is none any more. */
export function parentOf(pid: number): number | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The program's name stands in brackets and may hold any character: state and parent follow it.
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    // It ended while we looked.
    return null;
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    // Gone already, as after any kill of its parent; whatever else is the test's mistake.
    if ((error as { code?: string }).code !== "ESRCH") throw error;
  }
}
