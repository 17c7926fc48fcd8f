// What becomes of a sale that is finished: Redis holds nothing of it, nobody asks for it, and whoever
// still claims is answered from its rows. Each test names what turns it red.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EngineFault } from "@stampede/domain";
import type { ClaimAnswer, EventId, UserId } from "@stampede/domain";
import { drawCode } from "../../src/rows/codes.ts";
import { writeReservations } from "../../src/redis-counter/reservations.ts";
import { keysOf, stampOf } from "../../src/redis-counter/scripts.ts";
import { missing, until } from "@stampede/launcher/testing";
import { createTestEvent, person } from "../support/sale.ts";
import { startOwnRedis } from "../engines/redis/own-redis.ts";
import {
  abandonReservation,
  claimOrFault,
  closeEvent,
  generationOf,
  holdEventRow,
  keysHeld,
  openRedisCounter,
  openSecondRedisCounter,
  personsOf,
  rowsOf,
  startReconciler,
  stateOf,
  untilForgotten,
} from "../support/redis-counter.ts";
import type { RedisCounter } from "../support/redis-counter.ts";

const soldOut = { kind: "refused", refusal: { kind: "sold-out" } };
const closed = { kind: "refused", refusal: { kind: "closed" } };

describe("a sale of v2 that is finished", { skip: missing("postgres", "redis") }, () => {
  // Red when keys or generation stay, or the reconciler goes on telling of it.
  test("is forgotten by Redis and by the reconciler when it is sold out", async (t) => {
    const counter = await openRedisCounter(t);
    const eventId = await createTestEvent(counter.store, "redis-counter", { limit: 2 });
    const reconciler = startReconciler(t, counter);
    await counter.issuer.claim(eventId, person(1));
    await until(() => reconciler.drift(10).has(eventId), "it is told of while it sells");
    await counter.issuer.claim(eventId, person(2));
    await untilForgotten(counter, eventId, { msMax: 2_000 });
    await until(() => !reconciler.drift(10).has(eventId), "it is told of no more");
    const fresh = await openSecondRedisCounter(t, counter);
    for (const { issuer } of [counter, fresh]) {
      assert.equal((await issuer.claim(eventId, person(1))).kind, "replayed");
      assert.deepEqual(await issuer.claim(eventId, person(3)), soldOut);
      assert.deepEqual(await issuer.status(eventId, person(3), null), { kind: "sold-out" });
    }
    assert.deepEqual(await keysHeld(counter, eventId), []);
  });

  // Red when the count in Redis ends a sale (B15): the last rows may never be committed.
  test("is kept until the last row is committed", async (t) => {
    const counter = await openRedisCounter(t);
    const eventId = await createTestEvent(counter.store, "redis-counter", { limit: 2 });
    await counter.issuer.claim(eventId, person(1));
    const held = await holdEventRow(counter, eventId);
    const last = counter.issuer.claim(eventId, person(2));
    await until(async () => (await stateOf(counter, eventId)).held === 2, "both have reserved");
    await counter.generations.finish(eventId);
    const kept = (await personsOf(counter, eventId)).length;
    await held.release();
    assert.equal(kept, 2);
    assert.equal((await last).kind, "issued");
    await counter.generations.finish(eventId);
    assert.deepEqual(await keysHeld(counter, eventId), []);
  });

  // Red when a reservation without a row ends with its event (A4), or equal counts are trusted.
  test("is forgotten a minute after it closed, with a row for everybody who had reserved", async (t) => {
    const counter = await openRedisCounter(t);
    const eventId = await createTestEvent(counter.store, "redis-counter", { limit: 9 });
    await counter.issuer.claim(eventId, person(1));
    await abandonReservation(counter, eventId, [person(2)]);
    // As many rows that Redis does not know.
    await writeReservations({ ...counter, drawCode }, eventId, [person(3)]);
    await closeEvent(counter, eventId, { closedMsAgo: 50_000 });
    await counter.generations.finish(eventId);
    assert.equal((await personsOf(counter, eventId)).length, 2, "it is not a minute yet");
    await closeEvent(counter, eventId);
    const reconciler = startReconciler(t, counter);
    await untilForgotten(counter, eventId, { msMax: 2_000 });
    assert.deepEqual([...(await rowsOf(counter.store, eventId))].sort(), [1, 2, 3].map(person));
    await until(() => !reconciler.drift(10).has(eventId), "it is told of no more");
    const fresh = await openSecondRedisCounter(t, counter);
    for (const { issuer } of [counter, fresh]) {
      assert.equal((await issuer.claim(eventId, person(2))).kind, "replayed");
      assert.deepEqual(await issuer.claim(eventId, person(4)), closed);
      assert.deepEqual(await issuer.status(eventId, person(4), null), { kind: "none" });
    }
    assert.deepEqual(await keysHeld(counter, eventId), []);
  });

  // Red when a finished event is built again for a claim, or the claim is answered by Redis.
  for (const [how, end, refused] of [
    ["sold out", async () => undefined, soldOut],
    ["closed", async (counter: RedisCounter, id: EventId) => closeEvent(counter, id), closed],
  ] as const) {
    test(`answers a process that has not heard that it is ${how} from the rows`, async (t) => {
      const counter = await openRedisCounter(t);
      const stale = await openSecondRedisCounter(t, counter);
      const limit = how === "closed" ? 5 : 2;
      const eventId = await createTestEvent(counter.store, "redis-counter", { limit });
      // It hears of nothing for a second, but by asking.
      stale.directory.close();
      await stale.directory.read(eventId);
      await counter.issuer.claim(eventId, person(1));
      await counter.issuer.claim(eventId, person(2));
      await end(counter, eventId);
      await counter.generations.finish(eventId);
      assert.deepEqual(await keysHeld(counter, eventId), []);
      const known = stale.directory.peek(eventId);
      assert.ok(known?.event.issued === 0 && known.event.closesAtMs === null, "it is stale");
      const answers = await Promise.all(
        [1, 2, 3].map(async (n) => stale.issuer.claim(eventId, person(n))),
      );
      assert.deepEqual(answers.map(({ kind }) => kind).slice(0, 2), ["replayed", "replayed"]);
      assert.deepEqual(answers[2], refused);
      assert.deepEqual(await keysHeld(counter, eventId), []);
      assert.equal(await generationOf(counter, eventId), undefined);
    });
  }

  // Red when a deleted event counts from nothing, or the generation of before is used again.
  test("goes on exactly when it is opened again and its limit raised", async (t) => {
    const counter = await openRedisCounter(t);
    const other = await openSecondRedisCounter(t, counter);
    const eventId = await createTestEvent(counter.store, "redis-counter", { limit: 3 });
    startReconciler(t, counter);
    await counter.issuer.claim(eventId, person(1));
    await other.issuer.claim(eventId, person(2));
    await closeEvent(counter, eventId);
    await untilForgotten(counter, eventId);
    await closeEvent(counter, eventId, { closedMsAgo: null });
    await counter.postgres.query(
      "UPDATE events SET limit_quantity = 4, version = version + 1 WHERE id = $1",
      [eventId],
    );
    await until(() => other.directory.peek(eventId)?.event.limit === 4, "both have heard of it");
    await until(() => counter.directory.peek(eventId)?.event.limit === 4, "both have heard of it");
    const answers = await Promise.all(
      [1, 2, 3, 4, 5].map(async (n) => [counter, other][n % 2]!.issuer.claim(eventId, person(n))),
    );
    const kinds = answers.map(({ kind }) => kind).sort();
    assert.equal(kinds.join(), "issued,issued,refused,replayed,replayed");
    await untilForgotten(counter, eventId);
    assert.equal((await rowsOf(counter.store, eventId)).length, 4);
  });

  // Red when delete.lua does not compare the persons, when a generation goes that was not read, or a
  // builder opens one that is named no more.
  test("loses nobody while it is finished and opened again in the middle of a crowd", async (t) => {
    const counters = [await openRedisCounter(t)];
    counters.push(await openSecondRedisCounter(t, counters[0]!));
    const [counter] = counters as [RedisCounter];
    const limit = 120;
    const eventId = await createTestEvent(counter.store, "redis-counter", { limit });
    const told = new Map<UserId, ClaimAnswer>();
    const persons = Array.from({ length: 200 }, (_, n) => person(n));
    const claimUntilTold = async (userId: UserId, n: number): Promise<void> => {
      for (let turn = n; !told.has(userId); turn += 1) {
        const answer = await claimOrFault(counters[turn % 2]!.issuer, eventId, userId);
        const isFinal = !(answer instanceof EngineFault) && !isRefusedFor(answer, "closed");
        if (isFinal) told.set(userId, answer);
        // Few at a time, so that there is somebody under way at each turn.
        else await new Promise((resolve) => setTimeout(resolve, 20 + (n % 7) * 10));
      }
    };
    const ended = new AbortController();
    const operator = async (): Promise<number> => {
      let deleted = 0;
      for (; !ended.signal.aborted; deleted += 1) {
        await closeEvent(counter, eventId);
        await Promise.all(counters.map(async ({ generations }) => generations.finish(eventId)));
        await closeEvent(counter, eventId, { closedMsAgo: null });
        await new Promise((resolve) => setTimeout(resolve, 30));
      }
      return deleted;
    };
    const operating = operator();
    const crowd = persons.map(async (userId, n) => {
      await new Promise((resolve) => setTimeout(resolve, n * 15));
      await claimUntilTold(userId, n);
    });
    await Promise.all(crowd);
    ended.abort();
    assert.ok((await operating) >= 10, "it was finished often");
    const rows = new Set(await rowsOf(counter.store, eventId));
    assert.equal(rows.size, limit);
    for (const [userId, answer] of told) {
      assert.equal(answer.kind !== "refused", rows.has(userId), `${userId}: ${answer.kind}`);
    }
    await counter.generations.finish(eventId);
    assert.deepEqual(await keysHeld(counter, eventId), []);
  });
});

describe("many finished sales of v2", { skip: missing("postgres", "redis") }, () => {
  // Red when a finished event is asked about again, by this leader or the next one; when what an
  // older build left stays; or when sales that go on wait until all of it is gone.
  test("cost nothing for ever, those of an older build neither", async (t) => {
    const own = await startOwnRedis(t);
    const counter = await openRedisCounter(t, { redisUrl: own.url });
    const session = counter.redis.session();
    const makeOld = async (n: number): Promise<void> => {
      const eventId = await createTestEvent(counter.store, "redis-counter", { limit: 1 });
      if (n % 2 === 0) await counter.issuer.claim(eventId, person(n));
      else await closeEvent(counter, eventId);
      const open = stampOf((await generationOf(counter, eventId))!, session.runId);
      const older = open.replace(/:[^:]+$/, ":1-dc6c0850");
      await session.send("HSET", keysOf(eventId).state, "open", older, "latch", "1");
    };
    for (let n = 0; n < 160; n += 1) await makeOld(n);
    const going = await createTestEvent(counter.store, "redis-counter", { limit: 5 });
    const first = startReconciler(t, counter);
    await until(() => first.isLeader(), "it leads");
    await abandonReservation(counter, going, [person(1)]);
    const isWritten = async (): Promise<boolean> =>
      (await rowsOf(counter.store, going)).length === 1;
    await until(isWritten, "who reserved in the one that goes on has a row", { msMax: 8_000 });
    assert.ok((await countedIn(counter)) > 1, "some are still to be finished");
    await until(async () => (await countedIn(counter)) === 1, "one is left", { msMax: 20_000 });
    await closeEvent(counter, going);
    await until(async () => (await countedIn(counter)) === 0, "none is left");
    assert.deepEqual(await session.send("KEYS", "*"), []);

    await first.close();
    const before = await callsOf(counter);
    const next = startReconciler(t, counter);
    await until(() => next.isLeader(), "the next one leads");
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    const calls = [...(await callsOf(counter))]
      .map(([name, count]) => [name, count - (before.get(name) ?? 0)] as const)
      .filter(([name, count]) => count > 0 && !["ping", "info"].includes(name));
    // One page of the walk over all keys, at the beginning of its term.
    assert.deepEqual(calls, [["scan", 1]]);
  });

  // Red when nobody looks for keys of events that have no generation, or another database's go.
  test("are forgotten again by a Redis that was put back to an older state", async (t) => {
    const own = await startOwnRedis(t);
    const counter = await openRedisCounter(t, { redisUrl: own.url });
    startReconciler(t, counter);
    const eventId = await createTestEvent(counter.store, "redis-counter", { limit: 1 });
    const { state, persons, count } = keysOf(eventId);
    await counter.issuer.claim(eventId, person(1));
    await untilForgotten(counter, eventId);
    const session = counter.redis.session();
    await session.send("HSET", state, "open", `gone:${session.runId}:2-0badcafe`);
    await session.send("HSET", persons, person(1), "1");
    await session.send("SET", count, "1");
    const foreign = "stampede:{of-another-database}:count";
    await session.send("SET", foreign, "7");
    await own.restart();
    await until(() => counter.redis.isUp(), "Redis is back");
    await untilForgotten(counter, eventId);
    assert.equal(await counter.redis.session().send("GET", foreign), "7");
  });

  // Red when keys of finished events stay: then new ones are unavailable, and nothing else.
  test("make room for a new one where Redis was at its maxmemory", async (t) => {
    const own = await startOwnRedis(t);
    const counter = await openRedisCounter(t, { redisUrl: own.url });
    const old = await createTestEvent(counter.store, "redis-counter", { limit: 1 });
    await counter.issuer.claim(old, person(1));
    const session = counter.redis.session();
    // As much as tens of thousands of persons take; the server's buffer of a longer command would count.
    for (let n = 0; n < 2_000; n += 1) {
      await session.send("HSET", keysOf(old).persons, `one-${n}`, "1".repeat(1_000));
    }
    const used = /used_memory:(\d+)/.exec(String(await session.send("INFO", "memory")))?.[1];
    await session.send("CONFIG", "SET", "maxmemory", String(Number(used) - 500_000));
    const made = await createTestEvent(counter.store, "redis-counter", { limit: 1 });
    const fault = await claimOrFault(counter.issuer, made, person(1));
    assert.ok(fault instanceof EngineFault && fault.outcome === "not-applied");
    startReconciler(t, counter);
    await untilForgotten(counter, old);
    assert.equal((await counter.issuer.claim(made, person(1))).kind, "issued");
  });

  // Red when an event that was over before it was made is counted for, and nobody ends it.
  test("include one that was over before it was made", async (t) => {
    const counter = await openRedisCounter(t);
    startReconciler(t, counter);
    const over = { limit: 5, opensInMs: -3_600_000, closesInMs: -1_800_000 };
    const eventId = await createTestEvent(counter.store, "redis-counter", over);
    await untilForgotten(counter, eventId);
    assert.deepEqual(await counter.issuer.claim(eventId, person(1)), closed);
  });
});

function isRefusedFor(answer: ClaimAnswer, kind: string): boolean {
  return answer.kind === "refused" && answer.refusal.kind === kind;
}

async function countedIn({ postgres }: RedisCounter): Promise<number> {
  return (await postgres.query("SELECT 1 FROM redis_generations")).length;
}

/** How often each command ran on the server, for anybody. */
async function callsOf({ redis }: RedisCounter): Promise<Map<string, number>> {
  const info = String(await redis.session().send("INFO", "commandstats"));
  const found = info.matchAll(/cmdstat_(?<name>[\w|-]+):calls=(?<calls>\d+)/g);
  return new Map([...found].map(({ groups }) => [groups!["name"]!, Number(groups!["calls"])]));
}
