import assert from "node:assert/strict";
import { test } from "node:test";
import { changeEvent, claimCoupon } from "@stampede/domain";
import { eventId, openTestSale, person } from "../support.ts";

test("an operator who read the current version changes the event", async () => {
  const sale = await openTestSale("row-lock");
  const { store, id, clock } = sale;
  const changed = await changeEvent(sale, {
    id,
    version: 1,
    change: { name: "Summer", limit: 12 },
  });
  assert.ok(changed.ok);
  assert.equal(changed.value.nowMs, clock.nowMs);
  assert.deepEqual(await store.find(id), changed.value);
  assert.equal(changed.value.event.name, "Summer");
  assert.equal(changed.value.event.limit, 12);
  assert.equal(changed.value.event.version, 2);
});

test("an operator who read another version changes nothing and is told to read again", async () => {
  const sale = await openTestSale("row-lock");
  const { store, id } = sale;
  for (const version of [0, 2]) {
    assert.deepEqual(await changeEvent(sale, { id, version, change: { paused: true } }), {
      ok: false,
      refusal: { kind: "stale-version" },
    });
  }
  assert.equal((await store.find(id))?.event.paused, false);
});

test("of two operators who read the same version, the second one is told to read again", async () => {
  const sale = await openTestSale("row-lock");
  const { id } = sale;
  const [first, second] = await Promise.all([
    changeEvent(sale, { id, version: 1, change: { paused: true } }),
    changeEvent(sale, { id, version: 1, change: { name: "Late" } }),
  ]);
  assert.ok(first.ok);
  assert.deepEqual(second, { ok: false, refusal: { kind: "stale-version" } });
});

test("a change that the rules refuse leaves event and version as they are", async () => {
  const sale = await openTestSale("row-lock");
  const { store, id } = sale;
  const before = await store.find(id);
  assert.deepEqual(await changeEvent(sale, { id, version: 1, change: { limit: 9 } }), {
    ok: false,
    refusal: { kind: "limit-not-raisable", limit: 10 },
  });
  assert.deepEqual(await store.find(id), before);
});

test("a change sees what is issued by then: the last coupon makes the limit final", async () => {
  const sale = await openTestSale("row-lock", { limit: 1 });
  const { id } = sale;
  await claimCoupon(sale, { eventId: id, userId: person(1), mechanism: "row-lock" });
  assert.deepEqual(await changeEvent(sale, { id, version: 1, change: { limit: 2 } }), {
    ok: false,
    refusal: { kind: "limit-not-raisable", limit: 1 },
  });
});

test("coupon issues do not make an operator's version stale", async () => {
  const sale = await openTestSale("row-lock");
  await claimCoupon(sale, { eventId: sale.id, userId: person(1), mechanism: "row-lock" });
  const { id } = sale;
  assert.ok((await changeEvent(sale, { id, version: 1, change: { paused: true } })).ok);
});

test("an event that does not exist cannot be changed", async () => {
  const sale = await openTestSale("row-lock");
  assert.deepEqual(
    await changeEvent(sale, { id: eventId("autumn"), version: 1, change: { paused: true } }),
    { ok: false, refusal: { kind: "no-such-event" } },
  );
});

test("a pace is refused where nobody queues, and where nobody here knows whether people do", async () => {
  for (const mechanisms of ["its own", "none"] as const) {
    const sale = await openTestSale("row-lock");
    const known = mechanisms === "none" ? new Map() : sale.mechanisms;
    const wanted = { id: sale.id, version: 1, change: { pace: 5 } };
    const changed = await changeEvent({ store: sale.store, mechanisms: known }, wanted);
    assert.deepEqual(changed, { ok: false, refusal: { kind: "pace-not-supported" } });
  }
  const queue = await openTestSale("kafka-queue");
  const paced = await changeEvent(queue, { id: queue.id, version: 1, change: { pace: 5 } });
  assert.ok(paced.ok && paced.value.event.pace === 5);
});
