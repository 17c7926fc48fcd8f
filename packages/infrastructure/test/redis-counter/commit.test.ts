// v2 around the commit of its rows: what may be said before it, and what is left of a reservation
// when nobody knows whether it came. Each test names what turns it red.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EngineFault } from "@stampede/domain";
import { openClient } from "../support/postgres.ts";
import { missing, testEngine, until } from "@stampede/launcher/testing";
import { holdCommits } from "../support/held-commits.ts";
import { createTestEvent, person } from "../support/sale.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";
import {
  claimOrFault,
  openRedisCounter,
  personsOf,
  rowsOf,
  stateOf,
} from "../support/redis-counter.ts";

describe("v2 around its commit", { skip: missing("postgres", "redis") }, () => {
  // S3, B8. Red when the writer answers before its transaction has ended (`begin` in reservations.ts).
  // S5, B27. Red when the directory is told of rows inside the transaction (`writeBatch`).
  test("tells nobody issued, and nobody sold out, before the COMMIT that may fail", async (t) => {
    const { issuer, store, databaseUrl, ...counter } = await openRedisCounter(t);
    const eventId = await createTestEvent(store, "redis-counter", { limit: 1 });
    const held = await holdCommits(await openClient(t, databaseUrl));
    let answered = false;
    const claim = claimOrFault(issuer, eventId, person(1)).finally(() => {
      answered = true;
    });
    await held.reached();
    const early = answered;
    const others = await issuer.status(eventId, person(2), null);
    await held.refuse();
    assert.equal(early, false, "answered before the commit");
    assert.equal(others.kind, "none", "told the end of the sale before the commit");
    const fault = await claim;
    assert.ok(fault instanceof EngineFault, JSON.stringify(fault));
    assert.equal(fault.outcome, "unknown");
    assert.deepEqual(await rowsOf(store, eventId), []);
    assert.equal(counter.directory.final(eventId, person(2)), null);
    await held.release();
    assert.equal((await issuer.claim(eventId, person(1))).kind, "issued");
    assert.equal((await issuer.status(eventId, person(2), null)).kind, "sold-out");
  });

  // P4, B13. Red when a reservation is given back after an outcome that nobody knows (`#leave`).
  // P1, B20. Red when its owner is told "not applied" (`unwritten`): the row is there.
  test("keeps the reservation of whoever lost the answer to COMMIT, and tells them unknown", async (t) => {
    const proxy = await startTcpProxy(t, testEngine("postgres"));
    const counter = await openRedisCounter(t, { throughUrl: (url) => proxy.through(url) });
    const eventId = await createTestEvent(counter.store, "redis-counter", { limit: 1 });
    const cut = proxy.cutReplyTo("COMMIT");
    const claim = claimOrFault(counter.issuer, eventId, person(1));
    await cut;
    proxy.goAway();
    const fault = await claim;
    assert.ok(fault instanceof EngineFault, JSON.stringify(fault));
    assert.equal(fault.outcome, "unknown");
    assert.deepEqual(await personsOf(counter, eventId), [person(1)], "the reservation is kept");
    assert.equal((await stateOf(counter, eventId)).held, 1);
    proxy.comeBack();
    await until(() => counter.postgres.isUp(), "PostgreSQL is found again");
    assert.equal((await counter.issuer.claim(eventId, person(1))).kind, "replayed");
  });
});
