// A crowd on v2, with healthy engines. Each test names what turns it red.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { EngineFault } from "@stampede/domain";
import { missing, until } from "@stampede/launcher/testing";
import { hearFacts } from "../support/facts.ts";
import { createTestEvent, person } from "../support/sale.ts";
import {
  claimOrFault,
  holdEventRow,
  keysHeld,
  openRedisCounter,
  openSecondRedisCounter,
  rowsOf,
  stateOf,
  startReconciler,
  untilForgotten,
} from "../support/redis-counter.ts";

describe("a crowd on v2", { skip: missing("postgres", "redis") }, () => {
  // Red when a wait is answered by a fault, or a queue is too short.
  for (const limit of [100, 10_000]) {
    test(`answers 10,000 at one instant on their merits, limit ${limit}`, async (t) => {
      const { issuer, store } = await openRedisCounter(t);
      const eventId = await createTestEvent(store, "redis-counter", { limit });
      const answers = await Promise.all(
        Array.from({ length: 10_000 }, async (_, n) => issuer.claim(eventId, person(n))),
      );
      assert.equal(answers.filter((answer) => answer.kind === "issued").length, limit);
      assert.equal(answers.filter((answer) => answer.kind === "refused").length, 10_000 - limit);
      assert.equal((await rowsOf(store, eventId)).length, limit);
    });
  }

  // Red when all of a crowd reserve at once, however slowly rows are written: then they are told
  // "outcome-unknown" although nothing is wrong.
  test("reserves no more than can be written in time, and tells everybody for sure", async (t) => {
    const counter = await openRedisCounter(t);
    const { issuer, store } = counter;
    const eventId = await createTestEvent(store, "redis-counter", { limit: 6_000 });
    const held = await holdEventRow(counter, eventId);
    const crowd = Array.from({ length: 6_000 }, async (_, n) =>
      claimOrFault(issuer, eventId, person(n)),
    );
    await until(async () => (await stateOf(counter, eventId)).held > 0, "some have reserved");
    await sleep(1_000);
    assert.ok((await stateOf(counter, eventId)).held <= 1_000);
    await held.release();
    for (const answer of await Promise.all(crowd)) {
      assert.ok("kind" in answer ? answer.kind === "issued" : answer.outcome === "not-applied");
    }
  });

  // Red when each repetition of a claim takes a place in the line.
  test("has a person in its line once, however often they claim", async (t) => {
    const facts = hearFacts(t);
    const { issuer, store } = await openRedisCounter(t);
    const eventId = await createTestEvent(store, "redis-counter", { limit: 10 });
    const claims = Array.from({ length: 50 }, async () => issuer.claim(eventId, person(1)));
    const kinds = (await Promise.all(claims)).map(({ kind }) => kind);
    assert.deepEqual(kinds, ["issued", ...Array.from({ length: 49 }, () => "replayed")]);
    const asked = facts.batches.filter(({ kind }) => kind === "redis-script");
    assert.equal(
      asked.reduce((sum, { size }) => sum + size, 0),
      1,
    );
  });

  // Red when `close` does not wait for claims in flight, or lets new ones in (A9).
  test("answers who is in flight when it closes, and turns away who comes later", async (t) => {
    const { issuer, store } = await openRedisCounter(t);
    const eventId = await createTestEvent(store, "redis-counter", { limit: 900 });
    const crowd = Array.from({ length: 1_000 }, async (_, n) => issuer.claim(eventId, person(n)));
    await issuer.close();
    assert.equal(issuer.inFlight(), 0);
    const answers = await Promise.all(crowd);
    assert.equal(answers.filter((answer) => answer.kind === "issued").length, 900);
    assert.equal(issuer.available(eventId), false);
    const other = await createTestEvent(store, "redis-counter", { limit: 1 });
    const late = await claimOrFault(issuer, other, person(1));
    assert.ok(late instanceof EngineFault && late.outcome === "not-applied");
  });

  // Red when nobody deletes what Redis holds of a sale that is over, or the sale ends otherwise then.
  test("leaves nothing in Redis, and everybody with the answer that they got", async (t) => {
    const first = await openRedisCounter(t);
    const second = await openSecondRedisCounter(t, first);
    const eventId = await createTestEvent(first.store, "redis-counter", { limit: 30 });
    startReconciler(t, first);
    const ask = async (): Promise<string[]> =>
      Promise.all(
        Array.from({ length: 200 }, async (_, n) => {
          const answer = await [first, second][n % 2]!.issuer.claim(eventId, person(n));
          return answer.kind === "issued" ? "replayed" : answer.kind;
        }),
      );
    const told = await ask();
    await untilForgotten(first, eventId);
    assert.deepEqual(await ask(), told);
    assert.equal(told.filter((kind) => kind === "replayed").length, 30);
    assert.deepEqual(await keysHeld(first, eventId), []);
  });
});
