import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { codeFromRandom, createEvent, parseEventId } from "@stampede/domain";
import type { EventId, Mechanism } from "@stampede/domain";
import {
  couponIssuerContract,
  eventStoreContract,
  progressFeedContract,
} from "@stampede/domain/contracts";
import type { OpenEvent } from "@stampede/domain/contracts";
import { memorySale } from "@stampede/domain/memory";
import type { MemorySale } from "@stampede/domain/memory";

function openSale(): MemorySale {
  return memorySale({
    nowMs: Date.now,
    drawCode: () => codeFromRandom(randomBytes(26)),
    decideOnStatus: true,
  });
}

async function openEvent(
  sale: MemorySale,
  mechanism: Mechanism,
  wanted: OpenEvent,
): Promise<EventId> {
  const id = parseEventId("spring");
  assert.ok(id !== null);
  const created = await createEvent(sale, {
    id,
    name: "Spring",
    mechanism,
    limit: wanted.limit,
    opensAtMs: wanted.opensInMs === undefined ? null : Date.now() + wanted.opensInMs,
    closesAtMs: wanted.closesInMs === undefined ? null : Date.now() + wanted.closesInMs,
    pace: null,
    listed: true,
  });
  assert.ok(created.ok);
  return id;
}

for (const mechanism of ["row-lock", "kafka-queue"] as const) {
  couponIssuerContract(`memory, as ${mechanism}`, async (_t, wanted) => {
    const sale = openSale();
    const eventId = await openEvent(sale, mechanism, wanted);
    return { issuer: sale.issuerOf(mechanism), eventId, store: sale.store };
  });

  progressFeedContract(`memory, as ${mechanism}`, async () => {
    const sale = openSale();
    const eventId = await openEvent(sale, mechanism, { limit: 2 });
    return { feed: sale.feed, issuer: sale.issuerOf(mechanism), store: sale.store, eventId };
  });
}

eventStoreContract("memory", async () => openSale().store);
