import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { InvariantViolation, decideAtDoor, decideClaim, doorRefusal } from "@stampede/domain";
import type { DoorRefusal } from "@stampede/domain";
import { START_MS, couponEvent, couponIssue } from "../support.ts";

const doors: readonly DoorRefusal[] = [
  { kind: "not-open", opensAtMs: START_MS, waitMs: 1 },
  { kind: "closed" },
  { kind: "paused" },
];

describe("the door", () => {
  test("opens at the first instant of the window and not a millisecond before", () => {
    const event = couponEvent({ opensAtMs: START_MS });
    assert.deepEqual(doorRefusal(event, START_MS - 1), {
      kind: "not-open",
      opensAtMs: START_MS,
      waitMs: 1,
    });
    assert.equal(doorRefusal(event, START_MS), null);
  });

  test("says how long it is until the opening", () => {
    const refusal = doorRefusal(couponEvent({ opensAtMs: START_MS + 90_500 }), START_MS);
    assert.deepEqual(refusal, { kind: "not-open", opensAtMs: START_MS + 90_500, waitMs: 90_500 });
  });

  test("closes at the end of the window: its last millisecond is in, the end itself is out", () => {
    const event = couponEvent({ closesAtMs: START_MS + 1_000 });
    assert.equal(doorRefusal(event, START_MS + 999), null);
    assert.deepEqual(doorRefusal(event, START_MS + 1_000), { kind: "closed" });
    assert.deepEqual(doorRefusal(event, START_MS + 1_001), { kind: "closed" });
  });

  test("never closes where no end is set", () => {
    assert.equal(doorRefusal(couponEvent({ closesAtMs: null }), Number.MAX_SAFE_INTEGER), null);
  });

  test("lets a window of one millisecond pass exactly that one", () => {
    const event = couponEvent({ closesAtMs: START_MS + 1 });
    assert.equal(doorRefusal(event, START_MS - 1)?.kind, "not-open");
    assert.equal(doorRefusal(event, START_MS), null);
    assert.equal(doorRefusal(event, START_MS + 1)?.kind, "closed");
  });

  test("is shut by a pause inside the window", () => {
    assert.deepEqual(doorRefusal(couponEvent({ paused: true }), START_MS), { kind: "paused" });
  });

  test("names the window before the pause, since waiting for the end of a pause would not help", () => {
    const paused = couponEvent({ paused: true, closesAtMs: START_MS + 1 });
    assert.equal(doorRefusal(paused, START_MS - 1)?.kind, "not-open");
    assert.equal(doorRefusal(paused, START_MS + 1)?.kind, "closed");
  });
});

describe("the decision on a claim", () => {
  test("issues the next number, from 1 to the limit", () => {
    const decide = (issued: number): unknown =>
      decideClaim({ limit: 3, issued, mine: null, door: null });
    assert.deepEqual(decide(0), { ok: true, value: { kind: "issue", seq: 1 } });
    assert.deepEqual(decide(1), { ok: true, value: { kind: "issue", seq: 2 } });
    assert.deepEqual(decide(2), { ok: true, value: { kind: "issue", seq: 3 } });
    assert.deepEqual(decide(3), { ok: false, refusal: { kind: "sold-out" } });
  });

  test("gives a holder the same coupon, before every other question", () => {
    const mine = couponIssue({ seq: 2 });
    for (const issued of [2, 3]) {
      for (const door of [null, ...doors]) {
        assert.deepEqual(decideClaim({ limit: 3, issued, mine, door }), {
          ok: true,
          value: { kind: "replay", couponIssue: mine },
        });
      }
    }
  });

  test("says sold out before it speaks of the door, since sold out is final", () => {
    for (const door of [null, ...doors]) {
      assert.deepEqual(decideClaim({ limit: 3, issued: 3, mine: null, door }), {
        ok: false,
        refusal: { kind: "sold-out" },
      });
    }
  });

  test("refuses at a shut door while coupons are left, with the door's own reason", () => {
    for (const door of doors) {
      assert.deepEqual(decideClaim({ limit: 3, issued: 2, mine: null, door }), {
        ok: false,
        refusal: door,
      });
    }
  });

  test("stops where more was issued than the limit, even for a holder: nothing may follow", () => {
    const mine = couponIssue();
    for (const facts of [{ mine: null }, { mine }]) {
      assert.throws(
        () => decideClaim({ limit: 3, issued: 4, door: null, ...facts }),
        InvariantViolation,
      );
    }
  });
});

describe("a door in front of the lock", () => {
  const open = couponEvent({ issued: 9 });
  const closed = couponEvent({ issued: 9, closesAtMs: START_MS + 1 });
  const soldOut = couponEvent({ issued: 10 });

  test("lets a claim pass that may win, whether or not somebody looked for a coupon", () => {
    for (const mine of [null, undefined]) {
      assert.deepEqual(decideAtDoor(open, mine, START_MS), { kind: "pass" });
    }
  });

  test("gives a holder the coupon that is known, whatever the state of the event", () => {
    const mine = couponIssue();
    for (const event of [open, closed, soldOut]) {
      const decided = decideAtDoor(event, mine, START_MS + 5);
      assert.deepEqual(decided, { kind: "replay", couponIssue: mine });
    }
  });

  test("refuses whoever certainly has no coupon, with the rule's own reason", () => {
    assert.deepEqual(decideAtDoor(soldOut, null, START_MS), {
      kind: "refuse",
      refusal: { kind: "sold-out" },
    });
    assert.deepEqual(decideAtDoor(closed, null, START_MS + 1), {
      kind: "refuse",
      refusal: { kind: "closed" },
    });
  });

  test("asks for a look before it refuses somebody who may have a coupon", () => {
    assert.deepEqual(decideAtDoor(soldOut, undefined, START_MS), {
      kind: "look",
      refusal: { kind: "sold-out" },
    });
    assert.deepEqual(decideAtDoor(closed, undefined, START_MS + 1), {
      kind: "look",
      refusal: { kind: "closed" },
    });
  });
});
