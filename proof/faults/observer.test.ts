// The observer of sales under faults: what it must see in a reading, and what it must not object to.
import assert from "node:assert/strict";
import { test } from "node:test";
import { faultsOf } from "./support/observer.ts";

const right = {
  limit: 10,
  issued: 4,
  rows: 4,
  highestSeq: 4,
  epoch: 2,
  mark: 9,
};

test("readings of a sale that goes on as it should are right", () => {
  const later = { ...right, issued: 10, rows: 10, highestSeq: 10, epoch: 3, mark: 12 };
  assert.deepEqual(faultsOf(right, null), []);
  assert.deepEqual(faultsOf(right, right), []);
  assert.deepEqual(faultsOf(later, right), []);
  assert.deepEqual(faultsOf({ ...right, epoch: null, mark: null }, null), []);
});

test("each thing that must never be is seen, and told by its invariant", () => {
  const wrong = [
    [{ issued: 11, rows: 11, highestSeq: 11 }, /^S1: more rows/],
    [{ issued: 5 }, /^S24/],
    [{ highestSeq: 5 }, /^S24/],
    [{ issued: 3, rows: 3, highestSeq: 3 }, /^S1: rows went away/],
    [{ limit: 9 }, /^S20/],
    [{ epoch: 1 }, /^S15/],
    [{ mark: 8 }, /^S15/],
  ] as const;
  for (const [change, message] of wrong) {
    const faults = faultsOf({ ...right, ...change }, right);
    assert.equal(faults.length, 1, JSON.stringify(change));
    assert.match(faults[0]!, message);
  }
});
