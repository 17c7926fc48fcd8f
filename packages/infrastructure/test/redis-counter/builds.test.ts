// Two builds whose scripts differ, on one Redis: one of them counts at a time. Another build is here
// what it leaves behind, its number in `open`; two real ones run in proof/faults (A12).
//
// Red when `open` does not say by which scripts Redis counts (`stampOf`), when an event that a newer
// build counts is taken over all the same (`isOthers` in generations.ts), or when what an older one has
// reserved is not written before its persons are replaced (`writePending` there).
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EngineFault } from "@stampede/domain";
import type { EventId } from "@stampede/domain";
import { drawCode, drawToken } from "../../src/rows/codes.ts";
import { Generations } from "../../src/redis-counter/generations.ts";
import { keysOf, stampOf, scriptsId, SCRIPTS_NUMBER } from "../../src/redis-counter/scripts.ts";
import { missing } from "@stampede/launcher/testing";
import { createTestEvent, person } from "../support/sale.ts";
import {
  abandonReservation,
  claimOrFault,
  closeEvent,
  generationOf,
  openRedisCounter,
  personsOf,
  rowsOf,
  stateOf,
} from "../support/redis-counter.ts";
import type { RedisCounter } from "../support/redis-counter.ts";

const NEWER = `${SCRIPTS_NUMBER + 1}-0badcafe`;
const SAME_NUMBER = `${SCRIPTS_NUMBER}-0badcafe`;
const OLDER = `${SCRIPTS_NUMBER - 1}-0badcafe`;

test("the scripts' texts change together with their number, and this line with both", () => {
  assert.equal(scriptsId, "2-059e15d8");
});

describe("builds with other scripts", { skip: missing("postgres", "redis") }, () => {
  for (const [title, other] of [
    ["a newer build", NEWER],
    ["another build of the same number", SAME_NUMBER],
  ] as const) {
    test(`count nothing where ${title} counts, and say so`, async (t) => {
      const counter = await openRedisCounter(t);
      const eventId = await createTestEvent(counter.store, "redis-counter", { limit: 5 });
      await claimOrFault(counter.issuer, eventId, person(1));
      const stamp = await countBy(counter, eventId, other);
      const generation = await generationOf(counter, eventId);
      const told: string[] = [];
      const onOthers = (id: EventId, reason: string): void => void told.push(`${id}: ${reason}`);
      const generations = new Generations({ ...counter, drawCode, drawToken, onOthers });
      await assert.rejects(generations.ensureCounting(eventId), EngineFault);
      await assert.rejects(generations.ensureCounting(eventId), EngineFault);
      const why = `another build counts this event (its scripts are ${other}, ours are ${scriptsId})`;
      assert.deepEqual(told, [`${eventId}: ${why}`]);
      const answer = await claimOrFault(counter.issuer, eventId, person(2));
      assert.ok(answer instanceof EngineFault && answer.outcome === "not-applied");
      assert.equal(counter.issuer.available(eventId), false);
      await counter.generations.finish(eventId);
      assert.equal((await stateOf(counter, eventId)).stamp, stamp);
      assert.equal(await generationOf(counter, eventId), generation);
      assert.deepEqual(await personsOf(counter, eventId), [person(1)]);
    });
  }

  test("count again once the operator has removed what the other build counts by", async (t) => {
    const counter = await openRedisCounter(t);
    const eventId = await createTestEvent(counter.store, "redis-counter", { limit: 5 });
    await claimOrFault(counter.issuer, eventId, person(1));
    await countBy(counter, eventId, NEWER);
    assert.ok((await claimOrFault(counter.issuer, eventId, person(2))) instanceof EngineFault);
    await counter.redis.session().send("DEL", keysOf(eventId).state);
    const answer = await claimOrFault(counter.issuer, eventId, person(2));
    assert.ok(!(answer instanceof EngineFault) && answer.kind === "issued");
    assert.equal(counter.issuer.available(eventId), true);
    assert.deepEqual((await personsOf(counter, eventId)).toSorted(), [person(1), person(2)]);
  });

  test("delete nothing of an event that closed while a newer build counts it", async (t) => {
    const counter = await openRedisCounter(t);
    const eventId = await createTestEvent(counter.store, "redis-counter", { limit: 5 });
    await abandonReservation(counter, eventId, [person(1)]);
    await countBy(counter, eventId, NEWER);
    await closeEvent(counter, eventId);
    await assert.rejects(counter.generations.finish(eventId), EngineFault);
    assert.deepEqual(await personsOf(counter, eventId), [person(1)]);
  });

  for (const [title, suffix] of [
    ["an older build", `:${OLDER}`],
    ["a build from before there was a number", ""],
  ] as const) {
    test(`take over from ${title}: what it had reserved is written first`, async (t) => {
      const counter = await openRedisCounter(t);
      const eventId = await createTestEvent(counter.store, "redis-counter", { limit: 2 });
      await abandonReservation(counter, eventId, [person(1)]);
      const before = await generationOf(counter, eventId);
      const { runId } = counter.redis.session();
      await setStamp(counter, eventId, `${before}:${runId}${suffix}`);
      const answer = await claimOrFault(counter.issuer, eventId, person(2));
      assert.ok(!(answer instanceof EngineFault) && answer.kind === "issued");
      assert.deepEqual(await rowsOf(counter.store, eventId), [person(1), person(2)]);
      const generation = (await generationOf(counter, eventId))!;
      assert.notEqual(generation, before);
      assert.equal((await stateOf(counter, eventId)).stamp, stampOf(generation, runId));
    });
  }

  test("take over what a newer build counts in a generation that PostgreSQL does not name", async (t) => {
    const counter = await openRedisCounter(t);
    const eventId = await createTestEvent(counter.store, "redis-counter", { limit: 5 });
    await setStamp(counter, eventId, `gone:${counter.redis.session().runId}:${NEWER}`);
    const answer = await claimOrFault(counter.issuer, eventId, person(1));
    assert.ok(!(answer instanceof EngineFault) && answer.kind === "issued");
  });
});

/** As if the other build had begun to count just now, by this stamp. */
async function countBy(counter: RedisCounter, eventId: EventId, other: string): Promise<string> {
  const generation = await generationOf(counter, eventId);
  const stamp = `${generation}:${counter.redis.session().runId}:${other}`;
  await setStamp(counter, eventId, stamp);
  return stamp;
}

async function setStamp({ redis }: RedisCounter, eventId: EventId, stamp: string): Promise<void> {
  await redis.session().send("HSET", keysOf(eventId).state, "open", stamp);
}
