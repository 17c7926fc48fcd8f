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
  const { store } = emptySale();
  const created = await createEvent(store, newEvent());
  assert.deepEqual(created, { ok: true, value: { event: couponEvent(), nowMs: START_MS } });
  assert.deepEqual(await store.find(couponEvent().id), { event: couponEvent(), nowMs: START_MS });
});

test("an id in use is refused, and the event that has it stays as it is", async () => {
  const { store } = emptySale();
  await createEvent(store, newEvent());
  const second = await createEvent(store, newEvent({ name: "Other", limit: 99 }));
  assert.deepEqual(second, { ok: false, refusal: { kind: "event-exists" } });
  assert.deepEqual((await store.find(couponEvent().id))?.event, couponEvent());
});

test("of two operators who create one id at once, one succeeds", async () => {
  const { store } = emptySale();
  const both = await Promise.all([createEvent(store, newEvent()), createEvent(store, newEvent())]);
  assert.equal(both.filter((created) => created.ok).length, 1);
});

test("an event that the rules refuse is not stored", async () => {
  const { store } = emptySale();
  assert.deepEqual(await createEvent(store, newEvent({ closesAtMs: START_MS })), {
    ok: false,
    refusal: { kind: "window-empty" },
  });
  assert.deepEqual(await createEvent(store, newEvent({ pace: 5 })), {
    ok: false,
    refusal: { kind: "pace-not-supported" },
  });
  assert.equal(await store.find(couponEvent().id), null);
});
