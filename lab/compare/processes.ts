// What the kernel counts: CPU of processes with all their children, dropped connections, memory.
// Everything is null or absent where there is no /proc.
import { readdirSync, readFileSync } from "node:fs";

import { residentMiB } from "../crowd/machine.ts";

/** Linux tells CPU in hundredths of a second to programs, whatever its own timer does. */
const microsPerTick = 10_000;
const sampleEveryMs = 50;

type Stat = {
  readonly pid: number;
  readonly parent: number;
  /** Ticks of the process itself, and of children that have ended. */
  readonly user: number;
  readonly system: number;
  readonly endedChildren: number;
};

/** CPU in microseconds. The total is finer than the ticks that its two parts are counted in. */
export type CpuMicros = {
  readonly total: number;
  readonly user: number;
  readonly system: number;
};

/**
 * CPU so far of each process, with children that live and children that were waited for: PostgreSQL's
 * work is done by children. Processes that cannot be read are left out.
 */
export function cpuMicrosOf(pids: Readonly<Record<string, number>>): Record<string, CpuMicros> {
  const families = readFamilies();
  return Object.fromEntries(
    Object.entries(pids).flatMap(([name, pid]) => {
      const family = families(pid);
      return family.length === 0 ? [] : [[name, cpuOf(family)]];
    }),
  );
}

/** The process and its children, theirs too; nobody where it cannot be read. */
function readFamilies(): (pid: number) => readonly Stat[] {
  const stats = readStats();
  const children = Map.groupBy(stats.values(), ({ parent }) => parent);
  const withChildren = (stat: Stat): readonly Stat[] => [
    stat,
    ...(children.get(stat.pid) ?? []).flatMap(withChildren),
  ];
  return (pid) => {
    const stat = stats.get(pid);
    return stat === undefined ? [] : withChildren(stat);
  };
}

function cpuOf(family: readonly Stat[]): CpuMicros {
  const sum = (value: (stat: Stat) => number): number =>
    family.reduce((all, stat) => all + value(stat), 0);
  return {
    total: sum((stat) => {
      // The scheduler's own account knows nanoseconds, but not of threads that have ended.
      const own = (stat.user + stat.system) * microsPerTick;
      return Math.max(own, threadMicrosOf(stat.pid)) + stat.endedChildren * microsPerTick;
    }),
    user: sum(({ user }) => user * microsPerTick),
    system: sum(({ system }) => system * microsPerTick),
  };
}

/** CPU of a process's living threads; 0 where the kernel does not tell. */
function threadMicrosOf(pid: number): number {
  return readNames(`/proc/${pid}/task`).reduce((sum, thread) => {
    const [nanos] = (read(`/proc/${pid}/task/${thread}/schedstat`) ?? "").split(" ");
    return sum + Number(nanos || 0) / 1_000;
  }, 0);
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

/** The process and its children, theirs too: a server with workers is all of them. */
export function familyOf(pid: number): readonly number[] {
  return readFamilies()(pid).map((stat) => stat.pid);
}

/** Of a process and its children. */
export function familyMiB(family: readonly number[]): number {
  return family.reduce((sum, pid) => sum + (residentMiB(pid) ?? 0), 0);
}

/** Watches a program's resident memory until it is stopped. */
export function memorySampler(pid: number | null): {
  readonly stop: () => { readonly before: number; readonly max: number } | null;
} {
  if (pid === null || residentMiB(pid) === null) return { stop: () => null };
  const family = familyOf(pid);
  const before = familyMiB(family);
  let max = before;
  const sample = (): void => {
    max = Math.max(max, familyMiB(family));
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
  const endedChildren = (childrenUser ?? 0) + (childrenSystem ?? 0);
  const own = { user: user ?? 0, system: system ?? 0 };
  return { pid, parent: Number(fields[1]), ...own, endedChildren };
}

function readPids(): number[] {
  return readNames("/proc")
    .map(Number)
    .filter((pid) => pid > 0);
}

function readNames(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    // No /proc on this system, or the process has ended: nothing is known of it.
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
