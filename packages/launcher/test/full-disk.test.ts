// A disk that is full under the whole data folder. Red when a line of the log, a record or a pid that
// cannot be written ends the launcher (logs.ts, `remembering` in launcher.ts, child.ts).
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { isAlive } from "../src/processes.ts";
import { missing, until } from "../testing/index.ts";
import { launcherFolder, recorded, START_MS_MAX } from "./launcher-process.ts";

const diskMegabytes = 160;
const linesMax = 2_000;

test(
  "a full disk ends nobody: it is told, and all goes on once there is room",
  { skip: missing("postgres", "redis") || noSmallDisk() },
  async (t) => {
    const disk = smallDisk();
    const { start, folder } = launcherFolder(t, disk);
    // After the launcher's own end: hooks run in the order in which they were added.
    t.after(() => removeDisk(disk));
    const launcher = start();
    await launcher.prints("Stop  ");
    const { url } = JSON.parse(readFileSync(join(folder, "server.json"), "utf8"));
    const before = recorded(folder).pids;

    const ballast = join(disk, "ballast");
    fill(disk, ballast);
    for (let line = 0; line < linesMax && !launcher.output().includes("loses lines"); line += 1) {
      await fetch(`${url}/talk`, { method: "POST" });
    }
    await launcher.prints("The log loses lines. There is no room on the disk");
    process.kill(before.redis ?? 0, "SIGKILL");
    await launcher.prints("Redis ended by SIGKILL. Starting it again. The disk of ");
    assert.match(launcher.output(), / has \d MB left: make room, and it goes on by itself/);
    // It may find the room that its own pid has left, or not.
    await until(
      () => /Redis (?:is back|does not start again)/.test(launcher.output()),
      "it is started again",
      { msMax: START_MS_MAX },
    );
    assert.ok(isAlive(launcher.pid), "the launcher outlives a full disk");

    rmSync(ballast);
    await launcher.prints("Redis is back");
    await until(() => recorded(folder).pids.redis !== before.redis, "what runs is noted again", {
      msMax: START_MS_MAX,
    });
    await fetch(`${url}/talk`, { method: "POST" });
    await launcher.prints("The log is written again");
    launcher.signal("SIGINT");
    assert.equal(await launcher.exited, 0);
  },
);

function noSmallDisk(): string | false {
  if (process.platform === "linux" && process.getuid?.() === 0) return false;
  const reason = "only root may mount the small disk that the test fills";
  if (process.env["STAMPEDE_NO_SKIPS"] === "1") throw new Error(reason);
  return reason;
}

function smallDisk(): string {
  const folder = mkdtempSync(join(tmpdir(), "stampede-disk-"));
  const size = `size=${diskMegabytes}m`;
  const { status, stderr } = spawnSync("mount", ["-t", "tmpfs", "-o", size, "stampede", folder]);
  assert.equal(status, 0, String(stderr));
  return folder;
}

function removeDisk(folder: string): void {
  spawnSync("umount", ["--lazy", folder]);
  rmSync(folder, { recursive: true, force: true });
}

function fill(disk: string, ballast: string): void {
  const { bavail, bsize } = statfsSync(disk);
  try {
    writeFileSync(ballast, Buffer.alloc(bavail * bsize));
  } catch (error) {
    // Who lives on the disk took some of the space meanwhile: full is what it is to be.
    if (!(error instanceof Error) || !error.message.includes("ENOSPC")) throw error;
  }
}
