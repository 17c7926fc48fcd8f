// Every planted bug is found by the check that is named for it: a copy of the tree is broken
// by its patch, and the check has to turn red there for the reason that is given. That the checks are
// green without the bugs, the same run of `npm test` shows; `npm run planted` shows both.
//
// Red when a guard is dropped from a test, or a patch does not fit the code any more.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { missing } from "@stampede/infrastructure/embedded";
import { readBugs } from "./bugs.ts";
import { ROOT } from "./copies.ts";
import { prove } from "./prove.ts";

const skip = missing("postgres", "redis", "kafka");
const LANES = 2;
const bugs = readBugs();

// The checks are processes in groups of their own: whoever ends this one would leave them running.
const ending = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    ending.abort();
    process.exitCode = 130;
  });
}

describe("a planted bug", { skip, concurrency: LANES }, () => {
  for (const bug of bugs) {
    test(`${bug.bug}, ${bug.patch}, is found by "${bug.test}"`, async (t) => {
      const { missed } = await prove(bug, {
        environment: process.env,
        signal: AbortSignal.any([ending.signal, t.signal]),
      });
      t.diagnostic(bug.what);
      assert.equal(missed, null, missed ?? "");
    });
  }
});

test("the page about planted bugs names each of them, and what finds it", () => {
  const page = readFileSync(join(ROOT, "docs", "planted-bugs.md"), "utf8");
  const rows = page.split("\n").filter((line) => line.startsWith("| B"));
  assert.deepEqual(
    rows.map((row) => row.split(" | ").slice(0, 3).join(" | ")),
    bugs.map(({ bug, what, file, test }) => `| ${bug} | ${what} | \`${file}\`: ${test}`),
    "npm run planted prints the table",
  );
});

test("every known design error B1 to B49 is planted", () => {
  const planted = new Set(bugs.map(({ bug }) => bug));
  const numbers = Array.from({ length: 49 }, (_, index) => `B${index + 1}`);
  assert.deepEqual(
    numbers.filter((number) => !planted.has(number)),
    [],
  );
});
