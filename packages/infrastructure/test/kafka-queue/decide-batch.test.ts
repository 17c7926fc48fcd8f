// The one transaction of v3, on PostgreSQL alone: what it does with a batch, and that nothing of it is
// there without the rest. Each test names what turns it red.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { EngineFault, parseEventId } from "@stampede/domain";
import type { EventId } from "@stampede/domain";
import type pg from "pg";
import { decideBatch, takeOver } from "../../src/kafka-queue/decider/decide-batch.ts";
import type {
  BatchOutcome,
  QueueEntry,
  TakenOver,
} from "../../src/kafka-queue/decider/decide-batch.ts";
import { paceLimiter } from "../../src/kafka-queue/decider/pace.ts";
import type { Postgres } from "../../src/engines/postgres/open.ts";
import { faultOf, openClient } from "../support/postgres.ts";
import { openTestDatabase } from "../support/database.ts";
import { missing } from "@stampede/launcher/testing";
import { holdCommits } from "../support/held-commits.ts";
import { person } from "../support/sale.ts";
import { queueRow } from "../support/kafka-queue.ts";

describe("the transaction of a decider", { skip: missing("postgres") }, () => {
  // S2, B25. Red when a person's second record is taken for another claim (`mine` in `issueBatch`), in
  // one batch or in two (`readUnderLock`).
  test("counts a person's first record only, also across batches", async (t) => {
    const { postgres, observer, eventId } = await openQueue(t, 5);
    const taken = await takeOver(postgres, eventId);
    assert.ok(taken !== null);
    const log = [1, 1, 2, 1, 3].map((n, ticket) => claimEntry(eventId, ticket, n));
    assert.equal((await decide(postgres, taken, log.slice(0, 3))).kind, "decided");
    const next = { ...taken, nextOffset: 3 };
    assert.equal((await decide(postgres, next, log.slice(3))).kind, "decided");
    assert.deepEqual(await ticketsOf(observer, eventId), [
      [person(1), 0],
      [person(2), 2],
      [person(3), 4],
    ]);
  });

  // S14, B23. Red when the mark moves before the decision, in a transaction of its own (auto-commit).
  // S14, B42. Red when rejected records are written outside the transaction (`recordRejected`).
  test("leaves neither mark, nor row, nor rejected record when its COMMIT fails", async (t) => {
    const { postgres, observer, eventId, holder } = await openQueue(t, 5);
    const taken = await takeOver(postgres, eventId);
    assert.ok(taken !== null);
    const entries: QueueEntry[] = [
      claimEntry(eventId, 0, 1),
      { ticket: 1, rejected: "the value is null" },
      claimEntry(eventId, 2, 2),
    ];
    const held = await holdCommits(holder);
    await held.refuse();
    assert.ok((await faultOf(decide(postgres, taken, entries))) instanceof EngineFault);
    assert.equal((await queueRow(postgres, eventId)).nextOffset, 0, "the mark stays");
    assert.deepEqual(await ticketsOf(observer, eventId), []);
    assert.deepEqual(await rejectedOf(observer, eventId), [], "nothing is rejected");
    await held.release();
    assert.equal((await decide(postgres, taken, entries)).kind, "decided");
    assert.equal((await queueRow(postgres, eventId)).nextOffset, 3);
    assert.equal((await ticketsOf(observer, eventId)).length, 2);
    assert.deepEqual(await rejectedOf(observer, eventId), [1]);
  });

  // S15, S24, B21, B22. Red when the transaction compares neither epoch nor mark (`isOurs`, `moveMark`).
  test("commits nothing of a decider that was paused while another took over", async (t) => {
    const { postgres, observer, eventId } = await openQueue(t, 2);
    const paused = await takeOver(postgres, eventId);
    const other = await takeOver(postgres, eventId);
    assert.ok(paused !== null && other !== null);
    const entries = [0, 1, 2].map((ticket) => claimEntry(eventId, ticket, ticket));
    assert.equal((await decide(postgres, other, entries)).kind, "decided");
    assert.deepEqual(await decide(postgres, paused, entries.slice(0, 1)), { kind: "stale" });
    assert.equal((await queueRow(postgres, eventId)).nextOffset, 3, "the mark goes back");
    assert.equal((await ticketsOf(observer, eventId)).length, 2);
  });

  // S10, B24. Red when a decider goes on from what it remembers (`takeOver`).
  test("begins at the mark that is committed, whoever moved it meanwhile", async (t) => {
    const { postgres, eventId } = await openQueue(t, 5);
    const first = await takeOver(postgres, eventId);
    const other = await takeOver(postgres, eventId);
    assert.ok(first !== null && other !== null);
    const entries = [0, 1, 2].map((ticket) => claimEntry(eventId, ticket, ticket));
    assert.equal((await decide(postgres, other, entries)).kind, "decided");
    const again = await takeOver(postgres, eventId);
    assert.equal(again?.nextOffset, 3);
    assert.equal(again.epoch, 3);
    assert.equal(again.lastWinningTicket, 2);
  });
});

async function decide(
  postgres: Postgres,
  at: TakenOver,
  entries: readonly QueueEntry[],
): Promise<BatchOutcome> {
  const limiter = paceLimiter(performance.now());
  return decideBatch(postgres, at, entries, { limiter, openingAwaited: true });
}

function claimEntry(eventId: EventId, ticket: number, n: number): QueueEntry {
  return { ticket, claim: { eventId, userId: person(n) } };
}

/** An open event of v3, written past the service; its log is whatever a test says. */
async function openQueue(
  t: TestContext,
  limit: number,
): Promise<{
  readonly postgres: Postgres;
  readonly observer: pg.Client;
  readonly holder: pg.Client;
  readonly eventId: EventId;
}> {
  const { url, postgres } = await openTestDatabase(t);
  const observer = await openClient(t, url);
  const eventId = parseEventId(`event-${randomBytes(5).toString("hex")}`);
  assert.ok(eventId !== null);
  await observer.query(
    `INSERT INTO events (id, name, mechanism, limit_quantity, opens_at)
     VALUES ($1, 'A test event', 'kafka-queue', $2, clock_timestamp())`,
    [eventId, limit],
  );
  await observer.query("INSERT INTO queues (event_id, topic, topic_id) VALUES ($1, $1, $1)", [
    eventId,
  ]);
  return { postgres, observer, holder: await openClient(t, url), eventId };
}

async function ticketsOf(
  observer: pg.Client,
  eventId: EventId,
): Promise<readonly (readonly [string, number])[]> {
  const { rows } = await observer.query<{ user_id: string; ticket: number }>(
    `SELECT user_id, ticket::float8 AS ticket FROM coupon_issues WHERE event_id = $1 ORDER BY seq`,
    [eventId],
  );
  return rows.map(({ user_id, ticket }) => [user_id, ticket]);
}

async function rejectedOf(observer: pg.Client, eventId: EventId): Promise<readonly number[]> {
  const { rows } = await observer.query<{ ticket: number }>(
    "SELECT ticket::float8 AS ticket FROM rejected_records WHERE event_id = $1 ORDER BY ticket",
    [eventId],
  );
  return rows.map(({ ticket }) => ticket);
}
