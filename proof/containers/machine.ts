// A machine of its own for a container engine: a Debian root in namespaces of its own, with a dockerd that
// nobody else sees. Whatever happens in it, all of it ends with its first process.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { until } from "@stampede/launcher/testing";
import { must, runToEnd } from "./tool.ts";
import type { Outcome, RunOptions } from "./tool.ts";

/** Where the machine has the clone: a folder as people have it. */
export const PLACE = "/srv/바탕화면 (1)/stampede";

const engineMsMax = 60_000;
const pollMs = 200;
const stopMsMax = 30_000;

/** Nothing but images stays from run to run, also after one that was killed. */
const empty = `
  docker ps --all --quiet | xargs --no-run-if-empty docker rm --force --volumes >/dev/null
  docker network prune --force >/dev/null
  docker volume prune --all --force >/dev/null
  docker image prune --force >/dev/null
  docker builder prune --force --keep-storage 6GB >/dev/null`;

export type Machine = { readonly pid: number; readonly stop: () => Promise<void> };

export type MachinePlan = {
  /** The folder that is kept from run to run. */
  readonly cache: string;
  /** The folder that the machine has at PLACE. */
  readonly clone: string;
};

/** Starts the machine, and resolves when its container engine answers. */
export async function startMachine({ cache, clone }: MachinePlan): Promise<Machine> {
  const cgroup = `stampede-containers-${process.pid}`;
  const init = [
    join(import.meta.dirname, "machine-init.sh"),
    join(cache, "machine"),
    join(cache, "docker"),
    join(cache, "parts"),
    clone,
    PLACE,
    join(cache, "lock"),
    cgroup,
  ];
  const namespaces = ["--mount", "--pid", "--net", "--ipc", "--uts", "--propagation", "private"];
  // Ended with this process, even where it is killed; unshare then kills what it started.
  const unshare = ["--pdeathsig", "KILL", "unshare", ...namespaces, "--fork", "--kill-child=KILL"];
  const outer = spawn("setpriv", [...unshare, "sh", ...init], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const words = wordsOf(outer);
  const pid = await firstProcess(outer, words);
  // The outside by a program in between: no interface and no rule is added to this machine.
  const way = ["--configure", "--mtu=1400", "--disable-host-loopback", String(pid), "tap0"];
  const slirp = spawn("setpriv", ["--pdeathsig", "KILL", "slirp4netns", ...way], {
    stdio: "ignore",
  });
  const stop = async (): Promise<void> => {
    if (outer.exitCode === null) await runIn(pid, ["sh", "-c", empty]);
    await stopMachine(outer, pid);
    if (slirp.exitCode === null) slirp.kill("SIGKILL");
    removeCgroups(cgroup);
  };
  try {
    const answers = async (): Promise<boolean> => {
      if (outer.exitCode !== null) throw new Error(`the machine ended:\n${words()}`);
      return (await runIn(pid, ["docker", "info"])).code === 0;
    };
    await until(answers, "the container engine answers", { msMax: engineMsMax, pollMs });
    await mustIn(pid, ["sh", "-c", empty]);
  } catch (error) {
    await stop();
    throw new Error(`there is no container engine here. dockerd said:\n${words()}`, {
      cause: error,
    });
  }
  return { pid, stop };
}

function wordsOf(child: ChildProcess): () => string {
  let words = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (part: Buffer) => {
      words = (words + part.toString("utf8")).slice(-4_000);
    });
  }
  return () => words;
}

async function firstProcess(outer: ChildProcess, words: () => string): Promise<number> {
  const children = `/proc/${outer.pid}/task/${outer.pid}/children`;
  let pid = 0;
  const found = async (): Promise<boolean> => {
    if (outer.exitCode !== null) throw new Error(`no machine could be made: ${words().trim()}`);
    pid = existsSync(children) ? Number(readFileSync(children, "utf8").trim()) : 0;
    return pid > 0;
  };
  await until(found, "the machine has a first process", { msMax: 10_000, pollMs: 20 });
  return pid;
}

async function stopMachine(outer: ChildProcess, pid: number): Promise<void> {
  if (outer.exitCode !== null) return;
  const gone = once(outer, "exit");
  try {
    process.kill(pid, "SIGTERM");
  } catch {
    // It ended in this moment.
  }
  const late = new Promise((resolve) => setTimeout(resolve, stopMsMax, "late").unref());
  if ((await Promise.race([gone, late])) === "late") outer.kill("SIGKILL");
  await gone;
}

/** The kernel keeps an empty folder for each group that there was. */
function removeCgroups(name: string): void {
  const base = "/sys/fs/cgroup";
  for (const place of ["", ...readdirSync(base)]) removeFolders(join(base, place, name));
}

function removeFolders(folder: string): void {
  if (!existsSync(folder)) return;
  const inner = readdirSync(folder, { withFileTypes: true }).filter((one) => one.isDirectory());
  for (const { name } of inner) removeFolders(join(folder, name));
  try {
    rmdirSync(folder);
  } catch {
    // A process of it is still ending: an empty group more does no harm.
  }
}

function inMachine(pid: number, args: readonly string[], folder: string): readonly string[] {
  const path = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
  const own = ["env", "-u", "TMPDIR", "-C", folder, path, "HOME=/root"];
  return ["--all", "--target", String(pid), ...own, ...args];
}

/** Runs a program of the machine, in the machine. */
export function runIn(
  pid: number,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Outcome> {
  const { folder = "/", ...others } = options;
  return runToEnd("nsenter", inMachine(pid, args, folder), others);
}

export function mustIn(
  pid: number,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const { folder = "/", ...others } = options;
  return must("nsenter", inMachine(pid, args, folder), others);
}
