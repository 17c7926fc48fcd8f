// What v3 tells of its work. Each test names what turns it red.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { blockedSessions, openClient, untilRefusedLead } from "../support/postgres.ts";
import { missing, until } from "@stampede/launcher/testing";
import { hearFacts } from "../support/facts.ts";
import { person } from "../support/sale.ts";
import { decided, openQueueSale } from "../support/kafka-queue.ts";

describe("v3 publishes a fact", { skip: missing("postgres", "kafka") }, () => {
  test("for each produce and each fetch with records, and for no empty poll", async (t) => {
    const facts = hearFacts(t);
    const sale = await openQueueSale(t);
    const eventId = await sale.createEvent({ limit: 5 });
    const decider = sale.first.startDecider();
    await until(() => decider.facts().leading, "the decider leads");
    await Promise.all([1, 2, 3].map(async (n) => sale.first.issuer.claim(eventId, person(n))));
    await decided(sale, eventId, 3);
    const countOf = (operation: string): number =>
      facts.roundTrips.filter((fact) => fact.engine === "kafka" && fact.operation === operation)
        .length;
    assert.equal(countOf("produce"), 1);
    const polledFromMs = performance.now();
    await until(() => performance.now() - polledFromMs > 700, "a poll comes back empty");
    assert.equal(countOf("fetch"), 1);
    assert.ok(countOf("metadata") >= 1);
    const batches = facts.batches.map(({ kind, size }) => [kind, size]);
    assert.deepEqual(batches, [
      ["kafka-produce", 3],
      ["kafka-decide", 3],
    ]);
  });

  // Red when the first decider of all counts as a takeover, or a second one does not.
  test("for a decider that took over from another one", async (t) => {
    const facts = hearFacts(t);
    const sale = await openQueueSale(t);
    const one = sale.first.startDecider();
    await until(() => one.facts().leading, "the first one leads");
    const other = (await sale.openInstance()).startDecider();
    await untilRefusedLead(await openClient(t, sale.url));
    assert.equal(other.waiting(), null);
    assert.equal(facts.recovered("decider-takeover"), 0);
    await one.close();
    await until(() => other.facts().leading, "the other one leads");
    assert.equal(facts.recovered("decider-takeover"), 1);
    assert.deepEqual(other.waiting(), new Map());
  });

  // Red when the second taking over of a queue by the same decider is not told, or the first one is.
  test("for a queue that was resumed from its mark after a transaction failed", async (t) => {
    const facts = hearFacts(t);
    const sale = await openQueueSale(t);
    const eventId = await sale.createEvent({ limit: 5 });
    sale.first.startDecider();
    await sale.first.issuer.claim(eventId, person(1));
    await decided(sale, eventId, 1);
    assert.equal(facts.recovered("queue-resume"), 0);
    const [other, observer] = [await openClient(t, sale.url), await openClient(t, sale.url)];
    await other.query("BEGIN");
    await other.query("SELECT 1 FROM events WHERE id = $1 FOR UPDATE", [eventId]);
    await sale.first.issuer.claim(eventId, person(2));
    await until(async () => (await blockedSessions(observer)).length === 1, "the decider waits");
    const [blocked] = await blockedSessions(observer);
    await observer.query("SELECT pg_terminate_backend($1)", [blocked!.pid]);
    await other.query("COMMIT");
    await decided(sale, eventId, 2);
    assert.equal(facts.recovered("queue-resume"), 1);
  });

  // Red when the line is not looked at while a slow decider works, or the samples are not closed.
  test("for a paced line: how long it is, how long its oldest waited, how wrong its estimates were", async (t) => {
    const facts = hearFacts(t);
    const sale = await openQueueSale(t);
    const eventId = await sale.createEvent({ limit: 10, pace: 4 });
    const decider = sale.first.startDecider();
    await until(() => decider.facts().leading, "the decider leads");
    for (let n = 0; n < 8; n += 1) await sale.first.issuer.claim(eventId, person(n));
    await until(() => (decider.waiting()?.get(eventId) ?? 0) >= 4, "the line is seen");
    await until(() => decider.facts().oldestUndecidedMs > 1_000, "somebody waits for a second");
    await decided(sale, eventId, 8);
    await until(() => decider.waiting()?.size === 0, "nobody waits");
    await until(() => facts.estimateErrors.length === 8, "all waits are measured");
    // The pace is known, so the guess is a good one: two seconds of wait, told to a part of one.
    for (const { errorMs } of facts.estimateErrors) assert.ok(errorMs < 1_500, `${errorMs} ms`);
  });
});
