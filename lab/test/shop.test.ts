import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { runningShop, startPrivateShop } from "@stampede/lab";

const launcher = join(import.meta.dirname, "support", "fake-launcher.ts");

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    // Signal 0 only asks.
    return false;
  }
}

test("starts a private program and leaves nothing running", async () => {
  const cleanups = new AsyncDisposableStack();
  const shop = await startPrivateShop(cleanups, () => {}, [launcher, "serve"]);
  const pid = shop.pid();
  assert.ok(pid !== null && isRunning(pid));
  assert.equal(shop.adminToken, "token");
  assert.equal((await fetch(`${shop.url}/healthz`)).status, 200);
  await cleanups.disposeAsync();
  assert.ok(!isRunning(pid));
});

test("shows the end of the output of a private program that does not come up", async () => {
  await using cleanups = new AsyncDisposableStack();
  const started = startPrivateShop(cleanups, () => {}, [launcher, "fail"]);
  await assert.rejects(started, /did not come up.*Kafka needs Java 17: install it\./s);
});

test("starts nothing once it was interrupted", async () => {
  const cleanups = new AsyncDisposableStack();
  const started = startPrivateShop(cleanups, () => {}, [launcher, "serve"]);
  await cleanups.disposeAsync();
  await assert.rejects(started, /interrupted/);
});

test("finds no running server where a killed one left its files", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "stampede-shop-test-"));
  t.after(() => rmSync(folder, { recursive: true }));
  assert.equal(await runningShop(folder), null);
  const server = { url: "http://127.0.0.1:1", adminToken: "token", pid: process.pid };
  writeFileSync(join(folder, "server.json"), JSON.stringify(server));
  writeFileSync(join(folder, "engines.json"), JSON.stringify({ databaseUrl: "postgres://x" }));
  assert.equal(await runningShop(folder), null);
});
