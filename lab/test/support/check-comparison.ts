import assert from "node:assert/strict";

import { type Comparison } from "@stampede/lab/compare";

/**
 * What holds in every comparison in which nothing went wrong. A machine that is busy with other tests
 * may well make a small crowd's run void, which is what a run is for then; never wrong.
 */
export function checkComparison(comparison: Comparison, { rounds }: { rounds: number }): void {
  const { runs, subjects, scenario } = comparison;
  assert.equal(comparison.format, "stampede-comparison-2");
  const orders = Map.groupBy(runs, ({ round }) => round);
  assert.equal(orders.size, rounds);
  const order = (round: number): string[] =>
    (orders.get(round) ?? []).map(({ subject, twin }) => `${subject} ${twin}`);
  const first = order(1);
  for (const subject of subjects) assert.ok(first.includes(`${subject} false`), subject);
  for (let round = 2; round <= rounds; round++) {
    assert.deepEqual(order(round), round % 2 === 0 ? first.toReversed() : first);
  }
  const claims = scenario.people * scenario.claimsPerPerson;
  const sold = Math.min(scenario.limit, scenario.people);
  for (const run of runs) {
    const name = `${run.subject} in round ${run.round}`;
    assert.ok(run.verdict.kind !== "wrong", JSON.stringify([name, run.verdict]));
    const reasons = run.verdict.kind === "void" ? run.verdict.reasons : [];
    for (const reason of reasons) assert.match(reason, /^generator bound/, name);
    assert.equal(run.answersPerSecond === null, reasons.length > 0, name);
    const told = Object.values(run.outcomes).reduce((sum, count) => sum + count, 0);
    assert.equal(told, claims, name);
    assert.equal(
      run.answersPerSlice.reduce((sum, count) => sum + count, 0),
      claims,
      name,
    );
    assert.equal(run.latencyMs.histogram.at(-1)?.count, claims, name);
    const { p50, p90, p95, p99, p999, max } = run.latencyMs;
    const rising = [p50, p90, p95, p99, p999, max];
    assert.deepEqual(
      rising,
      rising.toSorted((a, b) => a - b),
      name,
    );
    assert.ok(run.lastVerdictMs === null || run.lastVerdictMs >= run.lastAnswerMs - 0.001, name);
    // A queue tells nobody "issued" at once; its rows are counted like everybody's.
    if (run.issuedRows !== null) assert.equal(run.issuedRows, sold, name);
    if (run.subject !== "ceiling" && run.subject !== "target") {
      assert.ok(run.fairness !== null && run.fairness.changedHands <= sold, name);
    }
  }
  assert.deepEqual(new Set(runs.map(({ eventId }) => eventId)).size, eventsOf(comparison));
}

/** A fresh event each, but for the empty handler, which knows only one. */
function eventsOf({ runs }: Comparison): number {
  const fresh = runs.filter(({ subject }) => subject !== "ceiling").length;
  return fresh === runs.length ? fresh : fresh + 1;
}
