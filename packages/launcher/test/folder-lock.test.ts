import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { tryLock, waitForLock } from "../src/folder-lock.ts";

test("a lock has one holder, also inside one process, and is free once released", (t) => {
  const path = lockPath(t);
  const first = tryLock(path);
  assert.ok(first !== null);
  assert.equal(tryLock(path), null);
  first.release();
  first.release();
  const second = tryLock(path);
  assert.ok(second !== null);
  second.release();
});

test("whoever waits for a lock is told so once and gets it when its holder is killed", async (t) => {
  const path = lockPath(t);
  const module = new URL("../src/folder-lock.ts", import.meta.url).href;
  const code = `import { tryLock } from ${JSON.stringify(module)};
    globalThis.kept = tryLock(${JSON.stringify(path)});
    console.log("held");
    setInterval(() => globalThis.kept, 1_000);`;
  const holder = spawn(process.execPath, ["--input-type=module", "--eval", code], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.after(() => holder.kill("SIGKILL"));
  await once(holder.stdout, "data");
  let waits = 0;
  const waiting = waitForLock(path, {
    onWait: () => {
      waits += 1;
      holder.kill("SIGKILL");
    },
  });
  const lock = await waiting;
  assert.equal(waits, 1);
  assert.equal(tryLock(path), null);
  lock.release();
});

function lockPath(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "stampede-lock-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "lock");
}
