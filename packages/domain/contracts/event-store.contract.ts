import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { describe, test } from "node:test";
import type { EventId } from "../src/ids.ts";
import { parseEventId } from "../src/ids.ts";
import { changeCouponEvent, newCouponEvent } from "../src/model/coupon-event.ts";
import type { NewEvent } from "../src/model/coupon-event.ts";
import type { Mechanism } from "../src/model/mechanism.ts";
import type { EventStore } from "../src/ports.ts";
import { refuse } from "../src/result.ts";

/** Opens a store without events and cleans up by `t.after`. */
export type OpenStore = (t: TestContext) => Promise<EventStore>;

/** What every event store must do. */
export function eventStoreContract(name: string, open: OpenStore): void {
  describe(`EventStore contract: ${name}`, () => {
    test("finds an event as it was created, with the database's clock", async (t) => {
      const store = await open(t);
      const created = await create(store, { name: "Frühling 🌸", limit: 7, pace: 3 });
      assert.ok(created.ok);
      const found = await store.find(created.value.event.id);
      assert.deepEqual(found?.event, created.value.event);
      assert.ok(found.nowMs >= created.value.nowMs);
      assert.equal(found.event.version, 1);
      assert.equal(found.event.issued, 0);
      assert.ok(found.event.opensAtMs <= found.nowMs);
    });

    test("finds no event where there is none", async (t) => {
      assert.equal(await (await open(t)).find(eventId("nowhere")), null);
    });

    test("refuses a second event of the same id and keeps the first", async (t) => {
      const store = await open(t);
      await create(store, { id: "twice", name: "first" });
      const second = await create(store, { id: "twice", name: "second" });
      assert.deepEqual(second, refuse({ kind: "event-exists" }));
      assert.equal((await store.find(eventId("twice")))?.event.name, "first");
    });

    test("lets one of twenty creators of the same id win", async (t) => {
      const store = await open(t);
      const all = await Promise.all(
        Array.from({ length: 20 }, (_, n) => create(store, { id: "race", name: `n${n}` })),
      );
      assert.equal(all.filter((created) => created.ok).length, 1);
    });

    test("passes on the refusal of the rule that makes an event", async (t) => {
      const store = await open(t);
      const made = await store.create(eventId("never"), () => refuse({ kind: "no" as const }));
      assert.deepEqual(made, refuse({ kind: "no" }));
      assert.equal(await store.find(eventId("never")), null);
    });

    test("lists events newest first, page by page, each once", async (t) => {
      const store = await open(t);
      for (const id of ["a", "b", "c", "d", "e"]) await create(store, { id });
      const seen: string[] = [];
      let cursor: string | null = null;
      do {
        const page = await store.list({ size: 2, cursor, all: false });
        assert.ok(page.ok);
        assert.ok(page.value.entries.length <= 2);
        seen.push(...page.value.entries.map((event) => event.id));
        cursor = page.value.next;
      } while (cursor !== null);
      assert.deepEqual(seen, ["e", "d", "c", "b", "a"]);
    });

    test("leaves an unlisted event out of the list, and shows it with all others", async (t) => {
      const store = await open(t);
      await create(store, { id: "shown" });
      await create(store, { id: "hidden", listed: false });
      const ids = async (all: boolean): Promise<readonly string[]> => {
        const page = await store.list({ size: 9, cursor: null, all });
        assert.ok(page.ok);
        return page.value.entries.map((event) => event.id);
      };
      assert.deepEqual(await ids(false), ["shown"]);
      assert.deepEqual(await ids(true), ["hidden", "shown"]);
      const shown = await store.change(eventId("hidden"), 1, (event) =>
        changeCouponEvent(event, { listed: true }),
      );
      assert.ok(shown.ok);
      assert.deepEqual(await ids(false), ["hidden", "shown"]);
    });

    test("refuses a cursor that is none", async (t) => {
      const store = await open(t);
      for (const cursor of ["x", "-1", "1.5", "9e99", "%00", "a_b_c"]) {
        const page = await store.list({ size: 2, cursor, all: false });
        assert.deepEqual(page, refuse({ kind: "cursor-unreadable" }), cursor);
        const issues = await store.issues(eventId("a"), { size: 2, cursor });
        assert.deepEqual(issues, refuse({ kind: "cursor-unreadable" }), cursor);
      }
    });

    changeTests(open);
  });
}

function changeTests(open: OpenStore): void {
  test("changes an event that is at the version named, and counts the change", async (t) => {
    const store = await open(t);
    await create(store, { id: "spring", limit: 5 });
    const changed = await store.change(eventId("spring"), 1, (event) =>
      changeCouponEvent(event, { limit: 9, paused: true, closesAtMs: event.opensAtMs + 1_000 }),
    );
    assert.ok(changed.ok);
    assert.equal(changed.value.event.version, 2);
    assert.equal(changed.value.event.limit, 9);
    assert.deepEqual((await store.find(eventId("spring")))?.event, changed.value.event);
  });

  test("lets one of twenty changes of the same version win", async (t) => {
    const store = await open(t);
    await create(store, { id: "spring" });
    const all = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        store.change(eventId("spring"), 1, (event) => changeCouponEvent(event, { name: `n${n}` })),
      ),
    );
    assert.equal(all.filter((changed) => changed.ok).length, 1);
    const losers = all.filter((changed) => !changed.ok);
    for (const loser of losers) assert.deepEqual(loser, refuse({ kind: "stale-version" }));
    assert.equal((await store.find(eventId("spring")))?.event.version, 2);
  });

  test("changes nothing at another version, for a refusal, or without the event", async (t) => {
    const store = await open(t);
    await create(store, { id: "spring", limit: 5 });
    const id = eventId("spring");
    const stale = await store.change(id, 2, (event) => changeCouponEvent(event, { limit: 6 }));
    assert.deepEqual(stale, refuse({ kind: "stale-version" }));
    const refused = await store.change(id, 1, (event) => changeCouponEvent(event, { limit: 4 }));
    assert.deepEqual(refused, refuse({ kind: "limit-not-raisable", limit: 5 }));
    const unknown = await store.change(eventId("nowhere"), 1, (event) =>
      changeCouponEvent(event, { limit: 6 }),
    );
    assert.deepEqual(unknown, refuse({ kind: "no-such-event" }));
    const found = await store.find(id);
    assert.equal(found?.event.version, 1);
    assert.equal(found?.event.limit, 5);
  });
}

let made = 0;

function create(
  store: EventStore,
  wanted: Partial<Pick<NewEvent, "name" | "limit" | "listed">> & {
    id?: string;
    pace?: number;
    mechanism?: Mechanism;
  },
): ReturnType<typeof store.create> {
  made += 1;
  const event: NewEvent = {
    id: eventId(wanted.id ?? `event-${made}`),
    name: wanted.name ?? "An event",
    mechanism: wanted.mechanism ?? (wanted.pace === undefined ? "row-lock" : "kafka-queue"),
    limit: wanted.limit ?? 1,
    opensAtMs: null,
    closesAtMs: null,
    pace: wanted.pace ?? null,
    listed: wanted.listed ?? true,
  };
  return store.create(event.id, (nowMs) => newCouponEvent(event, nowMs));
}

function eventId(text: string): EventId {
  const id = parseEventId(text);
  assert.ok(id !== null);
  return id;
}
