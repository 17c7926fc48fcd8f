// `npm run lab` and `npm run rush` as a process: what a script sees of them.
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { describe, test, type TestContext } from "node:test";

import { fakeShop } from "./support/fake-shop.ts";
import { fixtureComparison, fixtureRun } from "./support/report-fixture.ts";

const command = join(import.meta.dirname, "..", "compare", "main.ts");

/** A database that is not there: port 1 refuses. */
const noDatabase = "postgres://nobody@127.0.0.1:1/none";

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

// Each of them mostly waits for a process to start, so they do that together.
describe("the command", { concurrency: true }, () => {
  test("tells its commands and options and exits with 0", async (t) => {
    const { code, out } = await end(start(t, ["--help"]));
    assert.equal(code, 0);
    assert.match(out, /compare .*report .*scenarios.*--mechanism NAME/s);
  });

  test("lists the scenarios", async (t) => {
    const { code, out } = await end(start(t, ["scenarios"]));
    assert.equal(code, 0);
    assert.match(out, /^rush +10,000 people, 100 coupons$/m);
  });

  test("exits with 2 on options that are none, before anything is started", async (t) => {
    const { code, err } = await end(start(t, ["rush", "--users", "many", "--limit", "0"]));
    assert.equal(code, 2);
    assert.match(err, /--users is an integer from 1 to 1000000, not "many"/);
    assert.match(err, /--limit is an integer/);
    assert.doesNotMatch(err, /private program/);
  });

  test("exits with 2 on a scenario that is none, before anything is started", async (t) => {
    const { code, err } = await end(start(t, ["compare", "--scenario", "picnic"]));
    assert.equal(code, 2);
    assert.match(err, /There is no scenario "picnic": it is one of everyone-wins,/);
    assert.doesNotMatch(err, /private program/);
  });

  test("exits with 1 and says what is missing to rush a server elsewhere", async (t) => {
    const { code, err } = await end(start(t, ["rush", "--url", "http://127.0.0.1:1"]));
    assert.equal(code, 1);
    assert.match(err, /needs ADMIN_TOKEN .* and DATABASE_URL .* in the environment/);
  });

  test("exits with 1 on a mechanism that the server does not have", async (t) => {
    const { url, adminToken } = await fakeShop(t);
    const env = { ADMIN_TOKEN: adminToken, DATABASE_URL: noDatabase };
    const { code, err } = await end(start(t, ["rush", "--url", url, "--mechanism", "v9"], env));
    assert.equal(code, 1);
    assert.match(err, /has no mechanism v9: it has v1 \(row-lock\), v2/);
  });

  test("exits with 1 when the database cannot be read: unjudged is not right", async (t) => {
    const { url, adminToken } = await fakeShop(t);
    const env = { ADMIN_TOKEN: adminToken, DATABASE_URL: noDatabase };
    const { code, err } = await end(start(t, ["rush", "--url", url, "--users", "5"], env));
    assert.equal(code, 1);
    assert.match(err, /database cannot be asked/);
  });

  test("makes the report of a comparison's JSON again", async (t) => {
    const out = folder(t);
    const file = join(out, "comparison.json");
    const runs = [fixtureRun("row-lock", 1)];
    writeFileSync(file, JSON.stringify(fixtureComparison({ subjects: ["row-lock"], runs })));
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
    const silent = `postgres://nobody@${new URL(url).host}/none`;
    const size = ["--people", "5", "--out", out, "--metrics-port", await freePort()];
    const child = start(t, ["compare", "--url", url, ...size], {
      ADMIN_TOKEN: adminToken,
      DATABASE_URL: silent,
    });
    const ended = end(child);
    await once(child.stderr ?? child, "data");
    child.kill("SIGINT");
    const { code, err } = await ended;
    assert.equal(code, 130);
    assert.match(err, /interrupted; no results were written: 0 of 5 rounds were complete/);
    assert.doesNotMatch(err, /failed/);
    assert.equal(existsSync(out), false);
  });
});

async function freePort(): Promise<string> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  return String(typeof address === "object" ? address?.port : 0);
}
