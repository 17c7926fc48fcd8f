// The cache of committed facts that every mechanism answers from. Each test names what turns it red.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { setImmediate } from "node:timers/promises";
import type { CouponIssue, EventId, EventStore } from "@stampede/domain";
import { ok } from "@stampede/domain";
import { drawCode } from "../../src/rows/codes.ts";
import { EventDirectory } from "../../src/rows/event-directory.ts";
import type { KnownEvent, QueueFacts } from "../../src/rows/event-directory.ts";
import { postgresEventStore } from "../../src/rows/event-store.ts";
import type { Postgres } from "../../src/engines/postgres/open.ts";
import { rowLockIssuer } from "../../src/row-lock/issuer.ts";
import { openSecondInstance, createTestDatabase } from "../support/database.ts";
import { missing, testEngine, until } from "@stampede/launcher/testing";
import { createTestEvent, person } from "../support/sale.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";
import { insertIssues, openCrowded } from "./crowded-directory.ts";
import { openClient } from "../support/postgres.ts";

/** What was read within this time is not asked for again. */
const FRESH_MS_MAX = 1_000;

type Instance = { readonly postgres: Postgres; readonly directory: EventDirectory };

type Opened = Instance & {
  readonly url: string;
  readonly store: EventStore;
  readonly eventId: EventId;
};

async function open(t: TestContext, limit: number): Promise<Opened> {
  const url = await createTestDatabase(t);
  const instance = await openSecondInstance(t, url);
  const store = postgresEventStore(instance.postgres);
  return { ...instance, url, store, eventId: await createTestEvent(store, "row-lock", { limit }) };
}

async function readKnown({ directory, eventId }: Opened): Promise<KnownEvent> {
  const known = await directory.fresh(eventId);
  assert.ok(known !== null);
  return known;
}

describe("the event directory", { skip: missing("postgres") }, () => {
  // Red when `newest` takes a reading as it is: readings may arrive in another order than they began.
  test("never goes back, whatever order readings arrive in", async (t) => {
    const opened = await open(t, 10);
    const { directory, eventId, store } = opened;
    const before = await readKnown(opened);
    const ahead: KnownEvent = { ...before, event: { ...before.event, issued: 7, version: 4 } };
    directory.noteCommitted(ahead, []);
    // A reading of the database, which has seen none of that yet, and a late note of an older state.
    assert.equal((await directory.lookUp(eventId, person(1)))?.event.issued, 7);
    directory.noteCommitted(before, []);
    assert.equal(directory.peek(eventId)?.event.issued, 7);
    assert.equal(directory.peek(eventId)?.event.version, 4);
    // Each fact by itself: an older reading may still carry the newer version of the operator's part.
    await store.change(eventId, 1, (event) => ok({ ...event, name: "Renamed", version: 5 }));
    const renamed = await directory.lookUp(eventId, person(1));
    assert.equal(renamed?.event.name, "Renamed");
    assert.equal(renamed.event.issued, 7);
  });

  // Red when the mark of a queue is taken from an older reading: `ahead` would grow.
  test("never takes a mark back", async (t) => {
    const opened = await open(t, 10);
    const before = await readKnown(opened);
    const queue: QueueFacts = {
      topic: "t",
      topicId: "i",
      nextOffset: 5,
      lastWinningTicket: 4,
      halted: null,
      haltChanges: 0,
      retired: false,
    };
    opened.directory.noteCommitted({ ...before, queue }, []);
    opened.directory.noteCommitted({ ...before, queue: { ...queue, nextOffset: 3 } }, []);
    opened.directory.noteCommitted({ ...before, queue: null }, []);
    assert.equal(opened.directory.peek(opened.eventId)?.queue?.nextOffset, 5);
    const halted = { ...queue, nextOffset: 3, halted: "the log lost records", haltChanges: 1 };
    opened.directory.noteCommitted({ ...before, queue: halted }, []);
    assert.equal(opened.directory.peek(opened.eventId)?.queue?.halted, "the log lost records");
    // What a decider commits says nothing of a halt.
    opened.directory.noteCommitted({ ...before, queue: { ...queue, nextOffset: 6 } }, []);
    const known = opened.directory.peek(opened.eventId)?.queue;
    assert.deepEqual([known?.nextOffset, known?.halted], [6, "the log lost records"]);
    const free = { ...queue, haltChanges: 2, retired: true };
    opened.directory.noteCommitted({ ...before, queue: free }, []);
    opened.directory.noteCommitted({ ...before, queue: halted }, []);
    const last = opened.directory.peek(opened.eventId)?.queue;
    assert.deepEqual([last?.nextOffset, last?.halted, last?.retired], [6, null, true]);
  });

  // Red when a door may go by what it read before the log of its event was deleted (`KNOWN_MS_MAX`).
  test("forgets what it has not read for half a day, also while it is asked for it", async (t) => {
    const { postgres, eventId } = await open(t, 10);
    let laterMs = 0;
    const nowMs = (): number => postgres.time.nowMs() + laterMs;
    const time = { ...postgres.time, nowMs, every: () => () => undefined };
    const directory = new EventDirectory({ ...postgres, time });
    await directory.read(eventId);
    laterMs = 11 * 3_600_000;
    assert.ok(directory.peek(eventId) !== null);
    laterMs = 13 * 3_600_000;
    assert.equal(directory.peek(eventId), null);
    assert.ok((await directory.read(eventId)) !== null);
    assert.ok(directory.peek(eventId) !== null);
  });

  // B29. Red when a question joins the reading that is under way already (`#askAll`).
  test("shows a coupon issue to whoever asks after its commit, on every instance", async (t) => {
    const opened = await open(t, 60);
    const { url, eventId } = opened;
    const instances: Instance[] = [opened, await openSecondInstance(t, url)];
    const issuer = rowLockIssuer({ ...opened, drawCode });
    const ended = new AbortController();
    // Questions of others, so that a reading is always under way when ours comes.
    const others = instances.map(async ({ directory }) => {
      while (!ended.signal.aborted) {
        await directory.lookUp(eventId, person("nobody"));
        // An answer without a reading must not keep this turn for ever.
        await setImmediate();
      }
    });
    for (let n = 1; n <= 60; n += 1) {
      const answer = await issuer.claim(eventId, person(n));
      assert.ok(answer.kind === "issued");
      const seen = await Promise.all(
        instances.map(async ({ directory }) => directory.lookUp(eventId, person(n))),
      );
      for (const lookup of seen) {
        assert.deepEqual(lookup?.mine, answer.couponIssue);
        assert.ok(lookup.event.issued >= n);
      }
    }
    ended.abort();
    await Promise.all(others);
  });

  // Red when `final` does not compare the persons it knows with the limit (B14's kin).
  test("says sold out finally only once it knows every winner", async (t) => {
    const opened = await open(t, 3);
    const { directory, eventId, store, postgres, url } = opened;
    const before = await readKnown(opened);
    assert.equal(directory.final(eventId, person(1)), null);
    await insertIssues(await openClient(t, url), eventId, 3);
    const listed = await store.issues(eventId, { size: 10, cursor: null });
    assert.ok(listed.ok);
    const issues: readonly CouponIssue[] = listed.value.entries;
    // The database is asked no more, so that only what is noted here is known.
    directory.close();
    const soldOut: KnownEvent = { ...before, event: { ...before.event, issued: 3 } };
    directory.noteCommitted(soldOut, []);
    directory.noteCommitted(soldOut, issues.slice(0, 2));
    assert.equal(directory.final(eventId, person(1)), null);
    assert.equal(directory.final(eventId, person(9)), null);
    // One that leaves a gap is not counted as the next.
    directory.noteCommitted(soldOut, issues.slice(1, 2));
    assert.equal(directory.final(eventId, person(9)), null);
    directory.noteCommitted(soldOut, issues);
    assert.deepEqual(directory.final(eventId, person(3)), issues[2]);
    assert.equal(directory.final(eventId, person(9)), "sold-out");
    assert.equal(postgres.isUp(), true);
  });

  test("learns the winners of a sale that others decided, and answers without the database", async (t) => {
    const url = await createTestDatabase(t);
    const proxy = await startTcpProxy(t, testEngine("postgres"));
    const { postgres, directory } = await openSecondInstance(t, proxy.through(url));
    const store = postgresEventStore(postgres);
    const eventId = await createTestEvent(store, "row-lock", { limit: 3 });
    await directory.fresh(eventId);
    await insertIssues(await openClient(t, url), eventId, 3);
    await until(() => directory.final(eventId, person(9)) === "sold-out", "the winners are read");
    proxy.goAway();
    const holder = directory.final(eventId, person(2));
    assert.ok(typeof holder === "object" && holder?.seq === 2);
    assert.equal(directory.final(eventId, person(9)), "sold-out");
  });

  // Red when the bound of the kept winners is forgotten in one place and not in another.
  test("looks up persons of a large event one by one, and calls no answer of it final", async (t) => {
    const limit = 20_001;
    const { directory, eventId, url } = await open(t, limit);
    const client = await openClient(t, url);
    await insertIssues(client, eventId, limit);
    const [holder, last, nobody] = await Promise.all(
      [person(17), person(limit), person("nobody")].map(async (userId) =>
        directory.lookUp(eventId, userId),
      ),
    );
    assert.equal(holder?.mine?.seq, 17);
    assert.equal(last?.mine?.seq, limit);
    assert.equal(nobody?.mine, null);
    assert.equal(nobody.event.issued, limit);
    assert.equal(directory.final(eventId, person(17)), null);
    assert.equal(directory.final(eventId, person("nobody")), null);
  });

  // Red when each event of a turn costs a query of its own: two hundred cold ones held up the hot one.
  test("answers all questions of a turn by two queries, however many events they are about", async (t) => {
    const { directory, events, queries } = await openCrowded(t, { events: 40, limit: 3 });
    const before = queries();
    const asked = events.map(async (eventId) => directory.lookUp(eventId, person(2)));
    const lookups = await Promise.all(asked);
    assert.deepEqual(
      lookups.map((lookup) => lookup?.mine?.seq),
      events.map(() => 2),
    );
    assert.equal(queries() - before, 2);
  });

  // Red when one event's row that cannot be rejects the reading that others share with it.
  test("tells what is wrong with one event to those alone who ask about it", async (t) => {
    const opened = await open(t, 1);
    const { directory, eventId, store, url } = opened;
    const wrong = await createTestEvent(store, "row-lock", { limit: 1 });
    const client = await openClient(t, url);
    await client.query("ALTER TABLE events DROP CONSTRAINT events_issued_within_limit");
    await client.query("UPDATE events SET issued = 2 WHERE id = $1", [wrong]);
    const [one, other] = await Promise.allSettled([
      directory.lookUp(wrong, person(1)),
      directory.lookUp(eventId, person(1)),
    ]);
    assert.match(
      String(one.status === "rejected" && one.reason),
      /never issues more than its limit/,
    );
    assert.ok(other.status === "fulfilled" && other.value?.event.id === eventId);
  });

  // Red when one watched event makes all that are in use be read as often as it is.
  test("reads what is watched often, and what is merely in use seldom", async (t) => {
    const { directory, events, readOf } = await openCrowded(t, { events: 2, limit: 3 });
    const [watched, used] = events as [EventId, EventId];
    for (const eventId of events) await directory.lookUp(eventId, person(1));
    t.after(directory.onChange(watched, () => undefined));
    await until(() => readOf(watched) >= 16, "the watched one was read often");
    assert.ok(readOf(used) <= readOf(watched) / 2, `${readOf(used)} of ${readOf(watched)}`);
    assert.ok(readOf(used) > 1, "the other one was read as well");
  });

  test("knows nothing of an event that is not there, and finds it once it is", async (t) => {
    const { directory, store, eventId } = await open(t, 1);
    assert.equal(directory.peek(eventId), null);
    const other = await createTestEvent(store, "row-lock", { limit: 1 });
    assert.equal((await directory.fresh(other))?.event.id, other);
    const unknown = `${other}-x` as EventId;
    assert.equal(await directory.fresh(unknown), null);
    assert.equal(await directory.lookUp(unknown, person(1)), null);
  });

  // Red when neither `isUp` nor a reading that fails leads `fresh` to the last known facts.
  test("goes on with the last known facts while the database is away", async (t) => {
    const url = await createTestDatabase(t);
    const proxy = await startTcpProxy(t, testEngine("postgres"));
    const { postgres, directory } = await openSecondInstance(t, proxy.through(url));
    const store = postgresEventStore(postgres);
    const eventId = await createTestEvent(store, "row-lock", { limit: 3 });
    await directory.fresh(eventId);
    proxy.goAway();
    const goneMs = performance.now();
    await until(() => !postgres.isUp(), "the loss is noticed");
    await until(
      () => performance.now() - goneMs > FRESH_MS_MAX,
      "what is known is no longer fresh",
    );
    assert.equal((await directory.fresh(eventId))?.event.limit, 3);
    await assert.rejects(directory.lookUp(eventId, person(1)), { outcome: "not-applied" });
    proxy.comeBack();
    await until(() => postgres.isUp(), "the database is found again");
    assert.equal((await directory.lookUp(eventId, person(1)))?.mine, null);
  });
});
