// What the reconciler rolls forward, and what it leaves alone. Each test names what turns it red.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { EngineFault } from "@stampede/domain";
import type { EventId, UserId } from "@stampede/domain";
import { drawCode } from "../../src/rows/codes.ts";
import { keysOf, stampOf, readState } from "../../src/redis-counter/scripts.ts";
import { writeReservations } from "../../src/redis-counter/reservations.ts";
import { openClient, untilRefusedLead } from "../support/postgres.ts";
import { missing, testEngine, until } from "@stampede/launcher/testing";
import { hearFacts } from "../support/facts.ts";
import { createTestEvent, person } from "../support/sale.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";
import { startOwnRedis } from "../engines/redis/own-redis.ts";
import {
  abandonReservation,
  claimOrFault,
  openRedisCounter,
  openSecondRedisCounter,
  personsOf,
  rowsOf,
  startReconciler,
  stateOf,
  untilRows,
} from "../support/redis-counter.ts";
import type { RedisCounter } from "../support/redis-counter.ts";

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
    await untilRows(counter.store, eventId, { count: 3, msMax: WITHIN_MS });
    const rows = await rowsOf(counter.store, eventId);
    assert.ok(rows.includes(person(1)) && rows.includes(person(2)));
    const answers = await Promise.all(losers);
    assert.deepEqual(answers.map((answer) => answer.kind).sort(), ["issued", "refused"]);
    assert.equal((await counter.issuer.claim(eventId, person(1))).kind, "replayed");
    assert.equal(facts.repaired("rows-written"), 2);
  });

  // Red when events that are over, or that nobody claims, are asked about as often as a sale that runs.
  test("asks Redis nothing about events that are over, and ever less about one that rests", async (t) => {
    const own = await startOwnRedis(t);
    const { counter, eventId } = await openSale(t, { limit: 5, redisUrl: own.url });
    const over = { limit: 5, opensInMs: -3_600_000, closesInMs: -1_800_000 };
    for (let n = 0; n < 20; n += 1) await createTestEvent(counter.store, "redis-counter", over);
    await untilCompared(counter, eventId);
    const beginMs = performance.now();
    await until(() => performance.now() - beginMs > 8_000, "the event rests", { msMax: 9_000 });
    const before = await callsOf(counter, "hmget");
    await until(() => performance.now() - beginMs > 12_000, "it goes on", { msMax: 5_000 });
    const looks = (await callsOf(counter, "hmget")) - before;
    assert.ok(looks <= 2, `${looks} looks in four seconds`);
    // What is found when it moves again is as soon as ever.
    await counter.issuer.claim(eventId, person(1));
    await abandonReservation(counter, eventId, [person(2)]);
    await untilRows(counter.store, eventId, { count: 2, msMax: WITHIN_MS });
  });

  // Red when one event's key of a wrong type ends the pass for all others, or is not told.
  test("reconciles all others while one event's keys are of a wrong type, and tells it once", async (t) => {
    const counter = await openRedisCounter(t);
    const [wrong, right] = [
      await createTestEvent(counter.store, "redis-counter", { limit: 5 }),
      await createTestEvent(counter.store, "redis-counter", { limit: 5 }),
    ];
    const told: (readonly [EventId, string])[] = [];
    const reconciler = startReconciler(t, counter, (eventId, reason) =>
      told.push([eventId, reason]),
    );
    await untilCompared(counter, right);
    const { state } = keysOf(wrong);
    const session = counter.redis.session();
    await session.send("DEL", state);
    await session.send("SET", state, "not a hash");
    await abandonReservation(counter, right, [person(1)]);
    await untilRows(counter.store, right, { count: 1, msMax: WITHIN_MS });
    await abandonReservation(counter, right, [person(2)]);
    await untilRows(counter.store, right, { count: 2, msMax: WITHIN_MS });
    assert.deepEqual(
      told.map(([eventId]) => eventId),
      [wrong],
    );
    assert.match(told[0]?.[1] ?? "", /WRONGTYPE/);
    // An alarm knows by it which event is stuck.
    assert.ok((reconciler.pendingAges().get(wrong) ?? 0) > 0);
    await until(
      () => reconciler.pendingAges().get(right) === 0,
      "nobody waits for a row elsewhere",
    );
  });

  // Red when a reservation is written at first sight.
  test("leaves a reservation to its writer until it was seen pending twice", async (t) => {
    const own = await startOwnRedis(t);
    const { counter, eventId } = await openSale(t, { limit: 5, redisUrl: own.url });
    await untilCompared(counter, eventId);
    const before = await callsOf(counter, "hscan");
    await abandonReservation(counter, eventId, [person(1)]);
    await untilRows(counter.store, eventId, { count: 1, msMax: WITHIN_MS });
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
    await writeReservations({ ...counter, drawCode }, eventId, [person(3)]);
    assert.equal((await stateOf(counter, eventId)).held, 2);
    await until(
      async () => isEqual(counter, eventId, 3),
      "Redis and the rows have the same three persons",
      { msMax: 2 * WITHIN_MS },
    );
    assert.equal(facts.repaired("merged"), 1);
    assert.equal(facts.repaired("rows-written"), 1);
  });

  // Red when only one side is counted, or the difference outlives its repair.
  test("tells how many persons were on one side only, and 0 after the repair", async (t) => {
    const counter = await openRedisCounter(t);
    const eventId = await createTestEvent(counter.store, "redis-counter", { limit: 9 });
    await abandonReservation(counter, eventId, [person(1), person(2)]);
    await writeReservations({ ...counter, drawCode }, eventId, [person(3)]);
    const reconciler = startReconciler(t, counter);
    const drifts: (number | undefined)[] = [];
    await until(() => {
      const drift = reconciler.drift(10).get(eventId);
      if (drift !== drifts.at(-1)) drifts.push(drift);
      return drift === 0;
    }, "the drift is 0");
    assert.equal(Math.max(...drifts.map((drift) => drift ?? 0)), 3);
    assert.deepEqual(reconciler.drift(0), new Map());
    await counter.issuer.claim(eventId, person(4));
    await reconciler.close();
    assert.deepEqual(reconciler.drift(10), new Map());
  });

  // Red when an event that Redis has lost is passed over, or a missing generation is not made anew.
  test("rebuilds events that Redis has lost; the next claim, what the table of generations has", async (t) => {
    const { counter, eventId } = await openSale(t, { limit: 5 });
    await counter.issuer.claim(eventId, person(1));
    const keys = keysOf(eventId);
    const session = counter.redis.session();
    await session.send("DEL", keys.state, keys.persons);
    await until(
      async () => isEqual(counter, eventId, 1),
      "Redis and the rows have the same person",
      { msMax: WITHIN_MS },
    );
    await counter.postgres.query("DELETE FROM redis_generations WHERE event_id = $1", [eventId]);
    await counter.redis.session().send("DEL", keys.state);
    await counter.issuer.claim(eventId, person(2));
    assert.ok(await isEqual(counter, eventId, 2));
  });

  // Red when leadership is not asked for.
  test("works in one process at a time, and in another one after it", async (t) => {
    const facts = hearFacts(t);
    const first = await openRedisCounter(t);
    const second = await openSecondRedisCounter(t, first);
    const eventId = await createTestEvent(first.store, "redis-counter", { limit: 5 });
    const one = startReconciler(t, first);
    await until(() => one.isLeader(), "the first one leads");
    const other = startReconciler(t, second);
    await untilRefusedLead(await openClient(t, first.databaseUrl));
    await abandonReservation(first, eventId, [person(1)]);
    await untilRows(first.store, eventId, { count: 1 });
    assert.equal(other.isLeader(), false);
    assert.equal(facts.recovered("reconciler-takeover"), 0);
    await one.close();
    await abandonReservation(first, eventId, [person(2)]);
    await untilRows(first.store, eventId, { count: 2 });
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
    await until(() => !counter.redis.isUp(), "the loss is noticed");
    await assert.rejects(
      createTestEvent(counter.store, "redis-counter", { limit: 1 }),
      (error) => error instanceof EngineFault && error.outcome === "not-applied",
    );
    const page = await counter.store.list({ size: 10, cursor: null, all: true });
    assert.ok(page.ok && page.value.entries.length === 0);
  });

  // Red when neither `beginCounting` nor `ensureCounting` replaces what stands under the id (O6).
  test("starts empty under an id that Redis knows from another database", async (t) => {
    const counter = await openRedisCounter(t);
    const first = await createTestEvent(counter.store, "redis-counter", { limit: 1 });
    await counter.issuer.claim(first, person(1));
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
        listed: true,
        voided: false,
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
  await until(() => reconciler.isLeader(), "the reconciler leads");
  return { counter, eventId };
}

/** Until the leader has looked once more, so that what follows is news to it. */
async function untilCompared(counter: RedisCounter, eventId: EventId): Promise<void> {
  const before = await callsOf(counter, "hlen");
  await until(async () => (await callsOf(counter, "hlen")) > before, "the leader has looked");
  assert.ok((await readState(counter.redis.session(), eventId)).stamp !== null);
}

/** How often this command ran on the server, for anybody. */
async function callsOf({ redis }: RedisCounter, command: string): Promise<number> {
  const info = String(await redis.session().send("INFO", "commandstats"));
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(info)?.[1] ?? 0);
}

async function isEqual(counter: RedisCounter, eventId: EventId, rows: number): Promise<boolean> {
  const persons: UserId[] = (await personsOf(counter, eventId)).sort();
  const winners = [...(await rowsOf(counter.store, eventId))].sort();
  const { stamp } = await stateOf(counter, eventId);
  const generations = await counter.postgres.query<{ generation: string }>(
    "SELECT generation FROM redis_generations WHERE event_id = $1",
    [eventId],
  );
  const generation = generations[0]?.generation ?? "";
  return (
    stamp === stampOf(generation, counter.redis.session().runId) &&
    winners.length === rows &&
    persons.join() === winners.join()
  );
}
