import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { paceLimiter } from "../../src/kafka-queue/decider/pace.ts";

/** A decider whose transactions take a while, and what it decided when. */
function decide(
  pace: number,
  steps: readonly { readonly takesMs: number; readonly commitsAt: number }[],
): readonly { readonly atMs: number; readonly count: number }[] {
  const commits: { atMs: number; count: number }[] = [];
  let nowMs = 0;
  const limiter = paceLimiter(nowMs);
  for (const { takesMs, commitsAt } of steps) {
    let allowed = limiter.allowance(pace, nowMs);
    while (allowed.count === 0) {
      assert.ok(allowed.waitMs > 0);
      nowMs += allowed.waitMs;
      allowed = limiter.allowance(pace, nowMs);
    }
    commits.push({ atMs: nowMs + takesMs * commitsAt, count: allowed.count });
    limiter.note(allowed.count, nowMs, nowMs + takesMs);
    nowMs += takesMs;
  }
  return commits;
}

function decidedWithin(
  commits: readonly { readonly atMs: number; readonly count: number }[],
  fromMs: number,
): number {
  return commits
    .filter(({ atMs }) => atMs >= fromMs && atMs < fromMs + 1_000)
    .reduce((sum, { count }) => sum + count, 0);
}

describe("the pace of a decider", () => {
  // Red when a transaction counts from its start instead of its end, or by calendar seconds.
  test("is never exceeded in any second, wherever in a transaction its commit falls", () => {
    const step = fc.record({
      takesMs: fc.double({ min: 0, max: 400, noNaN: true }),
      commitsAt: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5_000 }),
        fc.array(step, { minLength: 1, maxLength: 200 }),
        (pace, steps) => {
          const commits = decide(pace, steps);
          for (const { atMs } of commits) {
            assert.ok(decidedWithin(commits, atMs) <= pace);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  test("is nearly reached by a decider that is quick", () => {
    for (const pace of [1, 7, 50, 1_000]) {
      const steps = Array.from({ length: 400 }, () => ({ takesMs: 2, commitsAt: 0.5 }));
      const commits = decide(pace, steps);
      const seconds = ((commits.at(-1)?.atMs ?? 0) - (commits[0]?.atMs ?? 0)) / 1_000;
      const total = commits.reduce((sum, { count }) => sum + count, 0);
      assert.ok(total / seconds > pace * 0.85, `${total / seconds} of ${pace}`);
    }
  });

  test("leaves out the first second after taking over, which a predecessor may have used", () => {
    const limiter = paceLimiter(5_000);
    assert.equal(limiter.allowance(10, 5_999).count, 0);
    assert.equal(limiter.allowance(10, 6_021).count, 1);
    assert.equal(limiter.allowance(null, 5_000).count, Number.POSITIVE_INFINITY);
  });

  test("counts what was decided without a pace when one is set", () => {
    const limiter = paceLimiter(0);
    limiter.note(2_000, 3_000, 3_010);
    assert.equal(limiter.allowance(100, 3_500).count, 0);
    assert.equal(limiter.allowance(100, 23_100).count, 10);
  });
});
