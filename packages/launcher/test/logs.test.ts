import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { cutLog, boundedLog } from "../src/logs.ts";

const tooMuch = "x".repeat(11 * 1024 * 1024);

test("a log over its bound is emptied while it is written, and what was in it is kept once", (t) => {
  const path = join(temporaryFolder(t), "engine.log");
  const log = openSync(path, "a");
  t.after(() => closeSync(log));
  for (const time of ["first", "second"]) {
    writeSync(log, tooMuch + time);
    cutLog(path);
    assert.equal(statSync(path).size, 0);
    assert.ok(readFileSync(`${path}.1`, "latin1").endsWith(time));
  }
  writeSync(log, "and on");
  assert.equal(readFileSync(path, "utf8"), "and on");
});

test("a log within its bound, and one that is not there, are left alone", (t) => {
  const path = join(temporaryFolder(t), "engine.log");
  cutLog(path);
  appendFileSync(path, "a line\n");
  cutLog(path);
  assert.equal(readFileSync(path, "utf8"), "a line\n");
});

test("lines that cannot be written are counted and told once, and nobody ends for them", (t) => {
  const path = join(temporaryFolder(t), "server.log");
  const told: string[] = [];
  const keep = boundedLog(path, (line) => told.push(line));
  keep("one");
  rmSync(path);
  // Stands for every reason why a file cannot be written.
  mkdirSync(path);
  keep("two");
  keep("three");
  rmSync(path, { recursive: true });
  keep("four");
  assert.equal(readFileSync(path, "utf8"), "four\n");
  assert.equal(told.length, 2);
  assert.match(told[0] ?? "", /^The log loses lines\. /);
  assert.match(told[1] ?? "", /^The log is written again; 2 lines are missing in /);
});

test(
  "a full disk costs lines of the log and nothing else",
  { skip: process.platform !== "linux" && "only Linux has a device that is always full" },
  async () => {
    const module = new URL("../src/logs.ts", import.meta.url).href;
    const code = `import { boundedLog } from ${JSON.stringify(module)};
      const keep = boundedLog("/dev/full", console.log);
      keep("one");
      keep("two");`;
    const child = spawn(process.execPath, ["--input-type=module", "--eval", code], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let said = "";
    child.stdout.on("data", (chunk) => (said += String(chunk)));
    const [code_] = await once(child, "close");
    assert.equal(code_, 0);
    assert.match(said, /^The log loses lines\. There is no room on the disk[^\n]*\n$/);
  },
);

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "stampede-logs-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
