import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { availableParallelism, cpus, totalmem } from "node:os";

/** What a number was measured on and with; without it a number is not published. */
export type Machine = {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly node: string;
  readonly system: string;
  readonly commit: string | null;
  /** Whether the working tree differed from the commit; null without a commit. */
  readonly dirty: boolean | null;
};

export function describeMachine(): Machine {
  const commit = git(["rev-parse", "--short=12", "HEAD"]);
  const status = git(["status", "--porcelain"]);
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown CPU",
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    system: `${process.platform} ${process.arch}`,
    commit,
    dirty: commit === null || status === null ? null : status !== "",
  };
}

/** The machine in one line. */
export function machineText(machine: Machine): string {
  const { cpu, cores, memoryGiB, node, system, commit, dirty } = machine;
  const tree =
    commit === null ? "unknown commit" : `commit ${commit}${dirty === true ? " + changes" : ""}`;
  return `${cpu}, ${cores} cores, ${memoryGiB} GiB, ${system}, Node ${node}, ${tree}`;
}

/** A process's resident memory in MiB; null where it cannot be learned. */
export function residentMiB(pid: number): number | null {
  try {
    const text = readFileSync(`/proc/${pid}/status`, "utf8");
    const kiB = Number(/^VmRSS:\s+(\d+) kB/m.exec(text)?.[1] ?? Number.NaN);
    return Number.isNaN(kiB) ? null : Math.round(kiB / 1024);
  } catch {
    // No /proc on this system, or the process is gone: there is no number to print.
    return null;
  }
}

/** The flags that a Node process was started with; none where that cannot be learned. */
export function nodeFlagsOf(pid: number | null): readonly string[] {
  if (pid === null) return [];
  try {
    const [, ...words] = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    const script = words.findIndex((word) => !word.startsWith("--"));
    return words.slice(0, Math.max(0, script));
  } catch {
    // No /proc on this system, or another user's process.
    return [];
  }
}

function git(args: readonly string[]): string | null {
  // Whose clone it is does not matter: nothing of it is run that npm has not run already.
  const { status, stdout } = spawnSync("git", ["-c", "safe.directory=*", ...args], {
    cwd: import.meta.dirname,
    encoding: "utf8",
  });
  return status === 0 ? stdout.trim() : null;
}
