import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ahead, decideClaim, estimateWait, guaranteed } from "@stampede/domain";
import fc from "fast-check";

describe("the place in the line", () => {
  test("is the number of undecided records before one's own", () => {
    assert.equal(ahead(0, 0), 0);
    assert.equal(ahead(7, 0), 7);
    assert.equal(ahead(7, 3), 4);
    assert.equal(ahead(7, 7), 0);
  });

  test("is nobody once the record is decided, however far the decider went", () => {
    assert.equal(ahead(7, 8), 0);
    assert.equal(ahead(7, 1_000_000), 0);
  });

  test("never grows while the mark moves on", () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), fc.nat(), (ticket, mark, step) => {
        const before = ahead(ticket, mark);
        assert.ok(before >= 0);
        assert.ok(ahead(ticket, mark + step) <= before);
      }),
    );
  });
});

describe("a guaranteed place", () => {
  test("is one below the limit, counted from 0", () => {
    assert.equal(guaranteed(0, 1), true);
    assert.equal(guaranteed(1, 1), false);
    assert.equal(guaranteed(99, 100), true);
    assert.equal(guaranteed(100, 100), false);
  });

  test("has a coupon whatever the records before it are, and only such a place has", () => {
    const isClaim = fc.array(fc.boolean(), { maxLength: 40 });
    fc.assert(
      fc.property(isClaim, fc.integer({ min: 1, max: 30 }), (before, limit) => {
        let issued = 0;
        for (const claims of before) {
          if (claims && decideClaim({ limit, issued, mine: null, door: null }).ok) issued += 1;
        }
        if (guaranteed(before.length, limit)) assert.ok(issued < limit);
        // Not guaranteed: there are records before it that would have taken every coupon.
        else assert.ok(before.length >= limit);
      }),
    );
  });
});

describe("the estimate of a wait", () => {
  test("is none where no rate was seen, or only standstill", () => {
    assert.equal(estimateWait(10, []), null);
    assert.equal(estimateWait(10, [0, 0]), null);
    assert.equal(estimateWait(10, [-1, Number.NaN]), null);
  });

  test("divides the records up to and with one's own by the middle rate, to a tenth of a second", () => {
    assert.deepEqual(estimateWait(99, [50, 200, 100]), { seconds: 1, low: 0.5, high: 2 });
    assert.deepEqual(estimateWait(0, [3]), { seconds: 0.3, low: 0.3, high: 0.3 });
    assert.deepEqual(estimateWait(0, [100_000]), { seconds: 0, low: 0, high: 0 });
  });

  test("sorts rates as numbers and leaves out the seconds of standstill", () => {
    assert.deepEqual(estimateWait(899, [900, 0, 1000, 90]), { seconds: 1, low: 0.9, high: 10 });
  });

  test("takes the upper one of two middle rates", () => {
    assert.deepEqual(estimateWait(99, [10, 100]), { seconds: 1, low: 1, high: 10 });
  });

  test("does not disturb the rates it was given", () => {
    const rates = Object.freeze([3, 1, 2]);
    estimateWait(5, rates);
    assert.deepEqual(rates, [3, 1, 2]);
  });

  test("frames its guess, and grows with the line", () => {
    const rates = fc.array(fc.integer({ min: 1, max: 100_000 }), { minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(
        fc.nat({ max: 1_000_000 }),
        fc.nat({ max: 1_000 }),
        rates,
        (count, more, seen) => {
          const estimate = estimateWait(count, seen);
          const longer = estimateWait(count + more, seen);
          assert.ok(estimate !== null && longer !== null);
          assert.ok(estimate.low <= estimate.seconds && estimate.seconds <= estimate.high);
          assert.ok(longer.seconds >= estimate.seconds);
        },
      ),
    );
  });
});
