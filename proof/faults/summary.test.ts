// The verdict over a run of fault cases: it must see each way in which a run proves nothing.
import assert from "node:assert/strict";
import { test } from "node:test";
import { catalogue, turns, turnsNamed, turnsOfLevel } from "./catalogue.ts";
import { MECHANISMS } from "./mechanisms.ts";
import type { CaseReport } from "./notes.ts";
import { failuresOf, tableOf, totalsOf, totalsText } from "./summary.ts";
import type { Expectation } from "./summary.ts";

const good: CaseReport = {
  id: "P4",
  key: "P4.row-lock",
  mechanism: "row-lock",
  injects: "the reply to COMMIT n is cut",
  verdict: "right",
  reason: null,
  faultsInjected: 2,
  claimsJudged: 300,
  violations: 0,
  recoveryMs: { L1: 120, L3: 40 },
  sometimes: { "a reply was lost": 2 },
  neighbours: { events: 50, claims: 42, faults: 3, p99Ms: 12 },
  seed: 7,
  ms: 4_200,
};
const expected: Expectation = {
  wanted: ["P4.row-lock"],
  marks: [],
  claimsMin: 300,
  noSkips: false,
  testCode: 0,
};

test("a run whose cases were all right is a success", () => {
  assert.deepEqual(failuresOf([good], expected), []);
});

test("every way in which a run proves nothing is told", () => {
  const notRun: CaseReport = { ...good, verdict: "not run", reason: "there is no strace" };
  const bad: readonly [readonly CaseReport[], Partial<Expectation>, RegExp][] = [
    [[], {}, /No case reported/],
    [[{ ...good, verdict: "wrong" }], {}, /STAMPEDE_FAULT_SEED=7 npm run faults -- P4\.row-lock/],
    [[{ ...good, verdict: "void", faultsInjected: 0 }], {}, /P4\.row-lock \(row-lock\) is void/],
    [[{ ...good, violations: 1 }], {}, /1 violations/],
    [[{ ...good, sometimes: { "it was late": 0 } }], {}, /Never met: it was late/],
    [[good], { marks: ["a reply was lost", "a decider slept"] }, /^Never met: a decider slept\.$/],
    [[good], { claimsMin: 301 }, /Only 300 claims were judged, and 301 are wanted/],
    [[good], { wanted: ["P4.row-lock", "K2"] }, /K2 did not report/],
    [[good, notRun], { noSkips: true }, /is not run: there is no strace/],
    [[good], { testCode: 1 }, /A test failed that is no case/],
  ];
  for (const [reports, change, message] of bad) {
    const failures = failuresOf(reports, { ...expected, ...change });
    assert.match(failures.join("\n"), message);
  }
  assert.deepEqual(failuresOf([good, notRun], expected), []);
});

test("totals add what was done and keep what was worst", () => {
  const slow = {
    ...good,
    id: "K4",
    key: "K4",
    recoveryMs: { L1: 900 },
    sometimes: { "a reply was lost": 1 },
  };
  const totals = totalsOf([good, slow, good]);
  assert.deepEqual(totals, {
    runs: 3,
    cases: 2,
    faultsInjected: 6,
    claimsJudged: 900,
    violations: 0,
    recoveryMs: { L1: 900, L3: 40 },
    sometimes: { "a reply was lost": 5 },
  });
  assert.match(totalsText(totals), /Worst recovery: L1 0\.9 s, L3 0\.0 s\./);
  assert.match(totalsText(totals), /met: a reply was lost \(5\)\./);
  assert.match(
    tableOf([good, slow]).split("\n")[1] ?? "",
    /^K4 +row-lock .* right +4\.2 +2 +300 +0 +50: 42 claims, 3 of them faults, p99 12 ms +L1/,
  );
});

test("the catalogue has every case of the matrix, each with what it needs to be told apart", () => {
  const ids = new Set(catalogue.map(({ id }) => id));
  const parts = { A: 13, P: 15, R: 14, K: 19, N: 11, T: 4, O: 8 };
  for (const [letter, last] of Object.entries(parts)) {
    for (let n = 1; n <= last; n += 1) assert.ok(ids.has(`${letter}${n}`), `${letter}${n}`);
    assert.ok(!ids.has(`${letter}${last + 1}`));
  }
  assert.equal(new Set(turns.map(({ key }) => key)).size, turns.length);
});

test("a case is asked for by its id, its number or its mechanism", () => {
  const keysOf = (...names: string[]): string[] => turnsNamed(names).map(({ key }) => key);
  const each = MECHANISMS.map((mechanism) => `P4.${mechanism}`);
  assert.deepEqual(keysOf("P4"), each);
  assert.deepEqual(keysOf(...each), each);
  assert.deepEqual(keysOf("R2.3"), ["R2.3"]);
  assert.ok(!keysOf("P1").includes("P10"));
  assert.throws(() => turnsNamed(["P4", "P99"]), /^Error: P99: no such case/);
  const levels = ["test", "proof", "all"] as const;
  const [test, proof, all] = levels.map((level) => turnsOfLevel(level).length);
  assert.ok(test! > 0 && proof! > 0 && all! > test! + proof!);
});
