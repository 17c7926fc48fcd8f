// v3 while PostgreSQL is away, slow, or loses its answers. Each test names what turns it red.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import type { EventId, Ticket } from "@stampede/domain";
import { EngineFault } from "@stampede/domain";
import { postgresEventStore } from "../../src/rows/event-store.ts";
import { missing, testEngine, until } from "@stampede/launcher/testing";
import { person } from "../support/sale.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";
import type { TcpProxy } from "../support/tcp-proxy.ts";
import { decided, issuesOf, openQueueSale, queueRow, readLog } from "../support/kafka-queue.ts";
import type { Instance, QueueSale } from "../support/kafka-queue.ts";

describe("v3 without PostgreSQL", { skip: missing("postgres", "kafka") }, () => {
  // P1. Red when a claim needs the database's answer.
  test("goes on queueing, also people who have a coupon, and decides all claims afterwards", async (t) => {
    const { sale, cut, proxy } = await openCutSale(t);
    const eventId = await sale.createEvent({ limit: 3 });
    cut.startDecider();
    await queued(cut, eventId, 0);
    await decided(sale, eventId, 1);
    assert.equal((await cut.issuer.status(eventId, person(0), 0)).kind, "issued");
    proxy.goAway();
    const startedMs = performance.now();
    const tickets = await Promise.all([0, 1, 2, 3].map(async (n) => queued(cut, eventId, n)));
    assert.ok(performance.now() - startedMs < 2_000);
    assert.deepEqual(
      tickets.map(({ ticket, ahead }) => [ticket, ahead]),
      [
        [1, 0],
        [2, 1],
        [3, 2],
        [4, 3],
      ],
    );
    assert.equal(cut.issuer.available(eventId), true);
    assert.deepEqual(await cut.issuer.status(eventId, person(1), 2), {
      kind: "queued",
      ticket: tickets[1],
    });
    await assert.rejects(
      cut.issuer.status(eventId, person(9), null),
      (error) => error instanceof EngineFault && error.outcome === "not-applied",
    );
    proxy.comeBack();
    await decided(sale, eventId, 5);
    assert.deepEqual(
      (await issuesOf(sale.store, eventId)).map(({ userId, ticket }) => [userId, ticket]),
      [
        [person(0), 0],
        [person(1), 2],
        [person(2), 3],
      ],
    );
    assert.equal((await cut.issuer.status(eventId, person(3), 4)).kind, "sold-out");
  });

  // P5, N4. Red when each claim waits for a database that hangs, or for longer than half a second.
  test("goes on queueing while PostgreSQL hangs", async (t) => {
    const { sale, cut, proxy } = await openCutSale(t);
    const eventId = await sale.createEvent({ limit: 3 });
    await queued(cut, eventId, 0);
    proxy.fallSilent();
    const startedMs = performance.now();
    for (let n = 1; n < 50; n += 1) await queued(cut, eventId, n);
    assert.ok(performance.now() - startedMs < 2_500);
    proxy.comeBack();
    assert.equal(
      (await readLog(cut.kafka, await queueRow(sale.first.postgres, eventId))).length,
      50,
    );
  });

  // P4. Red when a decider goes on from memory after a COMMIT whose answer was lost.
  test("decides nothing twice when the answer to COMMIT is lost", async (t) => {
    const { sale, cut, proxy } = await openCutSale(t);
    const eventId = await sale.createEvent({ limit: 30 });
    for (let n = 0; n < 8; n += 1) await queued(cut, eventId, n);
    const lost = proxy.cutReplyTo("COMMIT");
    cut.startDecider();
    await lost;
    for (let n = 4; n < 12; n += 1) {
      await until(async () => {
        return (await cut.issuer.claim(eventId, person(n)).catch(() => null)) !== null;
      }, "it is queued or replayed");
    }
    const total = (await readLog(cut.kafka, await queueRow(sale.first.postgres, eventId))).length;
    await decided(sale, eventId, total);
    assert.deepEqual(
      (await issuesOf(sale.store, eventId)).map(({ userId, seq }) => [userId, seq]),
      Array.from({ length: 12 }, (_, n) => [person(n), n + 1]),
    );
  });

  // P3. Red when a fault ends the decider.
  test("redoes the batch when its session is ended", async (t) => {
    const sale = await openQueueSale(t);
    const eventId = await sale.createEvent({ limit: 500 });
    await sale.first.directory.fresh(eventId);
    sale.first.startDecider();
    const second = await sale.openInstance();
    const claims = Array.from({ length: 300 }, async (_, n) => queued(sale.first, eventId, n));
    await second.postgres.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()`,
    );
    assert.equal((await Promise.all(claims)).length, 300);
    const store = postgresEventStore(second.postgres);
    await until(async () => {
      return (await issuesOf(store, eventId)).length === 300;
    }, "all who were queued have a coupon");
  });
});

describe("tickets of v3", { skip: missing("postgres", "kafka") }, () => {
  // Red when a line, a batch or a wait is too short for a crowd.
  test("are given to 10,000 at one instant, and the first hundred win", async (t) => {
    const sale = await openQueueSale(t);
    const eventId = await sale.createEvent({ limit: 100 });
    const tickets = await Promise.all(
      Array.from({ length: 10_000 }, async (_, n) => queued(sale.first, eventId, n)),
    );
    sale.first.startDecider();
    await decided(sale, eventId, 10_000);
    const persons = new Map(tickets.map(({ ticket }, n) => [ticket, person(n)]));
    assert.equal(persons.size, 10_000);
    assert.deepEqual(
      (await issuesOf(sale.store, eventId)).map(({ userId }) => userId),
      Array.from({ length: 100 }, (_, ticket) => persons.get(ticket)),
    );
  });

  // S12, B29. Red when a status is answered from a mark that another instance has left behind.
  test("never have more people ahead than before, whichever instance is asked", async (t) => {
    const sale = await openQueueSale(t);
    const second = await sale.openInstance();
    const eventId = await sale.createEvent({ limit: 500, pace: 100 });
    const tickets = await Promise.all(
      Array.from({ length: 150 }, async (_, n) => queued(n % 2 ? sale.first : second, eventId, n)),
    );
    second.startDecider();
    const last = tickets.map(({ ahead }) => ahead);
    let turn = 0;
    await until(async () => {
      turn += 1;
      const asked = turn % 2 === 0 ? sale.first : second;
      const statuses = await Promise.all(
        tickets.map(async ({ ticket }, n) => asked.issuer.status(eventId, person(n), ticket)),
      );
      statuses.forEach((status, n) => {
        const ahead = status.kind === "queued" ? status.ticket.ahead : 0;
        assert.notEqual(status.kind, "none");
        assert.ok(ahead <= (last[n] ?? 0), `${ahead} ahead after ${last[n]}`);
        last[n] = ahead;
      });
      return statuses.every((status) => status.kind === "issued");
    }, "all are decided");
  });

  // S23, B30. Red at "ticket <= limit".
  test("that are guaranteed get a coupon, and exactly the first ones are", async (t) => {
    const sale = await openQueueSale(t);
    const eventId = await sale.createEvent({ limit: 10 });
    const tickets = await Promise.all(
      Array.from({ length: 30 }, async (_, n) => queued(sale.first, eventId, n)),
    );
    assert.deepEqual(
      tickets.filter((ticket) => ticket.guaranteed).map(({ ticket }) => ticket),
      Array.from({ length: 10 }, (_, n) => n),
    );
    sale.first.startDecider();
    await decided(sale, eventId, 30);
    for (const [n, { guaranteed, ticket }] of tickets.entries()) {
      const status = await sale.first.issuer.status(eventId, person(n), ticket);
      assert.equal(status.kind, guaranteed ? "issued" : "sold-out");
    }
  });

  // S27. Red when a decider does not wait after taking over, or counts calendar seconds.
  test("are decided at no more than the pace in any second, across a change of decider", async (t) => {
    const sale = await openQueueSale(t);
    const { postgres } = sale.first;
    const second = await sale.openInstance();
    const eventId = await sale.createEvent({ limit: 400, pace: 60 });
    await auditMarks(sale);
    await Promise.all(Array.from({ length: 200 }, async (_, n) => queued(sale.first, eventId, n)));
    const decider = sale.first.startDecider();
    await decided(sale, eventId, 70);
    const estimated = await sale.first.issuer.status(eventId, person(199), 199);
    const seconds = estimated.kind === "queued" ? estimated.ticket.estimate?.seconds : undefined;
    assert.ok(
      seconds !== undefined && seconds > 1.5 && seconds < 2.5,
      `${seconds} s for 130 at 60`,
    );
    await decider.close();
    second.startDecider();
    await decided(sale, eventId, 200);
    const marks = await postgres.query<{ mark: number; at_ms: number }>(
      "SELECT mark, (extract(epoch FROM at) * 1000)::float8 AS at_ms FROM mark_audit ORDER BY at",
    );
    marks.forEach((from, index) => {
      const before = index === 0 ? 0 : (marks[index - 1]?.mark ?? 0);
      const within = marks.filter(
        (mark) => mark.at_ms >= from.at_ms && mark.at_ms < from.at_ms + 1_000,
      );
      const count = (within.at(-1)?.mark ?? 0) - before;
      assert.ok(count <= 60, `${count} tickets were decided in one second`);
    });
    // An operator's new pace counts within a second.
    await Promise.all(
      Array.from({ length: 200 }, async (_, n) => queued(sale.first, eventId, 200 + n)),
    );
    await postgres.query("UPDATE events SET pace = NULL, version = 2 WHERE id = $1", [eventId]);
    const changedMs = performance.now();
    await decided(sale, eventId, 400);
    assert.ok(performance.now() - changedMs < 1_500);
  });
});

async function queued(instance: Instance, eventId: EventId, n: number): Promise<Ticket> {
  const answer = await instance.issuer.claim(eventId, person(n));
  assert.ok(answer.kind === "queued", JSON.stringify(answer));
  return answer.ticket;
}

/** An instance that reaches PostgreSQL through a proxy, beside one that reaches it directly. */
async function openCutSale(
  t: TestContext,
): Promise<{ readonly sale: QueueSale; readonly cut: Instance; readonly proxy: TcpProxy }> {
  const proxy = await startTcpProxy(t, testEngine("postgres"));
  const sale = await openQueueSale(t);
  const cut = await sale.openInstance({ postgresUrl: proxy.through(sale.url) });
  return { sale, cut, proxy };
}

/** Writes down each move of a mark, with the time of the statement that makes it. */
async function auditMarks(sale: QueueSale): Promise<void> {
  const { postgres } = sale.first;
  await postgres.query("CREATE TABLE mark_audit (mark float8, at timestamptz)");
  await postgres.query(
    `CREATE FUNCTION audit_mark() RETURNS trigger LANGUAGE plpgsql AS
     $$ BEGIN INSERT INTO mark_audit VALUES (NEW.next_offset, clock_timestamp()); RETURN NEW; END $$`,
  );
  await postgres.query(
    `CREATE TRIGGER audit_mark AFTER UPDATE ON queues FOR EACH ROW
       WHEN (NEW.next_offset > OLD.next_offset) EXECUTE FUNCTION audit_mark()`,
  );
}
