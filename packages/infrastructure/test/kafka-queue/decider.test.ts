// How a log becomes coupon issues. Each test names what turns it red.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { CouponIssue, EventId } from "@stampede/domain";
import { decodeClaim } from "../../src/kafka-queue/log/claim-codec.ts";
import { decideBatch, takeOver } from "../../src/kafka-queue/decider/decide-batch.ts";
import type { QueueEntry } from "../../src/kafka-queue/decider/decide-batch.ts";
import { paceLimiter } from "../../src/kafka-queue/decider/pace.ts";
import { missing, until } from "@stampede/launcher/testing";
import { person } from "../support/sale.ts";
import {
  appendRaw,
  claimOf,
  codesOf,
  decided,
  issuesOf,
  openQueueSale,
  queueRow,
  readLog,
} from "../support/kafka-queue.ts";
import type { QueueSale } from "../support/kafka-queue.ts";

const DECIDED = { msMax: 2_000 };

describe("a decider", { skip: missing("postgres", "kafka") }, () => {
  // S10. Red when a duplicate counts again, an order changes, or a mark skips a record (B23, B25).
  test("makes exactly the rows that anybody recomputes from the log", async (t) => {
    const sale = await openQueueSale(t);
    const eventId = await sale.createEvent({ limit: 30 });
    // Many claim twice at once, before anything is decided: the first record of each counts.
    await Promise.all(
      Array.from({ length: 400 }, async (_, n) => sale.first.issuer.claim(eventId, person(n % 97))),
    );
    sale.first.startDecider();
    await decided(sale, eventId, 400);
    const rows = await issuesOf(sale.store, eventId);
    assert.deepEqual(summaryOf(rows), await winnersByLog(sale, eventId, 30));
    const queue = await queueRow(sale.first.postgres, eventId);
    assert.equal(queue.lastWinningTicket, rows.at(-1)?.ticket);
    assert.equal(queue.nextOffset, 400);
  });

  // K14. Red when a bad record is skipped silently, ends the decider, or is no part of the mark (B42).
  test("rejects records that are not claims, in order, and goes on", async (t) => {
    const sale = await openQueueSale(t);
    const eventId = await sale.createEvent({ limit: 2 });
    const { topic } = await queueRow(sale.first.postgres, eventId);
    await sale.first.issuer.claim(eventId, person(1));
    const other = claimOf("another-event" as EventId, 7);
    await appendRaw(topic, [
      { value: Buffer.from("{ no json") },
      { value: null },
      other,
      { value: Buffer.alloc(900_000, 120) },
      { ...claimOf(eventId, 8), key: Buffer.from("somebody-else") },
    ]);
    await sale.first.issuer.claim(eventId, person(2));
    sale.first.startDecider();
    await decided(sale, eventId, 7);
    assert.deepEqual(
      (await issuesOf(sale.store, eventId)).map(({ userId, ticket }) => [userId, ticket]),
      [
        [person(1), 0],
        [person(2), 6],
      ],
    );
    const rejected = await sale.first.postgres.query<{ ticket: number; reason: string }>(
      "SELECT ticket::float8 AS ticket, reason FROM rejected_records WHERE event_id = $1 ORDER BY ticket",
      [eventId],
    );
    assert.deepEqual(
      rejected.map((row) => row.ticket),
      [1, 2, 3, 4, 5],
    );
    assert.match(rejected[2]?.reason ?? "", /another event's/);
  });

  test("decides what comes after the last coupon too, so that nothing lags", async (t) => {
    const sale = await openQueueSale(t);
    const eventId = await sale.createEvent({ limit: 1 });
    const decider = sale.first.startDecider();
    await sale.first.issuer.claim(eventId, person(1));
    await decided(sale, eventId, 1);
    const { topic } = await queueRow(sale.first.postgres, eventId);
    await appendRaw(topic, [claimOf(eventId, 2), { value: Buffer.from("x") }, claimOf(eventId, 3)]);
    await decided(sale, eventId, 4);
    await until(() => decider.facts().lag === 0, "the lag is 0");
    assert.equal((await issuesOf(sale.store, eventId)).length, 1);
    assert.equal(decider.facts().decided, 4);
  });

  // Red when only the survey starts a log: it does not look at events that are over.
  test("wakes up for an event of which nobody expected claims", async (t) => {
    const sale = await openQueueSale(t);
    const eventId = await sale.createEvent({
      limit: 3,
      opensInMs: -3_600_000,
      closesInMs: -1_800_000,
    });
    const decider = sale.first.startDecider();
    await until(() => decider.facts().leading, "the decider leads");
    const { topic } = await queueRow(sale.first.postgres, eventId);
    await appendRaw(topic, [claimOf(eventId, 1)]);
    await decided(sale, eventId, 1);
    assert.equal((await issuesOf(sale.store, eventId)).length, 1);
  });

  // Red when places are few, and an event that has none waits for one that is quiet: beyond 256 open
  // events a claim was answered 202 and not decided.
  test("decides the claims of every one of three hundred events within two seconds", async (t) => {
    const sale = await openQueueSale(t);
    const events = await manyEvents(sale, 300);
    const decider = sale.first.startDecider();
    await until(() => decider.facts().leading, "the decider leads");
    const some = [events[0]!, events[150]!, events[299]!];
    await sale.first.issuer.claim(some[0]!, person(1));
    await decided(sale, some[0]!, 1, DECIDED);
    // Each rests between two claims, or does not.
    for (const round of [1, 2]) {
      await Promise.all(some.map(async (id) => sale.first.issuer.claim(id, person(round + 1))));
      for (const id of some) {
        await decided(sale, id, id === some[0] ? round + 1 : round, DECIDED);
      }
      await until(() => decider.facts().active === 0, "all logs rest", { msMax: 10_000 });
    }
    await Promise.all(events.map(async (id) => sale.first.issuer.claim(id, person(9))));
    await until(() => decider.facts().decided === events.length + 7, "all are decided", {
      msMax: 10_000,
    });
    await until(() => decider.facts().lag === 0, "the lag is 0");
    await decider.close();
    assert.equal(decider.facts().active, 0);
  });

  // K10, K11. Red when a restarted decider starts elsewhere than at the mark (B24).
  test("goes on from the mark after another one stopped anywhere, with the same winners", async (t) => {
    const sale = await openQueueSale(t);
    const eventId = await sale.createEvent({ limit: 40 });
    const claims = Promise.all(
      Array.from({ length: 3_000 }, async (_, n) =>
        sale.first.issuer.claim(eventId, person(n % 50)),
      ),
    );
    for (let restart = 0; restart < 4; restart += 1) {
      const decider = sale.first.startDecider();
      await until(() => decider.facts().leading, "it has decided something");
      await decider.close();
    }
    await claims;
    sale.first.startDecider();
    const { topic } = await queueRow(sale.first.postgres, eventId);
    await decided(
      sale,
      eventId,
      (await readLog(sale.first.kafka, await logOf(sale, eventId))).length,
    );
    assert.ok(topic.startsWith(`stampede.${eventId}.`));
    assert.deepEqual(
      summaryOf(await issuesOf(sale.store, eventId)),
      await winnersByLog(sale, eventId, 40),
    );
  });

  // K12. Red when the transaction does not compare the epoch (B21, B22).
  test("commits nothing once another one has taken the event over", async (t) => {
    const sale = await openQueueSale(t);
    const eventId = await sale.createEvent({ limit: 5 });
    const { postgres } = sale.first;
    const paused = await takeOver(postgres, eventId);
    const next = await takeOver(postgres, eventId);
    assert.ok(paused !== null && next !== null);
    const options = { limiter: paceLimiter(-5_000), openingAwaited: false };
    const entries = [entryOf(eventId, 0, 1)];
    assert.deepEqual(await decideBatch(postgres, paused, entries, options), { kind: "stale" });
    assert.equal((await queueRow(postgres, eventId)).nextOffset, 0);
    const outcome = await decideBatch(postgres, next, entries, options);
    assert.equal(outcome.kind, "decided");
    // The mark has moved: deciding the same records again finds another one.
    assert.deepEqual(await decideBatch(postgres, next, entries, options), { kind: "stale" });
    assert.equal((await issuesOf(sale.store, eventId)).length, 1);
  });

  // S15, S24. Red when rows and mark are two transactions, or the fences are dropped.
  test("does no harm beside a second decider that fights for the same event", async (t) => {
    const sale = await openQueueSale(t);
    const eventId = await sale.createEvent({ limit: 25 });
    const { postgres } = sale.first;
    sale.first.startDecider();
    const fight = new AbortController();
    const intruder = (async () => {
      while (!fight.signal.aborted) {
        const taken = await takeOver(postgres, eventId);
        assert.ok(taken !== null);
        const reader = sale.first.kafka.openReader(taken);
        const reading = await reader.read(taken.nextOffset, 20);
        reader.close();
        if (reading.kind !== "read" || reading.records.length === 0) continue;
        const entries = reading.records.slice(0, 3).map((record): QueueEntry => {
          const decoded = decodeClaim(eventId, record);
          assert.ok(decoded.kind === "claim");
          return { ticket: record.offset, claim: decoded.claim };
        });
        const limiter = paceLimiter(-5_000);
        await decideBatch(postgres, taken, entries, { limiter, openingAwaited: false });
      }
    })();
    await Promise.all(
      Array.from({ length: 300 }, async (_, n) => sale.first.issuer.claim(eventId, person(n % 60))),
    );
    const total = (await readLog(sale.first.kafka, await logOf(sale, eventId))).length;
    await decided(sale, eventId, total);
    fight.abort();
    await intruder;
    assert.deepEqual(
      summaryOf(await issuesOf(sale.store, eventId)),
      await winnersByLog(sale, eventId, 25),
    );
  });

  // S22. Red when the transaction that issues does not wait for the opening.
  test("dates no row before the opening, although somebody was let in early", async (t) => {
    const sale = await openQueueSale(t);
    const eventId = await sale.createEvent({ limit: 1, opensInMs: 700 });
    const { topic } = await queueRow(sale.first.postgres, eventId);
    await appendRaw(topic, [claimOf(eventId, 1)]);
    sale.first.startDecider();
    await decided(sale, eventId, 1);
    const opensAtMs = (await sale.store.find(eventId))?.event.opensAtMs ?? Number.NaN;
    const [row] = await issuesOf(sale.store, eventId);
    assert.ok(row !== undefined && row.issuedAtMs >= opensAtMs);
  });

  test("decides people who were queued when the event was paused and closed", async (t) => {
    const sale = await openQueueSale(t);
    const eventId = await sale.createEvent({ limit: 3 });
    await sale.first.issuer.claim(eventId, person(1));
    await sale.first.postgres.query(
      "UPDATE events SET paused = true, closes_at = opens_at + interval '1 ms' WHERE id = $1",
      [eventId],
    );
    sale.first.startDecider();
    await decided(sale, eventId, 1);
    assert.equal((await issuesOf(sale.store, eventId)).length, 1);
  });
});

const NOWHERE = Buffer.from("x");

function entryOf(eventId: EventId, ticket: number, n: number): QueueEntry {
  return { ticket, claim: { eventId, userId: person(n) } };
}

/** Events side by side, some at a time: each is a topic. */
async function manyEvents(sale: QueueSale, count: number): Promise<readonly EventId[]> {
  const events: EventId[] = [];
  while (events.length < count) {
    const more = Array.from({ length: 10 }, async () => sale.createEvent({ limit: 20 }));
    events.push(...(await Promise.all(more)));
  }
  return events;
}

async function logOf(
  sale: QueueSale,
  eventId: EventId,
): Promise<{ readonly topic: string; readonly topicId: string }> {
  return queueRow(sale.first.postgres, eventId);
}

type Summary = readonly (readonly [string, string, number, number | null])[];

function summaryOf(rows: readonly CouponIssue[]): Summary {
  return rows.map(({ userId, code, seq, ticket }) => [userId, code, seq, ticket]);
}

/** The first `limit` distinct persons of the log, each with the first record: no code of ours. */
async function winnersByLog(sale: QueueSale, eventId: EventId, limit: number): Promise<Summary> {
  const codeOf = await codesOf(sale, eventId);
  const first = new Map<string, number>();
  for (const record of await readLog(sale.first.kafka, await logOf(sale, eventId))) {
    const { userId } = JSON.parse((record.value ?? NOWHERE).toString());
    if (!first.has(userId)) first.set(userId, record.offset);
  }
  return [...first]
    .slice(0, limit)
    .map(([userId, ticket], index) => [userId, codeOf(userId), index + 1, ticket]);
}
