// A folder for all that a run of tests writes, and an end for whatever still works in it. Engines lead
// groups of their own, so a test that is interrupted, or ended at its limit, cannot take them along.
import { spawnSync } from "node:child_process";
import { chmodSync, globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { endLeftoverServer, endProcess, programsInside } from "@stampede/infrastructure/embedded";

const KILLED = { signal: "SIGKILL", orderlyMs: 0 } as const;

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
  // A launched server works in the project's folder; its launcher keeps its number in the data folder.
  for (const path of globSync("**/server.pid", { cwd: folder })) {
    await endLeftoverServer(join(folder, path), "SIGKILL");
  }
  for (const pid of programsInside(folder, /./)) await endProcess(pid, KILLED);
  for (const place of mountsInside(folder)) spawnSync("umount", [place]);
}

function mountsInside(folder: string): string[] {
  if (process.platform !== "linux") return [];
  return readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "")
    .filter((place) => place.startsWith(`${folder}/`));
}
