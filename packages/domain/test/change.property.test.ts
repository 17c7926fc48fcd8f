import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { changeCouponEvent, changeEvent, eventState, newCouponEvent } from "@stampede/domain";
import type { CouponEvent, EventChange } from "@stampede/domain";
import fc from "fast-check";
import { START_MS, couponEvent, newEvent, openTestSale } from "./support.ts";

const instant = fc.integer({ min: START_MS - 10, max: START_MS + 10 });
const pace = fc.option(fc.integer({ min: 1, max: 100 }));
const change: fc.Arbitrary<EventChange> = fc.record(
  {
    name: fc.constantFrom("Spring", "Summer"),
    limit: fc.integer({ min: 1, max: 12 }),
    opensAtMs: instant,
    closesAtMs: fc.option(instant),
    paused: fc.boolean(),
    pace,
  },
  { requiredKeys: [] },
);

/** What holds for every event that may be stored; the database's constraints say the same. */
function assertSound(event: CouponEvent): void {
  assert.ok(event.issued >= 0 && event.issued <= event.limit);
  assert.ok(event.closesAtMs === null || event.closesAtMs > event.opensAtMs);
}

describe("any operator's change of any event", () => {
  const sound = fc
    .record({
      mechanism: fc.constantFrom("row-lock", "kafka-queue"),
      limit: fc.integer({ min: 1, max: 10 }),
      left: fc.integer({ min: 0, max: 10 }),
      opensAtMs: instant,
      lastsMs: fc.option(fc.integer({ min: 1, max: 15 })),
      version: fc.integer({ min: 1, max: 1_000 }),
    })
    .map(({ left, lastsMs, ...fields }) =>
      couponEvent({
        ...fields,
        issued: Math.max(0, fields.limit - left),
        closesAtMs: lastsMs === null ? null : fields.opensAtMs + lastsMs,
      }),
    );

  test("gives a sound event of the next version, or nothing", () => {
    fc.assert(
      fc.property(sound, change, (event, wanted) => {
        assertSound(event);
        const changed = changeCouponEvent(event, wanted);
        if (!changed.ok) return;
        assertSound(changed.value);
        assert.deepEqual(changed.value, { ...event, ...wanted, version: event.version + 1 });
      }),
      { numRuns: 1_000 },
    );
  });

  test("never takes back a coupon, and never undoes that all are sold", () => {
    fc.assert(
      fc.property(sound, change, instant, (event, wanted, nowMs) => {
        const changed = changeCouponEvent(event, wanted);
        if (!changed.ok) return;
        assert.ok(changed.value.limit >= event.limit);
        assert.equal(changed.value.issued, event.issued);
        if (eventState(event, nowMs) === "sold-out") {
          assert.equal(eventState(changed.value, nowMs), "sold-out");
        }
      }),
      { numRuns: 1_000 },
    );
  });

  test("is refused for a reason that is true", () => {
    fc.assert(
      fc.property(sound, change, (event, wanted) => {
        const changed = changeCouponEvent(event, wanted);
        if (changed.ok) return;
        const asked = { ...event, ...wanted };
        switch (changed.refusal.kind) {
          case "event-over":
            assert.fail("no event here is over");
          case "limit-not-raisable":
            assert.equal(changed.refusal.limit, event.limit);
            assert.ok(asked.limit < event.limit || event.issued === event.limit);
            break;
          case "window-empty":
            assert.ok(asked.closesAtMs !== null && asked.closesAtMs <= asked.opensAtMs);
            break;
          case "name-blank":
          case "name-broken":
          case "name-control":
          case "name-direction":
            assert.fail("every name here may be one");
        }
      }),
      { numRuns: 1_000 },
    );
  });
});

test("any wanted event is made sound, or refused", () => {
  const wanted = fc.record({
    mechanism: fc.constantFrom("row-lock", "kafka-queue"),
    limit: fc.integer({ min: 1, max: 10 }),
    opensAtMs: fc.option(instant),
    closesAtMs: fc.option(instant),
    pace,
  });
  fc.assert(
    fc.property(wanted, instant, (fields, nowMs) => {
      const made = newCouponEvent(newEvent(fields), nowMs);
      const opensAtMs = fields.opensAtMs ?? nowMs;
      const empty = fields.closesAtMs !== null && fields.closesAtMs <= opensAtMs;
      assert.equal(made.ok, !empty);
      if (!made.ok) return;
      assertSound(made.value);
      assert.deepEqual(made.value, couponEvent({ ...fields, opensAtMs }));
    }),
    { numRuns: 1_000 },
  );
});

test("of any changes by operators who read any versions, each version is replaced once", async () => {
  const attempts = fc.array(fc.record({ version: fc.integer({ min: 1, max: 6 }), change }), {
    maxLength: 20,
  });
  await fc.assert(
    fc.asyncProperty(attempts, async (wanted) => {
      const sale = await openTestSale("kafka-queue", { limit: 3 });
      const { store, id } = sale;
      let current = (await store.find(id))?.event;
      const outcomes = await Promise.all(
        wanted.map(async (one) => ({ ...one, changed: await changeEvent(sale, { id, ...one }) })),
      );
      for (const { version, change, changed } of outcomes) {
        assert.ok(current !== undefined);
        if (changed.ok) {
          assert.equal(version, current.version);
          assert.deepEqual(changed.value.event, { ...current, ...change, version: version + 1 });
          current = changed.value.event;
        } else {
          assert.equal(changed.refusal.kind === "stale-version", version !== current.version);
        }
      }
      assert.deepEqual((await store.find(id))?.event, current);
    }),
    { numRuns: 300 },
  );
});
