import assert from "node:assert/strict";
import { test } from "node:test";
import { EngineFault } from "@stampede/domain";
import { drawCode } from "../src/codes.ts";
import { engineOffIssuer, engineOffPreparation } from "../src/engine-off.ts";
import { postgresEventStore } from "../src/postgres/event-store.ts";
import { rowLockIssuer } from "../src/postgres/row-lock-issuer.ts";
import { openTestDatabase } from "./support/database.ts";
import { missing } from "./support/engines.ts";
import { createTestEvent, person } from "./support/sale.ts";

const skip = missing("postgres");

test(
  "takes no claim while the engine is off, and still shows what is committed",
  { skip },
  async (t) => {
    const { postgres, directory } = await openTestDatabase(t);
    const eventId = await createTestEvent(postgresEventStore(postgres, {}), "row-lock", {
      limit: 2,
    });
    // Stands in for an event whose coupons were issued while its engine was there.
    const before = rowLockIssuer({ postgres, directory, drawCode });
    const off = engineOffIssuer("redis", directory);
    const holder = await before.claim(eventId, person(1));
    assert.ok(holder.kind === "issued");

    const { couponIssue } = holder;
    assert.deepEqual(await off.claim(eventId, person(1)), { kind: "replayed", couponIssue });
    assert.deepEqual(await off.status(eventId, person(1), null), { kind: "issued", couponIssue });
    assert.equal(off.available(eventId), false);
    await assert.rejects(off.claim(eventId, person(2)), isNotApplied);

    await before.claim(eventId, person(2));
    const late = await off.claim(eventId, person(3));
    assert.deepEqual(late, { kind: "refused", refusal: { kind: "sold-out" } });
  },
);

test("makes no event that could never take a claim", { skip }, async (t) => {
  const { postgres } = await openTestDatabase(t);
  const store = postgresEventStore(postgres, { "redis-counter": engineOffPreparation("redis") });
  await assert.rejects(createTestEvent(store, "redis-counter", { limit: 1 }), isNotApplied);
  const listed = await store.list({ size: 10, cursor: null });
  assert.ok(listed.ok);
  assert.deepEqual(listed.value.entries, []);
});

function isNotApplied(error: unknown): boolean {
  return error instanceof EngineFault && error.outcome === "not-applied";
}
