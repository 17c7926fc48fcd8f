// `npm run lab` as a process: what a script sees of it.
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { test, type TestContext } from "node:test";

import { scenarioOf, type Comparison } from "@stampede/lab/compare";

import { fakeShop } from "./support/fake-shop.ts";
import { madeRun } from "./support/made-run.ts";

const command = join(import.meta.dirname, "..", "..", "lab", "compare", "main.ts");

type Ended = { readonly code: number | null; readonly out: string; readonly err: string };

function start(t: TestContext, args: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
  const child = spawn(process.execPath, [command, ...args], {
    env: { PATH: process.env["PATH"], ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  t.after(() => child.kill("SIGKILL"));
  return child;
}

async function end(child: ChildProcess): Promise<Ended> {
  const { stdout, stderr } = child;
  assert.ok(stdout !== null && stderr !== null);
  const [[code], out, err] = await Promise.all([once(child, "exit"), text(stdout), text(stderr)]);
  return { code, out, err };
}

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "stampede-lab-test-"));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

test("tells its commands and options and exits with 0", async (t) => {
  const { code, out } = await end(start(t, ["--help"]));
  assert.equal(code, 0);
  assert.match(out, /compare .*report .*scenarios/s);
});

test("lists the scenarios", async (t) => {
  const { code, out } = await end(start(t, ["scenarios"]));
  assert.equal(code, 0);
  assert.match(out, /^rush +10,000 people, 100 coupons$/m);
});

test("exits with 2 on an option that is none, before anything is started", async (t) => {
  const { code, err } = await end(start(t, ["compare", "--colour", "red"]));
  assert.equal(code, 2);
  assert.match(err, /Unknown option '--colour'/);
  assert.doesNotMatch(err, /private program/);
});

test("exits with 2 on a scenario that is none, before anything is started", async (t) => {
  const { code, err } = await end(start(t, ["compare", "--scenario", "picnic"]));
  assert.equal(code, 2);
  assert.match(err, /There is no scenario "picnic": it is one of everyone-wins,/);
  assert.doesNotMatch(err, /private program/);
});

test("makes the report of a comparison's JSON again", async (t) => {
  const out = folder(t);
  const file = join(out, "comparison.json");
  const comparison: Comparison = {
    format: "stampede-comparison-1",
    scenario: scenarioOf("small", { people: 1, limit: 1 }).scenario,
    environment: {
      startedAt: "2026-12-01T00:00:00.000Z",
      command: "npm run lab -- compare",
      commit: "0123456789ab",
      dirty: false,
      cpu: "one",
      cores: 1,
      memoryGib: 1,
      platform: "linux x64",
      versions: { node: "26.0.0" },
      durability: {},
    },
    subjects: ["row-lock"],
    runs: [madeRun({})],
    sameAgainstSame: [],
    target: null,
  };
  writeFileSync(file, JSON.stringify(comparison));
  const { code, err } = await end(start(t, ["report", file]));
  assert.equal(code, 0, err);
  assert.match(err, /written: .*\.html/);
});

test("refuses to make a report of something else", async (t) => {
  const file = join(folder(t), "other.json");
  writeFileSync(file, "{}");
  const { code, err } = await end(start(t, ["report", file]));
  assert.equal(code, 1);
  assert.match(err, /is no comparison of this version/);
});

test("cleans up on Ctrl-C, says that no results were written, and exits with 130", async (t) => {
  // Its database is a port that takes connections and says nothing, so the lab waits for it.
  const { url, adminToken } = await fakeShop(t);
  const out = join(folder(t), "results");
  const env = {
    ADMIN_TOKEN: adminToken,
    DATABASE_URL: `postgres://nobody@${new URL(url).host}/none`,
  };
  const child = start(
    t,
    ["compare", "--url", url, "--people", "5", "--out", out, "--metrics-port", await freePort()],
    env,
  );
  const ended = end(child);
  await once(child.stderr ?? child, "data");
  child.kill("SIGINT");
  const { code, err } = await ended;
  assert.equal(code, 130);
  assert.match(err, /interrupted; no results were written: 0 of 5 rounds were complete/);
  assert.equal(existsSync(out), false);
});

async function freePort(): Promise<string> {
  const { createServer } = await import("node:net");
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  return String(typeof address === "object" ? address?.port : 0);
}
