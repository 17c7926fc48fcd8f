import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { changeCouponEvent, progressOf } from "@stampede/domain";
import type { CouponEvent, EventChange, Mechanism, Progress, QueueMark } from "@stampede/domain";
import fc from "fast-check";
import { START_MS, couponEvent } from "../support.ts";

const MOVING = { halted: false, haltChanges: 0 } as const;
const at = { nowMs: START_MS, perSecond: 0 };

describe("the progress of an event", () => {
  test("tells what is issued, what is left, and how fast it goes", () => {
    const progress = progressOf(couponEvent({ issued: 4 }), null, { ...at, perSecond: 120 });
    const { id, ...facts } = progress;
    assert.ok(Number.isSafeInteger(id));
    assert.deepEqual(facts, {
      issued: 4,
      remaining: 6,
      state: "open",
      decided: null,
      perSecond: 120,
      lastWinningTicket: null,
      stalled: false,
      voided: false,
    });
  });

  test("tells that a line stands still, and that an operator ended it", () => {
    const event = couponEvent({ mechanism: "kafka-queue", issued: 4 });
    const mark = { decided: 9, lastWinningTicket: 8, halted: true, haltChanges: 1 };
    const stalled = progressOf(event, mark, at);
    assert.deepEqual([stalled.stalled, stalled.voided, stalled.state], [true, false, "open"]);
    const voided = progressOf({ ...event, voided: true, version: 2 }, mark, at);
    assert.deepEqual([voided.stalled, voided.voided, voided.state], [false, true, "closed"]);
    assert.equal(progressOf({ ...event, issued: 10 }, mark, at).stalled, false, "nobody waits");
    const free = progressOf(event, { ...mark, halted: false, haltChanges: 2 }, at);
    const ids = [progressOf(event, { ...mark, ...MOVING }, at), stalled, free, voided];
    assert.deepEqual(
      ids.map(({ id }) => id),
      ids.map(({ id }) => id).toSorted((a, b) => a - b),
    );
    assert.equal(new Set(ids.map(({ id }) => id)).size, ids.length, "each of them is told");
  });

  test("tells how far a queue is decided", () => {
    const event = couponEvent({ mechanism: "kafka-queue", issued: 4 });
    assert.equal(progressOf(event, { decided: 9, lastWinningTicket: 8, ...MOVING }, at).decided, 9);
    assert.equal(
      progressOf(event, { decided: 0, lastWinningTicket: null, ...MOVING }, at).decided,
      0,
    );
  });

  test("names the last winning ticket only once nothing can be won any more", () => {
    const event = couponEvent({ mechanism: "kafka-queue", limit: 5, issued: 4 });
    const mark = { decided: 9, lastWinningTicket: 8, ...MOVING };
    assert.equal(progressOf(event, mark, at).lastWinningTicket, null);
    assert.equal(progressOf({ ...event, issued: 5 }, mark, at).lastWinningTicket, 8);
    assert.equal(progressOf({ ...event, issued: 5 }, null, at).lastWinningTicket, null);
  });
});

type Step =
  | { readonly kind: "change"; readonly change: EventChange }
  | { readonly kind: "issue" }
  | { readonly kind: "decide"; readonly wins: boolean }
  | { readonly kind: "wait"; readonly ms: number };

type World = { readonly event: CouponEvent; readonly decided: number; readonly nowMs: number };

const instant = fc.integer({ min: START_MS - 5, max: START_MS + 40 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant("change" as const),
    change: fc.record(
      {
        name: fc.constantFrom("Spring", "Summer"),
        limit: fc.integer({ min: 1, max: 12 }),
        opensAtMs: instant,
        closesAtMs: fc.option(instant),
        paused: fc.boolean(),
      },
      { requiredKeys: [] },
    ),
  }),
  fc.constant({ kind: "issue" as const }),
  fc.record({ kind: fc.constant("decide" as const), wins: fc.boolean() }),
  fc.record({ kind: fc.constant("wait" as const), ms: fc.integer({ min: 0, max: 15 }) }),
);

/** The world after a step that may happen; the same one where it may not. */
function after(world: World, step: Step): World {
  const { event, decided, nowMs } = world;
  const left = event.issued < event.limit;
  switch (step.kind) {
    case "change": {
      const changed = changeCouponEvent(event, step.change);
      return changed.ok ? { ...world, event: changed.value } : world;
    }
    case "issue":
      if (!left || event.mechanism === "kafka-queue") return world;
      return { ...world, event: { ...event, issued: event.issued + 1 } };
    case "decide": {
      if (event.mechanism !== "kafka-queue") return world;
      const issued = step.wins && left ? event.issued + 1 : event.issued;
      return { ...world, event: { ...event, issued }, decided: decided + 1 };
    }
    case "wait":
      return { ...world, nowMs: nowMs + step.ms };
  }
}

function progress({ event, decided, nowMs }: World): Progress {
  const mark: QueueMark | null =
    event.mechanism === "kafka-queue" ? { decided, lastWinningTicket: null, ...MOVING } : null;
  return progressOf(event, mark, { nowMs, perSecond: 0 });
}

describe("the id of a progress", () => {
  for (const mechanism of ["row-lock", "kafka-queue"] as const satisfies readonly Mechanism[]) {
    // Red where STATES_WEIGHT is 1: a change that reopens a closed event then takes the id back.
    test(`grows with every change of a ${mechanism} event, an operator's and time's included`, () => {
      fc.assert(
        fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
          let world: World = {
            event: couponEvent({ mechanism, limit: 4 }),
            decided: 0,
            nowMs: START_MS - 3,
          };
          for (const step of steps) {
            const next = after(world, step);
            const [old, now] = [progress(world), progress(next)];
            const { id: oldId, ...oldFacts } = old;
            const { id: newId, ...newFacts } = now;
            const same =
              JSON.stringify(oldFacts) === JSON.stringify(newFacts) &&
              world.event.version === next.event.version;
            if (same) assert.equal(newId, oldId);
            else assert.ok(newId > oldId, JSON.stringify({ step, old, now }));
            world = next;
          }
        }),
        { numRuns: 2_000 },
      );
    });
  }

  test("grows where one change turns a closed event back into a scheduled one", () => {
    const closed = couponEvent({ closesAtMs: START_MS + 1 });
    const reopened = changeCouponEvent(closed, { opensAtMs: START_MS + 9, closesAtMs: null });
    assert.ok(reopened.ok);
    const nowMs = START_MS + 5;
    const before = progressOf(closed, null, { nowMs, perSecond: 0 });
    const later = progressOf(reopened.value, null, { nowMs, perSecond: 0 });
    assert.equal(before.state, "closed");
    assert.equal(later.state, "scheduled");
    assert.ok(later.id > before.id);
  });

  test("is the same on every instance, whatever rate each one sees", () => {
    const event = couponEvent({ issued: 3 });
    const ids = [0, 5, 9_000].map((perSecond) => progressOf(event, null, { ...at, perSecond }).id);
    assert.equal(new Set(ids).size, 1);
  });
});
