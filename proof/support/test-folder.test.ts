// What a run of tests leaves behind: nothing, also where a test was interrupted and ended none of its own.
//
// Red when `workingInside` in proof/support/test-folder.ts finds nobody.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { isAlive } from "@stampede/launcher";
import { withTestFolder } from "./test-folder.ts";

const skip = process.platform === "linux" ? false : "whose folder a process has is read from /proc";

test(
  "an engine that an interrupted test left is ended, and its folder removed",
  { skip },
  async () => {
    const left: { folder: string; pid: number }[] = [];
    const interrupted = withTestFolder(async (folder) => {
      const data = join(folder, "stampede-fault-1", "redis");
      mkdirSync(data, { recursive: true });
      writeFileSync(join(data, "appendonly.aof"), "data");
      // Deaf to a polite end, and in a group of its own, as an engine is.
      const program = 'process.on("SIGTERM", () => {}); setInterval(() => {}, 1_000)';
      const options = { cwd: data, detached: true, stdio: "ignore" } as const;
      const engine = spawn(process.execPath, ["-e", program], options);
      await once(engine, "spawn");
      engine.unref();
      left.push({ folder, pid: engine.pid! });
      throw new Error("interrupted");
    });
    await assert.rejects(interrupted, /interrupted/);
    assert.equal(left.length, 1);
    for (const { folder, pid } of left) {
      assert.equal(isAlive(pid), false);
      assert.equal(existsSync(folder), false);
    }
  },
);
