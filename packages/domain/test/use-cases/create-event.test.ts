import assert from "node:assert/strict";
import { test } from "node:test";
import { createEvent } from "@stampede/domain";
import { memorySale } from "@stampede/domain/memory";
import type { MemorySale } from "@stampede/domain/memory";
import { START_MS, couponEvent, newEvent } from "../support.ts";

function emptySale(): MemorySale {
  return memorySale({ nowMs: () => START_MS, drawCode: () => "0".repeat(26) });
}

test("an operator's new event is stored, and opens by the store's clock", async () => {
  const sale = emptySale();
  const { store } = sale;
  const created = await createEvent(sale, newEvent());
  assert.deepEqual(created, { ok: true, value: { event: couponEvent(), nowMs: START_MS } });
  assert.deepEqual(await store.find(couponEvent().id), { event: couponEvent(), nowMs: START_MS });
});

test("an id in use is refused, and the event that has it stays as it is", async () => {
  const sale = emptySale();
  const { store } = sale;
  await createEvent(sale, newEvent());
  const second = await createEvent(sale, newEvent({ name: "Other", limit: 99 }));
  assert.deepEqual(second, { ok: false, refusal: { kind: "event-exists" } });
  assert.deepEqual((await store.find(couponEvent().id))?.event, couponEvent());
});

test("of two operators who create one id at once, one succeeds", async () => {
  const sale = emptySale();
  const both = await Promise.all([createEvent(sale, newEvent()), createEvent(sale, newEvent())]);
  assert.equal(both.filter((created) => created.ok).length, 1);
});

test("an event that the rules refuse is not stored", async () => {
  const sale = emptySale();
  const { store } = sale;
  assert.deepEqual(await createEvent(sale, newEvent({ closesAtMs: START_MS })), {
    ok: false,
    refusal: { kind: "window-empty" },
  });
  assert.deepEqual(await createEvent(sale, newEvent({ pace: 5 })), {
    ok: false,
    refusal: { kind: "pace-not-supported" },
  });
  assert.equal(await store.find(couponEvent().id), null);
});

test("an event of a mechanism that this process does not have is refused", async () => {
  const sale = emptySale();
  const created = await createEvent(sale, newEvent({ mechanism: "of-a-newer-build" }));
  assert.deepEqual(created, { ok: false, refusal: { kind: "mechanism-unknown" } });
  assert.equal(await sale.store.find(newEvent().id), null);
});
