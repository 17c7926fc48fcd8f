// The command itself, as a process: its exit status is what a script sees of a rush.
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { test, type TestContext } from "node:test";

import { fakeShop } from "./support/fake-shop.ts";

const command = join(import.meta.dirname, "..", "..", "lab", "crowd", "rush.ts");

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

function said(child: ChildProcess, words: string): Promise<void> {
  return new Promise((resolve) => {
    let text = "";
    child.stderr?.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes(words)) resolve();
    });
  });
}

test("tells its options and exits with 0", async (t) => {
  const { code, out } = await end(start(t, ["--help"]));
  assert.equal(code, 0);
  assert.match(out, /--mechanism NAME/);
});

test("exits with 2 on arguments that are none", async (t) => {
  const { code, err } = await end(start(t, ["--users", "many"]));
  assert.equal(code, 2);
  assert.match(err, /--users is an integer from 1 to 1000000, not "many"/);
});

test("exits with 1 and says what is missing to rush a server elsewhere", async (t) => {
  const { code, err } = await end(start(t, ["--url", "http://127.0.0.1:1"]));
  assert.equal(code, 1);
  assert.match(err, /needs ADMIN_TOKEN .* and DATABASE_URL .* in the environment/);
});

test("exits with 1 when the rows cannot be read: unjudged is not right", async (t) => {
  const { url, adminToken } = await fakeShop(t);
  const env = { ADMIN_TOKEN: adminToken, DATABASE_URL: noDatabase };
  const { code, err } = await end(start(t, ["--url", url, "--users", "5"], env));
  assert.equal(code, 1);
  assert.match(err, /rows of event rush-v1-\w+ cannot be read/);
});

test("cleans up and exits with 130 on Ctrl-C", async (t) => {
  const { url, adminToken } = await fakeShop(t, "stays silent");
  const env = { ADMIN_TOKEN: adminToken, DATABASE_URL: noDatabase };
  const child = start(t, ["--url", url, "--users", "5", "--mechanism", "v1"], env);
  const ended = end(child);
  // By then the empty handler runs, and the silent claim holds the rush until its deadline.
  await said(child, "warming up");
  child.kill("SIGINT");
  const { code, err } = await ended;
  assert.equal(code, 130);
  assert.doesNotMatch(err, /failed/);
});
