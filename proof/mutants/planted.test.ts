// Planted bugs are found by the checks that are named for them: a copy of the tree is broken by a patch,
// and the checks have to turn red there for the reason that is given. That tests are green without the
// bugs, the same run of `npm test` shows; `npm run planted` shows both.
//
// STAMPEDE_PLANTED says which: all, changed (of files that changed since the last release), 10 by lot, or
// changed 10, which it is where nothing is said. STAMPEDE_PLANTED_SEED repeats a lot.
//
// Red when a guard is dropped from a test, or a patch does not fit the code any more.
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { after, describe, test } from "node:test";
import { missing } from "@stampede/launcher/testing";
import { readBugs } from "./bugs.ts";
import { changesSinceRelease, chooseBugs, wishOf } from "./choose.ts";
import { openCopies } from "./copies.ts";
import { prove, wrongSales } from "./prove.ts";

const skip = missing("postgres", "redis", "kafka");
const LANES = 2;
const { STAMPEDE_PLANTED, STAMPEDE_PLANTED_SEED } = process.env;
const wish = wishOf(STAMPEDE_PLANTED, STAMPEDE_PLANTED_SEED ?? String(randomInt(1_000_000)));
const AGAIN =
  `STAMPEDE_PLANTED="${STAMPEDE_PLANTED ?? ""}" STAMPEDE_PLANTED_SEED=${wish.seed} ` +
  "npm test -- proof/mutants/planted.test.ts";
const { chosen, told } = chooseBugs(readBugs(), wish, changesSinceRelease());

// The checks are processes in groups of their own: whoever ends this one would leave them running.
const ending = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    ending.abort();
    process.exitCode = 130;
  });
}

describe("a planted bug", { skip, concurrency: LANES }, () => {
  const copies = openCopies();
  after(() => copies[Symbol.dispose]());
  console.log(`${told} The same again: ${AGAIN}`);
  for (const bug of chosen) {
    const checks = [bug.test === null ? [] : `"${bug.test.test}"`, bug.sale?.breaks ?? []].flat();
    test(`${bug.bug}, ${bug.patch}, is found by ${checks.join(" and ")}`, async (t) => {
      const signal = AbortSignal.any([ending.signal, t.signal]);
      const { missed } = await prove(bug, { environment: process.env, signal, copies });
      t.diagnostic(bug.what);
      assert.equal(missed, null, missed ?? "");
    });
  }
});

test("the sales of planted bugs break no promise without them", async () => {
  assert.deepEqual(await wrongSales(chosen), []);
});
