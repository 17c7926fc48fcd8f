// The verdict over a run of fault rows: it must see each way in which a run proves nothing.
import assert from "node:assert/strict";
import { test } from "node:test";
import { matrixRows } from "./matrix.ts";
import { failuresOf, tableOf, totalsOf, totalsText } from "./summary.ts";
import type { Expectation } from "./summary.ts";
import type { RowReport } from "./support/row.ts";

const good: RowReport = {
  row: "P4",
  mechanism: "row-lock",
  fault: "the reply to COMMIT n is cut",
  passed: true,
  faultsInjected: 2,
  claimsJudged: 300,
  violations: 0,
  recoveryMs: { L1: 120, L3: 40 },
  sometimes: { "a reply was lost": 2 },
  seed: 7,
};
const expected = { wanted: ["P4"], notRun: {}, marks: [], claimsMin: 300, testCode: 0 };

test("a run whose rows all held is a success", () => {
  assert.deepEqual(failuresOf([good], expected), []);
  const faultless = { ...good, row: "none", faultsInjected: 0 };
  assert.deepEqual(failuresOf([good, faultless], expected), []);
});

test("every way in which a run proves nothing is told", () => {
  const bad: readonly [readonly RowReport[], Partial<Expectation>, RegExp][] = [
    [[], {}, /No row reported/],
    [[{ ...good, passed: false }], {}, /STAMPEDE_FAULT_SEED=7 npm run faults -- P4/],
    [[{ ...good, violations: 1 }], {}, /1 violations/],
    [[{ ...good, faultsInjected: 0 }], {}, /no fault was injected/],
    [[{ ...good, sometimes: { "it was late": 0 } }], {}, /Never met: it was late/],
    [[good], { marks: ["a reply was lost", "a decider slept"] }, /^Never met: a decider slept\.$/],
    [[good], { claimsMin: 301 }, /Only 300 claims were judged, and 301 are wanted/],
    [[good], { wanted: ["P4", "K2"] }, /K2 did not report/],
    [[good], { notRun: { P4: "no tool" } }, /P4 reported, but/],
    [[good], { testCode: 1 }, /A test failed that is no row/],
  ];
  for (const [reports, change, message] of bad) {
    const failures = failuresOf(reports, { ...expected, ...change });
    assert.match(failures.join("\n"), message);
  }
  const explained = { ...expected, wanted: ["P4", "P11"], notRun: { P11: "no standby here" } };
  assert.deepEqual(failuresOf([good], explained), []);
});

test("totals add what was done and keep what was worst", () => {
  const slow = {
    ...good,
    row: "K4",
    recoveryMs: { L1: 900 },
    sometimes: { "a reply was lost": 1 },
  };
  const totals = totalsOf([good, slow, good]);
  assert.deepEqual(totals, {
    runs: 3,
    rows: 2,
    faultsInjected: 6,
    claimsJudged: 900,
    violations: 0,
    recoveryMs: { L1: 900, L3: 40 },
    sometimes: { "a reply was lost": 5 },
  });
  assert.match(totalsText(totals), /Worst recovery: L1 0\.9 s, L3 0\.0 s\./);
  assert.match(totalsText(totals), /met: a reply was lost \(5\)\./);
  assert.match(tableOf([good, slow]).split("\n")[1] ?? "", /^K4 +row-lock .* held +2 +300 +0 +L1/);
});

test("the matrix has its eighty rows", () => {
  assert.equal(matrixRows.length, 80);
  assert.ok(matrixRows.includes("P14") && matrixRows.includes("K19") && !matrixRows.includes("O8"));
});
