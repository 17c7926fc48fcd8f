// A folder for all that a run of tests writes, and an end for whatever still works in it. Engines lead
// groups of their own, so a test that is interrupted, or ended at its limit, cannot take them along.
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  globSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { commandLine, isAlive, signalGroup } from "@stampede/launcher";

const GONE_MS_MAX = 10_000;
const POLL_MS = 20;

/** Gives tests their `TMPDIR`; nothing of it is left when the promise settles. */
export async function withTestFolder<Value>(
  use: (folder: string) => Promise<Value>,
): Promise<Value> {
  const folder = mkdtempSync(join(tmpdir(), "stampede-run-"));
  // PostgreSQL runs as another user where this one is root, and has to pass through.
  chmodSync(folder, 0o711);
  try {
    return await use(folder);
  } finally {
    await endAllInside(folder);
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function endAllInside(folder: string): Promise<void> {
  const left = [...launchedServers(folder), ...workingInside(folder)];
  for (const pid of left) signalGroup(pid, "SIGKILL");
  const endMs = performance.now() + GONE_MS_MAX;
  while (left.some(isAlive) && performance.now() < endMs) await pause(POLL_MS);
  for (const place of mountsInside(folder)) spawnSync("umount", [place]);
}

/** They work in the project's folder; their launchers keep their numbers in the data folder. */
function launchedServers(folder: string): number[] {
  return globSync("**/server.pid", { cwd: folder }).flatMap((path) => {
    const text = readFileSync(join(folder, path), "utf8");
    const { pid, script } = JSON.parse(text) as { readonly pid: number; readonly script: string };
    // The number may be another program's by now.
    return commandLine(pid)?.includes(script) === true ? [pid] : [];
  });
}

function workingInside(folder: string): number[] {
  if (process.platform !== "linux") return [];
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => pid > 1 && pid !== process.pid && workingFolder(pid).startsWith(`${folder}/`));
}

function workingFolder(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    // Gone meanwhile, or another user's: either way it is none of ours.
    return "";
  }
}

function mountsInside(folder: string): string[] {
  if (process.platform !== "linux") return [];
  return readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "")
    .filter((place) => place.startsWith(`${folder}/`));
}
