import assert from "node:assert/strict";
import { test } from "node:test";
import { changeEvent, claimCoupon, claimStatus, voidEvent } from "@stampede/domain";
import { openTestSale, person } from "../support.ts";
import type { TestSale } from "../support.ts";

const mechanism = "kafka-queue";

async function openHaltedSale(): Promise<TestSale> {
  const sale = await openTestSale(mechanism, { limit: 5 });
  const eventId = sale.id;
  await claimCoupon(sale, { eventId, userId: person(1), mechanism });
  sale.decide(eventId);
  await claimCoupon(sale, { eventId, userId: person(2), mechanism });
  sale.halt(eventId);
  return sale;
}

test("whoever waits in a halted line is told that it stands, and then that it is over", async () => {
  const sale = await openHaltedSale();
  const eventId = sale.id;
  const asked = { eventId, userId: person(2), ticket: 1 };
  const stalled = await claimStatus(sale, asked);
  assert.deepEqual(stalled, { ok: true, value: { kind: "stalled", ticket: 1 } });
  const voided = await voidEvent(sale, { id: eventId, version: 1 });
  assert.ok(voided.ok);
  assert.deepEqual([voided.value.event.voided, voided.value.event.version], [true, 2]);
  assert.deepEqual(await claimStatus(sale, asked), { ok: true, value: { kind: "voided" } });
  assert.deepEqual(await claimCoupon(sale, { eventId, userId: person(3), mechanism }), {
    ok: false,
    refusal: { kind: "closed" },
  });
  sale.decide(eventId);
  const winner = await claimStatus(sale, { eventId, userId: person(1), ticket: 0 });
  assert.ok(winner.ok && winner.value.kind === "issued", "a coupon that was issued stays");
  assert.equal((await sale.rows()).length, 1);
});

test("an operator who did not get the answer voids again and is answered the same", async () => {
  const sale = await openHaltedSale();
  const first = await voidEvent(sale, { id: sale.id, version: 1 });
  assert.deepEqual(await voidEvent(sale, { id: sale.id, version: 1 }), first);
  assert.deepEqual(await voidEvent(sale, { id: sale.id, version: 2 }), first);
  const ahead = await voidEvent(sale, { id: sale.id, version: 3 });
  assert.deepEqual(ahead, { ok: false, refusal: { kind: "stale-version" } });
});

test("only a halted line can be voided", async () => {
  for (const other of [mechanism, "row-lock"]) {
    const sale = await openTestSale(other);
    const refused = await voidEvent(sale, { id: sale.id, version: 1 });
    assert.deepEqual(refused, { ok: false, refusal: { kind: "queue-not-halted" } });
  }
});

test("an operator who read another version voids nothing", async () => {
  const sale = await openHaltedSale();
  await changeEvent(sale, { id: sale.id, version: 1, change: { name: "Summer" } });
  const stale = await voidEvent(sale, { id: sale.id, version: 1 });
  assert.deepEqual(stale, { ok: false, refusal: { kind: "stale-version" } });
});

test("of an event that is voided only what is shown of it can change", async () => {
  const sale = await openHaltedSale();
  await voidEvent(sale, { id: sale.id, version: 1 });
  const { id } = sale;
  for (const change of [{ closesAtMs: null }, { paused: true }, { name: "x", limit: 9 }]) {
    const refused = await changeEvent(sale, { id, version: 2, change });
    assert.deepEqual(refused, { ok: false, refusal: { kind: "event-over" } });
  }
  const hidden = await changeEvent(sale, { id, version: 2, change: { listed: false, name: "x" } });
  assert.ok(hidden.ok && hidden.value.event.voided);
});
