// What the kernel counts: CPU of processes with all their children, dropped connections, memory.
// Everything is null or absent where there is no /proc.
import { readdirSync, readFileSync } from "node:fs";

import { residentMiB } from "../crowd/machine.ts";

/** Linux tells CPU in hundredths of a second to programs, whatever its own timer does. */
const microsPerTick = 10_000;
const sampleEveryMs = 50;

type Stat = { readonly pid: number; readonly parent: number; readonly ticks: number };

/**
 * CPU so far of each process, with children that live and children that were waited for, in
 * microseconds: PostgreSQL's work is done by children. Processes that cannot be read are left out.
 */
export function cpuMicrosOf(pids: Readonly<Record<string, number>>): Record<string, number> {
  const stats = readStats();
  const children = Map.groupBy(stats.values(), ({ parent }) => parent);
  const ticksOf = (stat: Stat): number =>
    (children.get(stat.pid) ?? []).reduce((sum, child) => sum + ticksOf(child), stat.ticks);
  return Object.fromEntries(
    Object.entries(pids).flatMap(([name, pid]) => {
      const stat = stats.get(pid);
      return stat === undefined ? [] : [[name, ticksOf(stat) * microsPerTick]];
    }),
  );
}

/** Connections that the kernel dropped since the machine started, since a listener was too slow. */
export function listenOverflows(): number | null {
  const text = read("/proc/net/netstat");
  return text === null ? null : listenOverflowsIn(text);
}

/** The file has a line of names and a line of values for each protocol. */
export function listenOverflowsIn(netstat: string): number | null {
  const [names, values] = netstat.split("\n").filter((line) => line.startsWith("TcpExt:"));
  const index = names?.split(" ").indexOf("ListenOverflows") ?? -1;
  const value = Number(values?.split(" ")[index] ?? Number.NaN);
  return index === -1 || Number.isNaN(value) ? null : value;
}

/** Watches a process's resident memory until it is stopped. */
export function memorySampler(pid: number | null): {
  readonly stop: () => { readonly before: number; readonly max: number } | null;
} {
  const before = pid === null ? null : residentMiB(pid);
  if (pid === null || before === null) return { stop: () => null };
  let max = before;
  const sample = (): void => {
    max = Math.max(max, residentMiB(pid) ?? 0);
  };
  const timer = setInterval(sample, sampleEveryMs);
  return {
    stop: () => {
      clearInterval(timer);
      sample();
      return { before, max };
    },
  };
}

function readStats(): Map<number, Stat> {
  const stats = new Map<number, Stat>();
  for (const pid of readPids()) {
    const text = read(`/proc/${pid}/stat`);
    if (text !== null) stats.set(pid, statOf(pid, text));
  }
  return stats;
}

/** The second field is a program's name and may hold anything, so counting starts behind it. */
export function statOf(pid: number, text: string): Stat {
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const [user, system, childrenUser, childrenSystem] = fields.slice(11, 15).map(Number);
  const ticks = (user ?? 0) + (system ?? 0) + (childrenUser ?? 0) + (childrenSystem ?? 0);
  return { pid, parent: Number(fields[1]), ticks };
}

function readPids(): number[] {
  try {
    return readdirSync("/proc")
      .map(Number)
      .filter((pid) => pid > 0);
  } catch {
    // No /proc on this system: nothing is known of any process.
    return [];
  }
}

function read(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // Not on this system, or the process has ended since the folder was listed.
    return null;
  }
}
