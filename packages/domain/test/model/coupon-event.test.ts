import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { changeCouponEvent, eventState, newCouponEvent, paceRefusal } from "@stampede/domain";
import { START_MS, couponEvent, newEvent } from "../support.ts";

describe("the state of an event", () => {
  test("is scheduled until the window's first instant, open from it on", () => {
    assert.equal(eventState(couponEvent(), START_MS - 1), "scheduled");
    assert.equal(eventState(couponEvent(), START_MS), "open");
    assert.equal(eventState(couponEvent(), Number.MAX_SAFE_INTEGER), "open");
  });

  test("is open until the window's last millisecond, closed at its end", () => {
    const event = couponEvent({ closesAtMs: START_MS + 10 });
    assert.equal(eventState(event, START_MS + 9), "open");
    assert.equal(eventState(event, START_MS + 10), "closed");
  });

  test("is sold out from the last coupon on, before, in and after the window", () => {
    const event = couponEvent({ limit: 3, issued: 3, closesAtMs: START_MS + 10 });
    for (const nowMs of [START_MS - 1, START_MS, START_MS + 10]) {
      assert.equal(eventState(event, nowMs), "sold-out");
    }
    assert.equal(eventState({ ...event, issued: 2 }, START_MS), "open");
  });

  test("does not speak of a pause, which is a field of its own", () => {
    assert.equal(eventState(couponEvent({ paused: true }), START_MS), "open");
  });
});

describe("a new event", () => {
  test("starts at version 1 with nothing issued and not paused", () => {
    const wanted = newEvent({ opensAtMs: START_MS + 5, closesAtMs: START_MS + 6 });
    assert.deepEqual(newCouponEvent(wanted, START_MS), {
      ok: true,
      value: couponEvent({ opensAtMs: START_MS + 5, closesAtMs: START_MS + 6 }),
    });
  });

  test("opens now, by the clock it is given, where no opening is named", () => {
    const made = newCouponEvent(newEvent({ opensAtMs: null }), START_MS + 7);
    assert.ok(made.ok);
    assert.equal(made.value.opensAtMs, START_MS + 7);
  });

  test("is refused where its window holds no instant", () => {
    for (const closesAtMs of [START_MS, START_MS - 1]) {
      assert.deepEqual(newCouponEvent(newEvent({ closesAtMs }), START_MS), {
        ok: false,
        refusal: { kind: "window-empty" },
      });
    }
    assert.ok(newCouponEvent(newEvent({ closesAtMs: START_MS + 1 }), START_MS).ok);
  });
});

describe("the name of an event", () => {
  const blank = "\u200b";
  const refusal = { kind: "name-blank" };

  test("must show something, in a new event and in a change", () => {
    assert.deepEqual(newCouponEvent(newEvent({ name: blank }), START_MS), { ok: false, refusal });
    const changed = changeCouponEvent(couponEvent(), { name: blank });
    assert.deepEqual(changed, { ok: false, refusal });
  });

  test("stays what it was stored as, however else the event is changed", () => {
    const stored = couponEvent({ name: blank });
    const paused = changeCouponEvent(stored, { paused: true });
    assert.ok(paused.ok && paused.value.name === blank && paused.value.paused);
    assert.ok(changeCouponEvent(stored, { name: blank, listed: false }).ok);
    assert.deepEqual(changeCouponEvent(stored, { name: "\u3164" }), { ok: false, refusal });
    assert.ok(changeCouponEvent(stored, { name: "Spring" }).ok);
  });
});

describe("a change of an event", () => {
  test("changes what is named, counts the version, and keeps all else", () => {
    const event = couponEvent({ mechanism: "kafka-queue", issued: 4, version: 7 });
    const changes = {
      name: "Summer",
      limit: 11,
      opensAtMs: START_MS - 5,
      closesAtMs: START_MS + 5,
      paused: true,
      pace: 30,
    };
    assert.deepEqual(changeCouponEvent(event, changes), {
      ok: true,
      value: { ...event, ...changes, version: 8 },
    });
    assert.deepEqual(changeCouponEvent(event, { name: "Summer" }), {
      ok: true,
      value: { ...event, name: "Summer", version: 8 },
    });
  });

  test("may raise the limit while a coupon is left", () => {
    assert.ok(changeCouponEvent(couponEvent({ issued: 9 }), { limit: 11 }).ok);
    assert.ok(changeCouponEvent(couponEvent({ issued: 9 }), { limit: 10 }).ok);
  });

  test("may never lower the limit, not even to what is still free", () => {
    for (const limit of [9, 5, 1]) {
      assert.deepEqual(changeCouponEvent(couponEvent({ issued: 4 }), { limit }), {
        ok: false,
        refusal: { kind: "limit-not-raisable", limit: 10 },
      });
    }
  });

  test("may not raise the limit of a sold-out event: somebody was told so", () => {
    const soldOut = couponEvent({ issued: 10 });
    assert.deepEqual(changeCouponEvent(soldOut, { limit: 11 }), {
      ok: false,
      refusal: { kind: "limit-not-raisable", limit: 10 },
    });
  });

  test("may still change the rest of a sold-out event, its own limit repeated included", () => {
    const soldOut = couponEvent({ issued: 10 });
    assert.ok(changeCouponEvent(soldOut, { name: "Gone", paused: true, limit: 10 }).ok);
  });

  test("may not leave a window without an instant, whichever end moved", () => {
    const event = couponEvent({ closesAtMs: START_MS + 10 });
    for (const change of [
      { closesAtMs: START_MS },
      { opensAtMs: START_MS + 10 },
      { opensAtMs: START_MS + 20, closesAtMs: START_MS + 20 },
    ]) {
      assert.deepEqual(changeCouponEvent(event, change), {
        ok: false,
        refusal: { kind: "window-empty" },
      });
    }
    assert.ok(changeCouponEvent(event, { closesAtMs: START_MS + 1 }).ok);
    assert.ok(changeCouponEvent(event, { opensAtMs: START_MS + 9 }).ok);
  });

  test("may take away the end of the window, or open it again by a later one", () => {
    const closed = couponEvent({ closesAtMs: START_MS + 10 });
    for (const closesAtMs of [null, START_MS + 30]) {
      const changed = changeCouponEvent(closed, { closesAtMs });
      assert.ok(changed.ok);
      assert.equal(eventState(changed.value, START_MS + 20), "open");
    }
  });

  test("leaves the event it was given untouched", () => {
    const event = Object.freeze(couponEvent());
    changeCouponEvent(event, { limit: 20, paused: true });
    assert.deepEqual(event, couponEvent());
  });
});

test("a pace is refused where no people queue, and the lack of one nowhere", () => {
  assert.deepEqual(paceRefusal(5, { queues: false }), { kind: "pace-not-supported" });
  assert.equal(paceRefusal(5, { queues: true }), null);
  for (const queues of [true, false]) {
    assert.equal(paceRefusal(null, { queues }), null);
    assert.equal(paceRefusal(undefined, { queues }), null);
  }
});
