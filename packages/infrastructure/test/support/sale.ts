import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { createEvent, parseEventId, parseUserId } from "@stampede/domain";
import type { EventId, EventStore, KnownMechanisms, Mechanism, UserId } from "@stampede/domain";
import type { OpenEvent } from "@stampede/domain/contracts";
import { mechanisms } from "../../src/mechanisms.ts";

/** All that there are, as use cases that make and change events have to know them. */
export const knownMechanisms: KnownMechanisms = new Map(
  mechanisms.map((facts) => [facts.name, { facts }]),
);

/** Creates an event with an id of its own; times are relative to now, as in `OpenEvent`. */
export async function createTestEvent(
  store: EventStore,
  mechanism: Mechanism,
  wanted: OpenEvent & { readonly pace?: number },
): Promise<EventId> {
  const id = parseEventId(`event-${randomBytes(5).toString("hex")}`);
  assert.ok(id !== null);
  const created = await createEvent(
    { store, mechanisms: knownMechanisms },
    {
      id,
      name: "A test event",
      mechanism,
      limit: wanted.limit,
      opensAtMs: wanted.opensInMs === undefined ? null : Date.now() + wanted.opensInMs,
      closesAtMs: wanted.closesInMs === undefined ? null : Date.now() + wanted.closesInMs,
      pace: wanted.pace ?? null,
      listed: true,
    },
  );
  assert.ok(created.ok);
  return id;
}

export function person(name: string | number): UserId {
  const userId = parseUserId(`person-${name}`);
  assert.ok(userId !== null);
  return userId;
}
