// The reporter of a selection on a real run of node:test: who asked for one row is told of no other's
// failure, and of every one of that row.
//
// Red when a skipped test still fails its suite (`hasFailures`), and when a suite hides a failure.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

const REPORTER = join(import.meta.dirname, "selected-reporter.ts");

const TESTS = `
import { test } from "node:test";
const refuse = (t) => { t.skip("only P4"); throw new Error("not among the rows asked for"); };
test("all others", async (t) => {
  await t.test("held", () => {});
  await t.test("other row", refuse);
});
test("with a failure", async (t) => {
  await t.test("wrong", () => { throw new Error("issued twice"); });
  await t.test("another row", refuse);
});
test("other file's row", refuse);
test("own failure", () => { throw new Error("came late"); });
`;

test("a selection tells the failures of its rows and no others", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "stampede-reporter-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, "rows.test.mjs");
  await writeFile(file, TESTS);
  const told = await run(["--test", `--test-reporter=${REPORTER}`, file]);

  const marked = (mark: string): string[] =>
    [...told.matchAll(new RegExp(`^ *${mark} (.+?) \\(`, "gm"))].map(([, name]) => name!);
  assert.deepEqual(marked("﹣"), ["other row", "another row", "other file's row"], told);
  assert.deepEqual(new Set(marked("✖")), new Set(["wrong", "with a failure", "own failure"]));
  assert.match(told, /issued twice/);
  assert.match(told, /came late/);
  assert.doesNotMatch(told, /not among the rows/);
  assert.doesNotMatch(told, /^ℹ (tests|fail) /m);
});

/** The run fails, which is what it is for. */
async function run(args: readonly string[]): Promise<string> {
  const { NODE_TEST_CONTEXT: _inner, ...env } = process.env;
  const outcome = promisify(execFile)(process.execPath, args, { env });
  const { stdout } = await outcome.catch((failed: unknown) => failed as { stdout: string });
  return stdout;
}
