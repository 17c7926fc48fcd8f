// v1 while sessions are ended, locks are held, replies are lost. Each test names what turns it red.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import type { CouponIssuer, EventId, EventStore } from "@stampede/domain";
import type pg from "pg";
import { drawCode } from "../../src/rows/codes.ts";
import { postgresEventStore } from "../../src/rows/event-store.ts";
import { rowLockIssuer } from "../../src/row-lock/issuer.ts";
import type { OpenEvent } from "@stampede/domain/contracts";
import { createTestDatabase, openSecondInstance } from "../support/database.ts";
import { missing, testEngine, until } from "@stampede/launcher/testing";
import { hearFacts } from "../support/facts.ts";
import { holdCommits } from "../support/held-commits.ts";
import { createTestEvent, person } from "../support/sale.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";
import type { TcpProxy } from "../support/tcp-proxy.ts";
import { blockedSessions, faultOf, openClient, readStored, upTo } from "../support/postgres.ts";

type Opened = {
  /** Speaks to PostgreSQL through the proxy; everything else here does not. */
  readonly issuer: CouponIssuer;
  readonly eventId: EventId;
  readonly store: EventStore;
  readonly proxy: TcpProxy;
  /** A session that holds locks, and one that looks. */
  readonly other: pg.Client;
  readonly observer: pg.Client;
};

/** As the mechanism opens it. */
const LINES = { perKey: { permits: 2, waitersMax: 50_000 } };

async function open(t: TestContext, wanted: OpenEvent): Promise<Opened> {
  const url = await createTestDatabase(t);
  const proxy = await startTcpProxy(t, testEngine("postgres"));
  const { postgres, directory } = await openSecondInstance(t, proxy.through(url), LINES);
  const store = postgresEventStore(postgres);
  const eventId = await createTestEvent(store, "row-lock", wanted);
  return {
    issuer: rowLockIssuer({ postgres, directory, drawCode }),
    eventId,
    store,
    proxy,
    other: await openClient(t, url),
    observer: await openClient(t, url),
  };
}

async function holdEventRow({ other, eventId }: Opened): Promise<void> {
  await other.query("BEGIN");
  await other.query("SELECT 1 FROM events WHERE id = $1 FOR UPDATE", [eventId]);
}

async function blockedCount({ observer }: Opened, query: RegExp): Promise<number> {
  return (await blockedSessions(observer)).filter((session) => query.test(session.query)).length;
}

/** Longer than a claim on an idle row takes, shorter than the lock's deadline. */
const HELD_MS = 300;

describe("v1", { skip: missing("postgres") }, () => {
  // Red when the wait is measured from after the lock, or over the whole transaction's line.
  test("publishes how long a claim waited for the row's lock that somebody held", async (t) => {
    const facts = hearFacts(t);
    const opened = await open(t, { limit: 5 });
    const { issuer, eventId, other, observer } = opened;
    await issuer.claim(eventId, person(1));
    await holdEventRow(opened);
    const claim = issuer.claim(eventId, person(2));
    await until(async () => (await blockedSessions(observer)).length === 1, "the claim waits");
    const heldFromMs = performance.now();
    await until(() => performance.now() - heldFromMs > HELD_MS, "it has waited");
    await other.query("COMMIT");
    assert.equal((await claim).kind, "issued");
    const [free, held] = facts.rowLockWaits.map(({ durationMs }) => durationMs);
    assert.equal(facts.rowLockWaits.length, 2);
    assert.ok(held! >= HELD_MS, `waited ${held} ms`);
    assert.ok(free! < HELD_MS, `waited ${free} ms for a lock that nobody held`);
    const transactions = facts.roundTrips.filter((fact) => fact.operation === "transaction");
    assert.ok(transactions.some(({ durationMs }) => durationMs >= held!));
  });

  // Red when all claims of a process share one line: whoever holds one event's row, or rushes it, then
  // holds up every other event.
  test("lets claims on other events pass while one event's row is held and claimed by many", async (t) => {
    const opened = await open(t, { limit: 5 });
    const { issuer, eventId, store, other, observer } = opened;
    const second = await createTestEvent(store, "row-lock", { limit: 5 });
    await holdEventRow(opened);
    const claims = upTo(200).map(async (n) => issuer.claim(eventId, person(n)));
    const crowd = Promise.allSettled(claims);
    await until(async () => (await blockedSessions(observer)).length === 2, "two of them wait");
    assert.equal((await issuer.claim(second, person(1))).kind, "issued");
    assert.equal((await blockedSessions(observer)).length, 2, "the row is still held");
    await other.query("COMMIT");
    const answers = (await crowd).flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    assert.equal(answers.filter(({ kind }) => kind === "issued").length, 5);
    assert.equal(answers.length, 200);
  });

  // S24, B3. Red when rows are counted under REPEATABLE READ beside a lock that changes nothing: then
  // the keys have to refuse what the count allowed, and a person who may win is told of a failure.
  test("serves a crowd without any constraint having to speak", async (t) => {
    const { issuer, eventId, observer } = await open(t, { limit: 40 });
    const answers = await Promise.all(upTo(40).map(async (n) => issuer.claim(eventId, person(n))));
    assert.ok(answers.every(({ kind }) => kind === "issued"));
    assert.deepEqual((await readStored(observer, eventId)).seqs, upTo(40));
  });

  // P3. Red when the failing ROLLBACK of a session that is gone is told as "unknown" (`runTransaction`).
  test("lets the next go on when the session that holds the lock is ended", async (t) => {
    const opened = await open(t, { limit: 5 });
    const { issuer, eventId, other, observer } = opened;
    // The rows' table is held, so the first claim has the event's lock and waits at its insert.
    await other.query("BEGIN");
    await other.query("LOCK TABLE coupon_issues IN EXCLUSIVE MODE");
    const claims = upTo(4).map(async (n) => issuer.claim(eventId, person(n)));
    const outcomes = Promise.allSettled(claims);
    await until(async () => (await blockedSessions(observer)).length === 2, "two of them wait");
    const holders = (await blockedSessions(observer)).filter(({ query }) => /INSERT/.test(query));
    assert.equal(holders.length, 1);
    await observer.query("SELECT pg_terminate_backend($1)", [holders[0]!.pid]);
    await until(async () => (await blockedCount(opened, /INSERT/)) === 1, "the next has the lock");
    await other.query("COMMIT");
    const failed = (await outcomes).flatMap((outcome, index) =>
      outcome.status === "rejected" ? [{ n: index + 1, reason: outcome.reason }] : [],
    );
    assert.equal(failed.length, 1);
    // The statement had an answer (57P01) and COMMIT was never sent: certainly not applied.
    assert.equal(failed[0]!.reason.outcome, "not-applied");
    assert.equal((await issuer.claim(eventId, person(failed[0]!.n))).kind, "issued");
    const { issued, seqs, persons } = await readStored(observer, eventId);
    assert.equal(issued, 4);
    assert.deepEqual(seqs, upTo(4));
    assert.equal(new Set(persons).size, 4);
  });

  // P7. Red when `lock_timeout` leaves the pool's settings: the claim then fails late, or never.
  test("says not applied when another session holds the row for longer than the lock's deadline", async (t) => {
    const opened = await open(t, { limit: 5 });
    const { issuer, eventId, other, observer } = opened;
    await holdEventRow(opened);
    const askedMs = performance.now();
    const fault = await faultOf(issuer.claim(eventId, person(1)));
    assert.equal(fault.outcome, "not-applied");
    assert.match(fault.message, /lock timeout/);
    assert.ok(performance.now() - askedMs < 6_000);
    await other.query("COMMIT");
    assert.deepEqual((await readStored(observer, eventId)).seqs, []);
    assert.equal((await issuer.claim(eventId, person(1))).kind, "issued");
  });

  // P4, B5, B39, B40. Red when a lost reply to COMMIT is told as "not-applied" (`runTransaction`).
  test("says unknown when the reply to COMMIT is lost, and replays that very row to who asks again", async (t) => {
    const { issuer, eventId, store, proxy, observer } = await open(t, { limit: 5 });
    const cut = proxy.cutReplyTo("COMMIT");
    const fault = await faultOf(issuer.claim(eventId, person(1)));
    await cut;
    assert.equal(fault.outcome, "unknown");
    const listed = await store.issues(eventId, { size: 5, cursor: null });
    assert.ok(listed.ok);
    const [couponIssue] = listed.value.entries;
    assert.equal(couponIssue?.userId, person(1));
    assert.deepEqual(await issuer.claim(eventId, person(1)), { kind: "replayed", couponIssue });
    assert.deepEqual((await readStored(observer, eventId)).seqs, [1]);
    // The code of an attempt that nobody knows the end of is gone: somebody may be reading it.
    assert.equal((await issuer.claim(eventId, person(2))).kind, "issued");
  });

  // S3, B8. Red when a transaction's value is answered before COMMIT is (`runTransaction`).
  test("tells nobody issued before the COMMIT that may fail", async (t) => {
    const { issuer, eventId, other, observer } = await open(t, { limit: 5 });
    const held = await holdCommits(other);
    let answered = false;
    const claim = faultOf(issuer.claim(eventId, person(1))).finally(() => {
      answered = true;
    });
    // Awaited further down; where it fails before that, the failure is this test's all the same.
    claim.catch(() => undefined);
    await held.reached();
    const early = answered;
    await held.refuse();
    assert.equal(early, false, "answered before the commit");
    assert.equal((await claim).outcome, "not-applied");
    assert.deepEqual((await readStored(observer, eventId)).seqs, []);
    await held.release();
    assert.equal((await issuer.claim(eventId, person(1))).kind, "issued");
  });

  // Red when whatever breaks off before COMMIT is told as "unknown": the person would be sent to look.
  test("says not applied when the connection breaks before COMMIT is sent", async (t) => {
    const { issuer, eventId, proxy, observer } = await open(t, { limit: 5 });
    const cut = proxy.cutReplyTo("INSERT INTO coupon_issues");
    const fault = await faultOf(issuer.claim(eventId, person(1)));
    await cut;
    assert.equal(fault.outcome, "not-applied");
    await until(async () => (await issuer.claim(eventId, person(1))).kind === "issued", "a coupon");
    assert.deepEqual((await readStored(observer, eventId)).seqs, [1]);
  });

  // B6. Red when the window is judged by now(), the start of the transaction (`readUnderLock`).
  test("judges the opening by the clock under the lock, not by the start of the wait", async (t) => {
    const opened = await open(t, { limit: 5, opensInMs: 700 });
    const { issuer, eventId, other, observer, store } = opened;
    await holdEventRow(opened);
    const early = issuer.claim(eventId, person(1));
    await until(async () => (await blockedCount(opened, /FOR UPDATE/)) === 1, "the claim waits");
    const isOpen = "SELECT clock_timestamp() >= opens_at AS yes FROM events WHERE id = $1";
    const ask = async (): Promise<boolean> =>
      (await observer.query<{ yes: boolean }>(isOpen, [eventId])).rows[0]!.yes;
    assert.equal(await ask(), false, "the claim began to wait before the opening");
    await until(ask, "the window opens");
    await other.query("COMMIT");
    const answer = await early;
    assert.ok(answer.kind === "issued");
    const opensAtMs = (await store.find(eventId))!.event.opensAtMs;
    assert.ok(answer.couponIssue.issuedAtMs >= opensAtMs, "no row is dated before the opening");
  });

  // B6, the other edge.
  test("refuses a claim whose window closed while it waited for the lock", async (t) => {
    const opened = await open(t, { limit: 5, opensInMs: -10_000, closesInMs: 700 });
    const { issuer, eventId, other, observer } = opened;
    await holdEventRow(opened);
    const late = issuer.claim(eventId, person(1));
    await until(async () => (await blockedCount(opened, /FOR UPDATE/)) === 1, "the claim waits");
    await until(async () => {
      const closed = "SELECT clock_timestamp() >= closes_at AS yes FROM events WHERE id = $1";
      return (await observer.query<{ yes: boolean }>(closed, [eventId])).rows[0]!.yes;
    }, "the window closes");
    await other.query("COMMIT");
    assert.deepEqual(await late, { kind: "refused", refusal: { kind: "closed" } });
    assert.deepEqual((await readStored(observer, eventId)).seqs, []);
  });
});
