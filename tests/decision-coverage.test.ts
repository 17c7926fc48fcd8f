// The rules that decide claims are tested without I/O, every line and every branch of them.
//
// Red when a rule of packages/domain/src gets a branch that no test of the domain goes through.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { globSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

const ROOT = join(import.meta.dirname, "..");
/** The crowds under a scheduler go through nothing that the others do not, and take most of the time. */
const RACES = join("packages", "domain", "test", "claim.race.test.ts");

test("the domain's tests go through every line and branch of it", async () => {
  const files = globSync("packages/domain/test/**/*.test.ts", { cwd: ROOT });
  const { NODE_TEST_CONTEXT: _inner, ...env } = process.env;
  const options = [
    // One process: adding up what many saw now and then loses a line, under load.
    "--test-isolation=none",
    "--experimental-test-coverage",
    "--test-coverage-include=packages/domain/src/**/*.ts",
    "--test-coverage-lines=100",
    "--test-coverage-branches=100",
  ];
  const wanted = files.filter((file) => file !== RACES);
  const run = promisify(execFile)(process.execPath, ["--test", ...options, ...wanted], {
    cwd: ROOT,
    env,
  });
  const { code, stdout } = await run.then(
    (told) => ({ code: 0, ...told }),
    (failed: unknown) => failed as { code: number; stdout: string },
  );
  assert.equal(code, 0, stdout.slice(stdout.indexOf("start of coverage report")));
  assert.match(stdout, /all files +\| +100\.00 \| +100\.00/, "the report is of all files");
});
