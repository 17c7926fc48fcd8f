import assert from "node:assert/strict";
import { test } from "node:test";
import { EngineFault } from "@stampede/domain";
import { drawCode } from "../src/rows/codes.ts";
import { engineOffIssuer, engineOffPreparation } from "../src/engine-off.ts";
import { postgresEventStore } from "../src/rows/event-store.ts";
import { rowLockIssuer } from "../src/row-lock/issuer.ts";
import { queueStatus, tickets } from "../src/kafka-queue/status.ts";
import { openTestDatabase } from "./support/database.ts";
import { openClient } from "./support/postgres.ts";
import { missing } from "@stampede/launcher/testing";
import { createTestEvent, person } from "./support/sale.ts";

const skip = missing("postgres");

test(
  "takes no claim while the engine is off, and still shows what is committed",
  { skip },
  async (t) => {
    const { postgres, directory } = await openTestDatabase(t);
    const eventId = await createTestEvent(postgresEventStore(postgres), "row-lock", {
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
  const store = postgresEventStore(postgres, () => engineOffPreparation("redis"));
  await assert.rejects(createTestEvent(store, "redis-counter", { limit: 1 }), isNotApplied);
  const listed = await store.list({ size: 10, cursor: null, all: true });
  assert.ok(listed.ok);
  assert.deepEqual(listed.value.entries, []);
});

// Red when a process without Kafka calls somebody in line nothing: their page forgets the place.
test(
  "tells people in line their place, and that a halted line stands still",
  { skip },
  async (t) => {
    const { postgres, directory, url } = await openTestDatabase(t);
    const store = postgresEventStore(postgres);
    const eventId = await createTestEvent(store, "kafka-queue", { limit: 5 });
    const client = await openClient(t, url);
    await client.query(
      "INSERT INTO queues (event_id, topic, topic_id, next_offset) VALUES ($1, 'log', 'id', 3)",
      [eventId],
    );
    const ticketOf = tickets(directory, postgres.time);
    const status = queueStatus({ postgres, directory, ticketOf });
    const told = await status(eventId, person(1), 7);
    assert.ok(told.kind === "queued");
    assert.deepEqual([told.ticket.ticket, told.ticket.ahead], [7, 4]);
    assert.deepEqual(await status(eventId, person(1), null), { kind: "none" });
    assert.deepEqual(await status(eventId, person(1), 2), { kind: "none" });
    await client.query("UPDATE queues SET halted = 'the log lost records'");
    assert.deepEqual(await status(eventId, person(1), 7), { kind: "stalled", ticket: 7 });
  },
);

function isNotApplied(error: unknown): boolean {
  return error instanceof EngineFault && error.outcome === "not-applied";
}
