import { spawnSync } from "node:child_process";
import { readFileSync, readdirSync, readlinkSync, realpathSync } from "node:fs";
import { basename, sep } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

const pollMs = 20;

/** How long a process may take to vanish after SIGKILL (it may be stuck in disk I/O). */
const killedMsMax = 10_000;

/** Whether the process runs. A zombie does not: nobody may ever reap it inside a container. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM means that it exists and belongs to somebody else.
    return errorCode(error) === "EPERM";
  }
  if (process.platform !== "linux") return true;
  const stat = readOrNull(() => readFileSync(`/proc/${pid}/stat`, "latin1"));
  // The state follows the program's name, which stands in brackets and may itself hold brackets.
  return stat !== null && !stat.slice(stat.lastIndexOf(")")).startsWith(") Z");
}

/**
 * Whether the process works inside the folder. A pid alone proves nothing, since it may have been
 * given to another program, and Redis and PostgreSQL rewrite their command lines.
 */
export function worksInside(pid: number, folder: string): boolean {
  const place = isAlive(pid) ? workingFolder(pid) : null;
  const home = readOrNull(() => realpathSync(folder));
  return place !== null && home !== null && (place === home || place.startsWith(home + sep));
}

/**
 * The living processes that were started to work inside the folder: those that write their errors to a
 * file in it, as an engine does whatever its program is called (Debian's redis-server is redis-check-rdb
 * to the system), and the tools named. A shell or a pager of somebody who looks around is neither. Linux
 * only.
 */
export function startedInside(folder: string, tools: RegExp): number[] {
  if (process.platform !== "linux") return [];
  const home = readOrNull(() => realpathSync(folder));
  if (home === null) return [];
  const belongs = (pid: number): boolean => {
    const errors = readOrNull(() => readlinkSync(`/proc/${pid}/fd/2`));
    if (errors?.startsWith(home + sep) === true) return true;
    const program = readOrNull(() => readlinkSync(`/proc/${pid}/exe`));
    return program !== null && tools.test(basename(program));
  };
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => pid > 1 && pid !== process.pid)
    .filter((pid) => belongs(pid) && worksInside(pid, folder));
}

/** The command line with its arguments parted by spaces, or null when it cannot be read. */
export function commandLine(pid: number): string | null {
  if (!isAlive(pid)) return null;
  if (process.platform === "linux") {
    const raw = readOrNull(() => readFileSync(`/proc/${pid}/cmdline`, "utf8"));
    return raw === null ? null : raw.split("\0").join(" ").trim();
  }
  const { status, stdout } = spawnSync("ps", ["-o", "args=", "-p", String(pid)]);
  return status === 0 ? stdout.toString("utf8").trim() : null;
}

/** Signals the process's whole group where it leads one, else the process. False: it is gone. */
export function signalGroup(pid: number, signal: NodeJS.Signals): boolean {
  for (const target of [-pid, pid]) {
    try {
      process.kill(target, signal);
      return true;
    } catch (error) {
      if (errorCode(error) !== "ESRCH") throw error;
    }
  }
  return false;
}

/** Ends a process that is not our child: `signal` first, SIGKILL to its group after `orderlyMs`. */
export async function endProcess(
  pid: number,
  how: { readonly signal: NodeJS.Signals; readonly orderlyMs: number },
): Promise<void> {
  if (how.signal !== "SIGKILL") {
    // Only the leader gets the polite signal: PostgreSQL and Java end their own helpers.
    if (!signalOne(pid, how.signal) || (await isGone(pid, how.orderlyMs))) return;
  }
  if (!signalGroup(pid, "SIGKILL") || (await isGone(pid, killedMsMax))) return;
  throw new Error(`Process ${pid} is still there ${killedMsMax} ms after SIGKILL. End it by hand.`);
}

async function isGone(pid: number, waitMsMax: number): Promise<boolean> {
  const deadlineMs = performance.now() + waitMsMax;
  while (isAlive(pid)) {
    if (performance.now() > deadlineMs) return false;
    await delay(pollMs);
  }
  return true;
}

function signalOne(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if (errorCode(error) === "ESRCH") return false;
    throw error;
  }
}

function workingFolder(pid: number): string | null {
  if (process.platform === "linux") return readOrNull(() => readlinkSync(`/proc/${pid}/cwd`));
  const { status, stdout } = spawnSync("lsof", ["-a", "-d", "cwd", "-Fn", "-p", String(pid)]);
  const line = stdout
    ?.toString("utf8")
    .split("\n")
    .find((entry) => entry.startsWith("n"));
  return status === 0 && line !== undefined ? line.slice(1) : null;
}

/** What the system says of a process may be gone or forbidden by the time it is read. */
function readOrNull(read: () => string): string | null {
  try {
    return read();
  } catch {
    // Gone, or another user's: either way it is none of ours.
    return null;
  }
}

/** The system's code of an error ("ENOENT"), or undefined. */
export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}
