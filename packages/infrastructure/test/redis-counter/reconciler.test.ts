// What the reconciler rolls forward, and what it leaves alone. Each test names what turns it red.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { EngineFault } from "@stampede/domain";
import type { EventId, UserId } from "@stampede/domain";
import { drawCode } from "../../src/codes.ts";
import { keysOf, openedBy, readState } from "../../src/redis/scripts.ts";
import { writeBatch } from "../../src/redis/write-batch.ts";
import { openClient, untilRefusedLead } from "../postgres/support.ts";
import { missing, testEngine } from "../support/engines.ts";
import { hearFacts } from "../support/facts.ts";
import { createTestEvent, person } from "../support/sale.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";
import { startOwnRedis } from "./own-redis.ts";
import {
  abandonReservation,
  claimOrFault,
  openRedisCounter,
  openSecondRedisCounter,
  personsOf,
  rowsOf,
  startReconciler,
  stateOf,
  until,
} from "./support.ts";
import type { RedisCounter } from "./support.ts";

const WITHIN_MS = 2_000;

describe("the reconciler of v2", { skip: missing("postgres", "redis") }, () => {
  // Red without `writePending`, or when it waits for a third look (A4, B11).
  test("writes the rows of a process that died after reserving, within 2 s", async (t) => {
    const facts = hearFacts(t);
    const { counter, eventId } = await openSale(t, { limit: 3 });
    await untilCompared(counter, eventId);
    await abandonReservation(counter, eventId, [person(1), person(2)]);
    const losers = [person(3), person(4)].map(async (userId) =>
      counter.issuer.claim(eventId, userId),
    );
    await until(async () => (await rowsOf(counter.store, eventId)).length === 3, WITHIN_MS);
    const rows = await rowsOf(counter.store, eventId);
    assert.ok(rows.includes(person(1)) && rows.includes(person(2)));
    const answers = await Promise.all(losers);
    assert.deepEqual(answers.map((answer) => answer.kind).sort(), ["issued", "refused"]);
    assert.equal((await counter.issuer.claim(eventId, person(1))).kind, "replayed");
    assert.equal(facts.repaired("rows-written"), 2);
  });

  // Red when a reservation is written at first sight.
  test("leaves a reservation to its writer until it was seen pending twice", async (t) => {
    const own = await startOwnRedis(t);
    const { counter, eventId } = await openSale(t, { limit: 5, redisUrl: own.url });
    await untilCompared(counter, eventId);
    const before = await callsOf(counter, "hscan");
    await abandonReservation(counter, eventId, [person(1)]);
    await until(async () => (await rowsOf(counter.store, eventId)).length === 1, WITHIN_MS);
    assert.ok((await callsOf(counter, "hscan")) - before >= 2);
  });

  // Red without `mergeWinners` (A5), or when equal counts are trusted.
  test("merges rows that Redis does not know, also where a count hides them", async (t) => {
    const facts = hearFacts(t);
    const { counter, eventId } = await openSale(t, { limit: 5 });
    await counter.issuer.claim(eventId, person(1));
    await untilCompared(counter, eventId);
    // As many reservations without a row as rows without a reservation: the counts are equal.
    await abandonReservation(counter, eventId, [person(2)]);
    await writeBatch({ ...counter, drawCode }, eventId, [person(3)]);
    assert.equal((await stateOf(counter, eventId)).held, 2);
    await until(async () => isEqual(counter, eventId, 3), 2 * WITHIN_MS);
    assert.equal(facts.repaired("merged"), 1);
    assert.equal(facts.repaired("rows-written"), 1);
  });

  // Red when only one side is counted, or the difference outlives its repair.
  test("tells how many persons were on one side only, and 0 after the repair", async (t) => {
    const counter = await openRedisCounter(t);
    const eventId = await createTestEvent(counter.store, "redis-counter", { limit: 9 });
    await abandonReservation(counter, eventId, [person(1), person(2)]);
    await writeBatch({ ...counter, drawCode }, eventId, [person(3)]);
    const reconciler = startReconciler(t, counter);
    const drifts: (number | undefined)[] = [];
    await until(() => {
      const drift = reconciler.drift(10).get(eventId);
      if (drift !== drifts.at(-1)) drifts.push(drift);
      return drift === 0;
    });
    assert.equal(Math.max(...drifts.map((drift) => drift ?? 0)), 3);
    assert.deepEqual(reconciler.drift(0), new Map());
    await counter.issuer.claim(eventId, person(4));
    await reconciler.close();
    assert.deepEqual(reconciler.drift(10), new Map());
  });

  test("tells 0 of an event that was sold out before anybody compared it", async (t) => {
    const counter = await openRedisCounter(t);
    const eventId = await createTestEvent(counter.store, "redis-counter", { limit: 1 });
    await counter.issuer.claim(eventId, person(1));
    const reconciler = startReconciler(t, counter);
    await until(() => reconciler.drift(10).get(eventId) === 0);
    assert.equal((await stateOf(counter, eventId)).latched, true);
  });

  // Red when a missing latch is not looked for, or set from Redis's count (B15).
  test("sets a latch that is missing, only once all rows are committed", async (t) => {
    const facts = hearFacts(t);
    const { counter, eventId } = await openSale(t, { limit: 2 });
    await counter.issuer.claim(eventId, person(1));
    await untilCompared(counter, eventId);
    await abandonReservation(counter, eventId, [person(2)]);
    assert.equal((await stateOf(counter, eventId)).latched, false);
    await until(async () => (await stateOf(counter, eventId)).latched, 2 * WITHIN_MS);
    assert.equal((await rowsOf(counter.store, eventId)).length, 2);
    assert.deepEqual((await personsOf(counter, eventId)).sort(), [person(1), person(2)]);
    assert.equal(facts.repaired("latched"), 1);
  });

  // Red when a reservation that the guard refused stays beside the latch (B14).
  test("drops a reservation that the guard refused, with the latch", async (t) => {
    const facts = hearFacts(t);
    const { counter, eventId } = await openSale(t, { limit: 2 });
    await untilCompared(counter, eventId);
    await abandonReservation(counter, eventId, [person(1)]);
    await writeBatch({ ...counter, drawCode }, eventId, [person(2), person(3), person(4)]);
    assert.equal(facts.repaired("refused"), 1, "the fourth came too late");
    await until(async () => (await stateOf(counter, eventId)).latched, 2 * WITHIN_MS);
    assert.deepEqual((await personsOf(counter, eventId)).sort(), [person(2), person(3)]);
    const answer = await counter.issuer.claim(eventId, person(1));
    assert.deepEqual(answer, { kind: "refused", refusal: { kind: "sold-out" } });
  });

  // Red when an event whose generation is missing on either side is passed over.
  test("opens events that Redis, or the table of generations, has lost", async (t) => {
    const { counter, eventId } = await openSale(t, { limit: 5 });
    await counter.issuer.claim(eventId, person(1));
    const keys = keysOf(eventId);
    const session = counter.redis.session();
    await session.send("DEL", keys.state, keys.persons);
    await until(async () => isEqual(counter, eventId, 1), WITHIN_MS);
    await counter.postgres.query("DELETE FROM redis_generations WHERE event_id = $1", [eventId]);
    const { open } = await stateOf(counter, eventId);
    await until(async () => (await stateOf(counter, eventId)).open !== open, WITHIN_MS);
    assert.ok(await isEqual(counter, eventId, 1));
  });

  // Red when leadership is not asked for.
  test("works in one process at a time, and in another one after it", async (t) => {
    const facts = hearFacts(t);
    const first = await openRedisCounter(t);
    const second = await openSecondRedisCounter(t, first);
    const eventId = await createTestEvent(first.store, "redis-counter", { limit: 5 });
    const one = startReconciler(t, first);
    await until(() => one.isLeader());
    const other = startReconciler(t, second);
    await untilRefusedLead(await openClient(t, first.databaseUrl));
    await abandonReservation(first, eventId, [person(1)]);
    await until(async () => (await rowsOf(first.store, eventId)).length === 1);
    assert.equal(other.isLeader(), false);
    assert.equal(facts.recovered("reconciler-takeover"), 0);
    await one.close();
    await abandonReservation(first, eventId, [person(2)]);
    await until(async () => (await rowsOf(first.store, eventId)).length === 2);
    assert.equal(facts.repaired("rows-written"), 2);
    assert.equal(facts.recovered("reconciler-takeover"), 1);
  });
});

describe("making an event of v2", { skip: missing("postgres", "redis") }, () => {
  // Red when `prepare` does not ask Redis first.
  test("makes nothing while Redis is away", async (t) => {
    const proxy = await startTcpProxy(t, testEngine("redis"));
    const counter = await openRedisCounter(t, { redisUrl: proxy.through(testEngine("redis")) });
    proxy.goAway();
    await until(() => !counter.redis.isUp());
    await assert.rejects(
      createTestEvent(counter.store, "redis-counter", { limit: 1 }),
      (error) => error instanceof EngineFault && error.outcome === "not-applied",
    );
    const page = await counter.store.list({ size: 10, cursor: null });
    assert.ok(page.ok && page.value.entries.length === 0);
  });

  // Red when neither `openNew` nor `open` replaces what stands under the id (O6).
  test("starts empty under an id that Redis knows from another database", async (t) => {
    const counter = await openRedisCounter(t);
    const first = await createTestEvent(counter.store, "redis-counter", { limit: 1 });
    await counter.issuer.claim(first, person(1));
    await until(async () => (await stateOf(counter, first)).latched);
    await counter.postgres.query("DELETE FROM coupon_issues");
    await counter.postgres.query("DELETE FROM redis_generations");
    await counter.postgres.query("DELETE FROM events");
    // Another database's service: the first one's memory of the id would be a lie of the test.
    const next = await openSecondRedisCounter(t, counter);
    const made = await next.store.create(first, (nowMs) => ({
      ok: true,
      value: {
        id: first,
        name: "The same id",
        mechanism: "redis-counter",
        limit: 1,
        issued: 0,
        opensAtMs: nowMs,
        closesAtMs: null,
        paused: false,
        pace: null,
        version: 1,
      },
    }));
    assert.ok(made.ok);
    const answer = await claimOrFault(next.issuer, first, person(2));
    assert.ok(!(answer instanceof EngineFault) && answer.kind === "issued");
  });
});

async function openSale(
  t: TestContext,
  { limit, ...wanted }: { readonly limit: number; readonly redisUrl?: string },
): Promise<{ readonly counter: RedisCounter; readonly eventId: EventId }> {
  const counter = await openRedisCounter(t, wanted);
  const eventId = await createTestEvent(counter.store, "redis-counter", { limit });
  const reconciler = startReconciler(t, counter);
  await until(() => reconciler.isLeader());
  return { counter, eventId };
}

/** Until the leader has looked once more, so that what follows is news to it. */
async function untilCompared(counter: RedisCounter, eventId: EventId): Promise<void> {
  const before = await callsOf(counter, "hlen");
  await until(async () => (await callsOf(counter, "hlen")) > before);
  assert.ok((await readState(counter.redis.session(), eventId)).open !== null);
}

/** How often this command ran on the server, for anybody. */
async function callsOf({ redis }: RedisCounter, command: string): Promise<number> {
  const info = String(await redis.session().send("INFO", "commandstats"));
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(info)?.[1] ?? 0);
}

async function isEqual(counter: RedisCounter, eventId: EventId, rows: number): Promise<boolean> {
  const persons: UserId[] = (await personsOf(counter, eventId)).sort();
  const winners = [...(await rowsOf(counter.store, eventId))].sort();
  const { open } = await stateOf(counter, eventId);
  const generations = await counter.postgres.query<{ generation: string }>(
    "SELECT generation FROM redis_generations WHERE event_id = $1",
    [eventId],
  );
  const generation = generations[0]?.generation ?? "";
  return (
    open === openedBy(generation, counter.redis.session().runId) &&
    winners.length === rows &&
    persons.join() === winners.join()
  );
}
