// What becomes of a queue whose event is over, and of topics that no queue names.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { Admin } from "@platformatic/kafka";
import { changeEvent, EngineFault, parseEventId, refuse, voidEvent } from "@stampede/domain";
import type { EventId } from "@stampede/domain";
import { missing, testEngine, until } from "@stampede/launcher/testing";
import { queueEnds } from "../../src/kafka-queue/decider/queue-ends.ts";
import type { QueueEnds } from "../../src/kafka-queue/decider/queue-ends.ts";
import { queuePatrol } from "../../src/kafka-queue/decider/patrol.ts";
import { kafkaQueuePreparation } from "../../src/kafka-queue/preparation.ts";
import { drawToken } from "../../src/rows/codes.ts";
import { decided, openQueueSale, queueRow } from "../support/kafka-queue.ts";
import type { QueueSale } from "../support/kafka-queue.ts";
import { person } from "../support/sale.ts";

const skip = missing("postgres", "kafka");

describe("the log of an event that is over", { skip }, () => {
  test("is deleted when it was kept for long enough, and everybody is still answered", async (t) => {
    const sale = await openQueueSale(t);
    const eventId = await soldOut(sale);
    const { issuer, postgres } = sale.first;
    const { topic } = await queueRow(postgres, eventId);
    sale.first.startDecider({ keepLogMs: 300, endsEveryMs: 50 });
    await until(async () => !(await topics(t)).includes(topic), "the topic is deleted");
    await until(async () => (await spareTopics(sale)).length === 0, "nothing is left to delete");
    const other = await sale.openInstance();
    for (const { issuer: door } of [sale.first, other]) {
      assert.equal((await door.status(eventId, person(1), 0)).kind, "issued");
      assert.deepEqual(await door.status(eventId, person(2), 1), { kind: "sold-out" });
      assert.equal((await door.claim(eventId, person(1))).kind, "replayed");
      assert.deepEqual(await door.claim(eventId, person(3)), refusedFor("sold-out"));
    }
    assert.equal(issuer.available(eventId), true);
    assert.equal((await queueRow(postgres, eventId)).halted, null, "nobody takes it for lost");
  });

  test("stays where logs are kept for ever, and for as long as it is to be kept", async (t) => {
    const sale = await openQueueSale(t);
    const eventId = await soldOut(sale);
    await run(endsOf(sale, null), 3);
    assert.equal(await endOf(sale, eventId), "going on");
    await run(endsOf(sale, 60_000), 3);
    assert.equal(await endOf(sale, eventId), "finished");
    await age(sale, eventId, "61 seconds");
    await run(endsOf(sale, 60_000), 1);
    assert.equal(await endOf(sale, eventId), "retired");
  });

  // Red when the end of the log is not compared with the mark.
  test("stays while somebody in it has no answer, also after the close", async (t) => {
    const sale = await openQueueSale(t);
    const eventId = await sale.createEvent({ limit: 5 });
    await sale.first.issuer.claim(eventId, person(1));
    await close(sale, eventId, "2 minutes");
    await run(endsOf(sale, 1), 3);
    assert.equal(await endOf(sale, eventId), "going on");
    sale.first.startDecider();
    await decided(sale, eventId, 1);
    await run(endsOf(sale, 1), 3);
    assert.equal(await endOf(sale, eventId), "retired");
    const { issuer } = sale.first;
    assert.equal((await issuer.status(eventId, person(1), 0)).kind, "issued");
    assert.deepEqual(await issuer.status(eventId, person(2), 7), { kind: "none" });
    assert.deepEqual(await issuer.claim(eventId, person(2)), refusedFor("closed"));
  });

  test("stays within a minute of the close: claims may be on their way", async (t) => {
    const sale = await openQueueSale(t);
    const eventId = await sale.createEvent({ limit: 5 });
    await close(sale, eventId, "50 seconds");
    await run(endsOf(sale, 1), 3);
    assert.equal(await endOf(sale, eventId), "going on");
  });

  // Red when a change does not take back that the line is finished.
  test("is kept anew for all its time after an operator's change", async (t) => {
    const sale = await openQueueSale(t);
    const eventId = await sale.createEvent({ limit: 5 });
    await close(sale, eventId, "2 minutes");
    await run(endsOf(sale, 60_000), 2);
    await age(sale, eventId, "1 hour");
    await change(sale, eventId, { closesAtMs: null });
    await run(endsOf(sale, 60_000), 2);
    assert.equal(await endOf(sale, eventId), "going on");
    await close(sale, eventId, "2 minutes");
    await run(endsOf(sale, 60_000), 2);
    assert.equal(await endOf(sale, eventId), "finished");
  });

  // Red when the refusal does not look at the row of the queue.
  test("is gone for good: the operator who would open its event is told so", async (t) => {
    const sale = await openQueueSale(t);
    const eventId = await sale.createEvent({ limit: 5 });
    await close(sale, eventId, "2 minutes");
    await run(endsOf(sale, 1), 3);
    assert.equal(await endOf(sale, eventId), "retired");
    assert.deepEqual(
      await change(sale, eventId, { closesAtMs: null }),
      refuse({ kind: "event-over" }),
    );
    assert.ok((await change(sale, eventId, { name: "Over", listed: false })).ok);
    assert.deepEqual(await sale.first.issuer.claim(eventId, person(1)), refusedFor("closed"));
  });

  test("goes too when an operator has voided its event, whatever is left in it", async (t) => {
    const sale = await openQueueSale(t);
    const eventId = await sale.createEvent({ limit: 5 });
    const { issuer, postgres } = sale.first;
    await issuer.claim(eventId, person(1));
    await postgres.query("UPDATE queues SET halted = 'by hand' WHERE event_id = $1", [eventId]);
    await run(endsOf(sale, 1), 3);
    assert.equal(
      await endOf(sale, eventId),
      "going on",
      "who waits in a halted line has no answer",
    );
    assert.ok((await voidEvent(sale, { id: eventId, version: 1 })).ok);
    await run(endsOf(sale, 1), 3);
    assert.equal(await endOf(sale, eventId), "retired");
    assert.deepEqual(await issuer.status(eventId, person(1), 0), { kind: "voided" });
  });

  // Red when the topic is deleted before the row says so.
  test("is found again after a crash between its row and its topic, and is no lost log", async (t) => {
    const sale = await openQueueSale(t);
    const eventId = await soldOut(sale);
    const { kafka, postgres } = sale.first;
    const { topic } = await queueRow(postgres, eventId);
    const deleteLogs = async (): Promise<readonly string[]> => {
      assert.equal(await endOf(sale, eventId), "retired", "the row comes first");
      throw new EngineFault("kafka", "unknown", "the broker is away");
    };
    const crashing = queueEnds({ kafka: { ...kafka, deleteLogs }, postgres, keepLogMs: 1 });
    await run(crashing, 1);
    await assert.rejects(run(crashing, 1), EngineFault);
    assert.ok((await topics(t)).includes(topic));
    await run(endsOf(sale, null), 1);
    await until(async () => !(await topics(t)).includes(topic), "the topic is deleted");
    const patrol = queuePatrol({
      kafka,
      postgres,
      haltAfterMs: 0,
      halt: () => assert.fail("a queue that is retired was halted"),
      onLook: (id) => assert.notEqual(id, eventId, "a queue that is retired was looked at"),
    });
    for (let look = 0; look < 5; look += 1) await patrol.next();
  });
});

describe("a topic that no queue names", { skip }, () => {
  // O6. Red when the topic is made before its row, or the row is deleted without it.
  test("is deleted ten minutes after its creation failed, and no other topic is", async (t) => {
    const sale = await openQueueSale(t);
    const { kafka, postgres } = sale.first;
    const foreign = `stampede.another-shop.${drawToken().slice(0, 12).toLowerCase()}`;
    await openAdmin(t).createTopics({ topics: [foreign], partitions: 1, replicas: 1 });
    const used = await sale.createEvent({ limit: 1 });
    const preparation = kafkaQueuePreparation({ kafka, postgres, drawToken });
    const event = await sale.store.find(used);
    assert.ok(event !== null);
    await preparation.prepare(event.event);
    const [orphan] = await spareTopics(sale);
    assert.ok(orphan !== undefined);
    await run(endsOf(sale, null), 2);
    assert.ok((await topics(t)).includes(orphan), "its creation may be under way");
    await postgres.query("UPDATE spare_topics SET begun_at = begun_at - interval '11 minutes'");
    await run(endsOf(sale, null), 2);
    await until(async () => !(await topics(t)).includes(orphan), "the orphan is deleted");
    assert.deepEqual(await spareTopics(sale), []);
    const left = await topics(t);
    assert.ok(left.includes(foreign) && left.includes((await queueRow(postgres, used)).topic));
  });

  // Red when what was made for an event is left alone after its transaction failed.
  test("is deleted at once where its event could not be added", async (t) => {
    const sale = await openQueueSale(t);
    const { kafka, postgres } = sale.first;
    const preparation = kafkaQueuePreparation({ kafka, postgres, drawToken });
    const event = await sale.store.find(await sale.createEvent({ limit: 1 }));
    assert.ok(event !== null);
    const prefix = `stampede.${event.event.id}.`;
    const made = async (): Promise<number> =>
      (await topics(t)).filter((topic) => topic.startsWith(prefix)).length;
    for (let n = 0; n < 10; n += 1) await (await preparation.prepare(event.event)).abandon?.();
    await until(async () => (await made()) === 1, "only the event's own topic is left");
    // As after a COMMIT whose answer was lost: its own row is there, so nothing is taken back.
    const used = await preparation.prepare({ ...event.event, id: other(event.event.id) });
    await postgres.query(
      `INSERT INTO events (id, name, mechanism, limit_quantity, listed, opens_at)
       SELECT $2, name, mechanism, limit_quantity, listed, opens_at FROM events WHERE id = $1`,
      [event.event.id, other(event.event.id)],
    );
    await postgres.transaction(async (sql) => used.record(sql));
    await used.abandon?.();
    const { topic } = await queueRow(postgres, other(event.event.id));
    assert.ok((await topics(t)).includes(topic));
    await run(endsOf(sale, null), 2);
    assert.deepEqual(await spareTopics(sale), []);
  });

  test("is deleted at once where Kafka made it and could not serve it", async (t) => {
    const sale = await openQueueSale(t);
    const { kafka, postgres } = sale.first;
    const failing = async (topic: string): Promise<never> => {
      await kafka.createLog(topic);
      throw new EngineFault("kafka", "not-applied", `the new topic ${topic} got no leader in time`);
    };
    const preparation = kafkaQueuePreparation({
      kafka: { ...kafka, createLog: failing },
      postgres,
      drawToken,
    });
    const event = await sale.store.find(await sale.createEvent({ limit: 1 }));
    assert.ok(event !== null);
    for (let n = 0; n < 3; n += 1) {
      await assert.rejects(preparation.prepare(event.event), /got no leader in time/);
    }
    const spare = await spareTopics(sale);
    assert.equal(spare.length, 3, "one that comes about later is found by its row");
    await until(async () => {
      const there = await topics(t);
      return !spare.some((topic) => there.includes(topic));
    }, "the topics are gone");
  });

  // Red when the queue's row is added although its topic is doomed (`useTopic`).
  test("makes no event any more once it is doomed, however late its creator wakes up", async (t) => {
    const sale = await openQueueSale(t);
    const { kafka, postgres } = sale.first;
    const slow = kafkaQueuePreparation({ kafka, postgres, drawToken });
    const other = await sale.store.find(await sale.createEvent({ limit: 1 }));
    assert.ok(other !== null);
    const prepared = await slow.prepare(other.event);
    await postgres.query("UPDATE spare_topics SET doomed = true");
    await assert.rejects(
      postgres.transaction(async (sql) => prepared.record(sql)),
      (error) => error instanceof EngineFault && error.outcome === "not-applied",
    );
  });
});

function other(id: EventId): EventId {
  const named = parseEventId(`${id}-2`);
  assert.ok(named !== null);
  return named;
}

/** One coupon, two claims, all decided. */
async function soldOut(sale: QueueSale): Promise<EventId> {
  const eventId = await sale.createEvent({ limit: 1 });
  const other = await sale.openInstance();
  const decider = other.startDecider();
  await sale.first.issuer.claim(eventId, person(1));
  await sale.first.issuer.claim(eventId, person(2));
  await decided(sale, eventId, 2);
  await decider.close();
  return eventId;
}

function endsOf({ first: { kafka, postgres } }: QueueSale, keepLogMs: number | null): QueueEnds {
  return queueEnds({ kafka, postgres, keepLogMs });
}

async function run(ends: QueueEnds, times: number): Promise<void> {
  for (let n = 0; n < times; n += 1) await ends.next();
}

async function endOf(sale: QueueSale, eventId: EventId): Promise<unknown> {
  const [row] = await sale.first.postgres.query<{ state: string }>(
    `SELECT CASE WHEN retired_at IS NOT NULL THEN 'retired'
                 WHEN finished_at IS NOT NULL THEN 'finished' ELSE 'going on' END AS state
       FROM queues WHERE event_id = $1`,
    [eventId],
  );
  return row?.state;
}

async function age(sale: QueueSale, eventId: EventId, interval: string): Promise<void> {
  await sale.first.postgres.query(
    "UPDATE queues SET finished_at = finished_at - $2::interval WHERE event_id = $1",
    [eventId, interval],
  );
}

/** As if it had closed so long ago. */
async function close(sale: QueueSale, eventId: EventId, interval: string): Promise<void> {
  await sale.first.postgres.query(
    `UPDATE events SET opens_at = clock_timestamp() - interval '1 hour', version = version + 1,
            closes_at = clock_timestamp() - $2::interval WHERE id = $1`,
    [eventId, interval],
  );
}

async function change(
  sale: QueueSale,
  id: EventId,
  wanted: Parameters<typeof changeEvent>[1]["change"],
): ReturnType<typeof changeEvent> {
  const version = (await sale.store.find(id))?.event.version ?? 0;
  return changeEvent({ store: sale.store, mechanisms: new Map() }, { id, version, change: wanted });
}

function refusedFor(kind: string): unknown {
  return { kind: "refused", refusal: { kind } };
}

async function spareTopics({ first }: QueueSale): Promise<readonly string[]> {
  const rows = await first.postgres.query<{ topic: string }>("SELECT topic FROM spare_topics");
  return rows.map(({ topic }) => topic);
}

function openAdmin(t: TestContext): Admin {
  const admin = new Admin({ clientId: "operator", bootstrapBrokers: [testEngine("kafka")] });
  t.after(async () => admin.close());
  return admin;
}

async function topics(t: TestContext): Promise<readonly string[]> {
  const admin = openAdmin(t);
  return admin.listTopics();
}
