// Logs that cannot be trusted any more: the event stops, loudly, and stays stopped.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { Admin } from "@platformatic/kafka";
import { EngineFault, voidEvent } from "@stampede/domain";
import type { EventId } from "@stampede/domain";
import { missing, testEngine, until } from "@stampede/launcher/testing";
import { person } from "../support/sale.ts";
import { appendRaw, decided, issuesOf, openQueueSale, queueRow } from "../support/kafka-queue.ts";
import type { QueueSale, RawRecord } from "../support/kafka-queue.ts";
import type { Decider } from "../../src/kafka-queue/decider/decider.ts";
import type { Kafka } from "../../src/kafka-queue/log/open.ts";
import { queuePatrol } from "../../src/kafka-queue/decider/patrol.ts";
import { takeOver } from "../../src/kafka-queue/decider/decide-batch.ts";
import { drawCode } from "../../src/rows/codes.ts";

describe(
  "an event whose log cannot be trusted",
  {
    skip: missing("postgres", "kafka"),
  },
  () => {
    // K7, B35. Red when the topic's id is not compared.
    test("is halted when its topic was deleted and made again", async (t) => {
      const { sale, eventId, admin } = await openRunningSale(t);
      const { topic } = await queueRow(sale.first.postgres, eventId);
      await admin.deleteTopics({ topics: [topic] });
      await until(async () => !(await admin.listTopics()).includes(topic), "the topic is gone");
      await admin.createTopics({ topics: [topic], partitions: 1, replicas: 1 });
      await haltedFor(sale, eventId, /was replaced|does not exist/);
      await refusesClaims(sale, eventId);
    });

    // K17, B41. Red when the number of partitions is not looked at.
    test("is halted when its topic got a second partition", async (t) => {
      const { sale, eventId, admin } = await openRunningSale(t);
      const { topic } = await queueRow(sale.first.postgres, eventId);
      await admin.createPartitions({
        topics: [{ name: topic, count: 2, assignments: [{ brokerIds: [1] }] }],
      });
      await haltedFor(sale, eventId, /has 2 partitions/);
      await refusesClaims(sale, eventId);
    });

    // K6. Red when a log that ends before the mark is waited for.
    test("is halted when the log ends before the mark", async (t) => {
      const { sale, eventId } = await openRunningSale(t);
      await sale.first.postgres.query("UPDATE queues SET next_offset = 90 WHERE event_id = $1", [
        eventId,
      ]);
      await haltedFor(sale, eventId, /it ends at 1, but 90 are decided/);
      await refusesClaims(sale, eventId);
    });

    // K8. Red when the log's start is not looked at.
    test("is halted when records were deleted that are not decided yet", async (t) => {
      const sale = await openQueueSale(t);
      const eventId = await sale.createEvent({ limit: 5 });
      const admin = openAdmin(t);
      for (let n = 0; n < 3; n += 1) await sale.first.issuer.claim(eventId, person(n));
      const { topic } = await queueRow(sale.first.postgres, eventId);
      await admin.deleteRecords({
        topics: [{ name: topic, partitions: [{ partition: 0, offset: 2n }] }],
      });
      sale.first.startDecider();
      await haltedFor(sale, eventId, /it starts at 2, but 0 is not decided yet/);
      assert.deepEqual(await issuesOf(sale.store, eventId), []);
    });

    // K8. Red when the topic's settings are not looked at.
    test("is halted when its topic does not keep records for ever", async (t) => {
      const sale = await openQueueSale(t);
      const eventId = await sale.createEvent({ limit: 5 });
      const { topic } = await queueRow(sale.first.postgres, eventId);
      await openAdmin(t).incrementalAlterConfigs({
        resources: [
          {
            resourceType: 2,
            resourceName: topic,
            configs: [{ name: "retention.ms", configOperation: 0, value: "60000" }],
          },
        ],
        validateOnly: false,
      });
      sale.first.startDecider();
      await haltedFor(sale, eventId, /retention\.ms is 60000/);
    });

    // A12. Red when a record of a newer build is decided as rejected.
    test("is halted at a record that a newer build wrote, after what comes before it", async (t) => {
      const sale = await openQueueSale(t);
      const eventId = await sale.createEvent({ limit: 5 });
      const { topic } = await queueRow(sale.first.postgres, eventId);
      await sale.first.issuer.claim(eventId, person(1));
      await appendRaw(topic, [{ value: Buffer.from('{"schema":4}') }]);
      sale.first.startDecider();
      await haltedFor(sale, eventId, /record 1 has schema 4: update every decider/);
      assert.equal((await issuesOf(sale.store, eventId)).length, 1);
      assert.equal((await queueRow(sale.first.postgres, eventId)).nextOffset, 1);
    });

    // K6. Red when a ticket below the mark is answered as a place in the line.
    test("answers unknown, and halts, when the log gives an offset that was decided", async (t) => {
      const sale = await openQueueSale(t);
      const eventId = await sale.createEvent({ limit: 5 });
      await sale.first.postgres.query("UPDATE queues SET next_offset = 7 WHERE event_id = $1", [
        eventId,
      ]);
      await assert.rejects(
        sale.first.issuer.claim(eventId, person(1)),
        (error) => error instanceof EngineFault && error.outcome === "unknown",
      );
      await haltedFor(sale, eventId, /it gave offset 0 after 6/);
      await refusesClaims(sale, eventId);
    });

    // Red when a few looks are enough, or when nobody else is asked (`haltAgreed` in patrol.ts).
    test("is halted only when that was so for long, and brokers agree", async (t) => {
      const sale = await openQueueSale(t);
      const eventId = await sale.createEvent({ limit: 5 });
      const { kafka, postgres } = sale.first;
      const seen = { broken: "it does not exist", agreed: null as string | null };
      const inspectLogs: Kafka["inspectLogs"] = async (logs, { byTwo = false }) => {
        const broken = byTwo ? seen.agreed : seen.broken;
        return new Map(logs.map(({ topic }) => [topic, { end: null, broken }]));
      };
      let nowMs = 0;
      const time = { ...postgres.time, nowMs: () => nowMs };
      const halted: string[] = [];
      const patrol = queuePatrol({
        kafka: { ...kafka, inspectLogs },
        postgres: { ...postgres, time },
        haltAfterMs: 10_000,
        halt: (id, reason) => halted.push(`${id}: ${reason}`),
        onLook: () => undefined,
      });
      const lookFor = async (ms: number): Promise<void> => {
        for (const untilMs = nowMs + ms; nowMs < untilMs; nowMs += 500) await patrol.next();
      };
      await lookFor(10_000);
      assert.deepEqual(halted, [], "not in less than ten seconds");
      await lookFor(5_000);
      assert.deepEqual(halted, [], "nobody agrees");
      seen.agreed = "all say so";
      await lookFor(500);
      assert.deepEqual(halted, [`${eventId}: all say so`]);
    });

    test("goes on when an operator clears the halt", async (t) => {
      const { sale, eventId } = await openRunningSale(t);
      const { postgres, issuer } = sale.first;
      await postgres.query("UPDATE queues SET halted = 'by hand' WHERE event_id = $1", [eventId]);
      await refusesClaims(sale, eventId);
      await postgres.query("UPDATE queues SET halted = NULL WHERE event_id = $1", [eventId]);
      await until(() => issuer.available(eventId), "claims are taken");
      await issuer.claim(eventId, person(2));
      await decided(sale, eventId, 2);
    });
  },
);

describe("an event that an operator voids", { skip: missing("postgres", "kafka") }, () => {
  test("is over for all who wait, on every instance, and stays so", async (t) => {
    const { sale, eventId, admin, decider } = await openRunningSale(t);
    const { postgres, issuer, directory } = sale.first;
    const other = await sale.openInstance();
    await postgres.query("UPDATE queues SET halted = 'by hand' WHERE event_id = $1", [eventId]);
    await appendRaw((await queueRow(postgres, eventId)).topic, [claimOf(eventId, person(2))]);
    const { topic } = await queueRow(postgres, eventId);
    await admin.deleteTopics({ topics: [topic] });
    await until(async () => {
      return (await issuer.status(eventId, person(2), 1)).kind === "stalled";
    }, "the line is told as standing still");
    const voided = await voidEvent(sale, { id: eventId, version: 1 });
    assert.ok(voided.ok);
    for (const instance of [sale.first, other]) {
      const told = async (n: number): Promise<unknown> =>
        instance.issuer.status(eventId, person(n), n - 1);
      assert.deepEqual(await told(2), { kind: "voided" });
      assert.equal((await instance.issuer.status(eventId, person(1), 0)).kind, "issued");
      assert.deepEqual(await instance.issuer.claim(eventId, person(3)), {
        kind: "refused",
        refusal: { kind: "closed" },
      });
      assert.equal(instance.issuer.available(eventId), false);
    }
    await until(() => decider.facts().halted === 0, "nobody has to be called any more");
    assert.equal((await directory.read(eventId))?.event.voided, true);
  });

  // Red when the schema lets somebody clear the halt of an event that is voided.
  test("is decided no more: nobody can clear its halt", async (t) => {
    const { sale, eventId } = await openRunningSale(t);
    const { postgres } = sale.first;
    await postgres.query("UPDATE queues SET halted = 'by hand' WHERE event_id = $1", [eventId]);
    assert.ok((await voidEvent(sale, { id: eventId, version: 1 })).ok);
    await assert.rejects(
      postgres.query("UPDATE queues SET halted = NULL WHERE event_id = $1", [eventId]),
      (error) =>
        error instanceof EngineFault && /is voided: its halt is for ever/.test(error.message),
    );
    assert.equal(await takeOver(postgres, eventId), null);
  });

  // Red when a void does not wait for the row that a decision has locked.
  test("meets decisions one after the other: whoever is told voided has no coupon", async (t) => {
    const { sale, eventId } = await openRunningSale(t);
    const { postgres, issuer } = sale.first;
    // The decider is at them when the halt comes, and the void behind it.
    await Promise.all([2, 3, 4].map(async (n) => issuer.claim(eventId, person(n))));
    await postgres.query("UPDATE queues SET halted = 'by hand' WHERE event_id = $1", [eventId]);
    const voided = await voidEvent(sale, { id: eventId, version: 1 });
    assert.ok(voided.ok);
    const told = await Promise.all(
      [2, 3, 4].map(async (n) => issuer.status(eventId, person(n), 3)),
    );
    const issued = await issuesOf(sale.store, eventId);
    const winners = new Set(issued.map(({ userId }) => userId));
    for (const [index, status] of told.entries()) {
      const expected = winners.has(person(index + 2)) ? "issued" : "voided";
      assert.equal(status.kind, expected);
    }
    assert.equal(voided.value.event.issued, issued.length, "nothing was decided after it");
  });
});

function claimOf(eventId: EventId, userId: string): RawRecord {
  const value = JSON.stringify({ schema: 1, eventId, userId, code: drawCode() });
  return { key: Buffer.from(userId), value: Buffer.from(value) };
}

async function openRunningSale(t: TestContext): Promise<{
  readonly sale: QueueSale;
  readonly eventId: EventId;
  readonly admin: Admin;
  readonly decider: Decider;
}> {
  const sale = await openQueueSale(t);
  const eventId = await sale.createEvent({ limit: 5 });
  const decider = sale.first.startDecider();
  await sale.first.issuer.claim(eventId, person(1));
  await decided(sale, eventId, 1);
  return { sale, eventId, admin: openAdmin(t), decider };
}

function openAdmin(t: TestContext): Admin {
  const admin = new Admin({ clientId: "operator", bootstrapBrokers: [testEngine("kafka")] });
  t.after(async () => admin.close());
  return admin;
}

async function haltedFor(sale: QueueSale, eventId: EventId, reason: RegExp): Promise<void> {
  const { postgres, halts } = sale.first;
  await until(async () => {
    return (await queueRow(postgres, eventId)).halted !== null;
  }, "the event is halted");
  assert.match((await queueRow(postgres, eventId)).halted ?? "", reason);
  assert.match(halts[0] ?? "", reason);
}

async function refusesClaims(sale: QueueSale, eventId: EventId): Promise<void> {
  const { issuer } = sale.first;
  await until(() => !issuer.available(eventId), "it is not available");
  await assert.rejects(
    issuer.claim(eventId, person(9)),
    (error) =>
      error instanceof EngineFault &&
      error.outcome === "not-applied" &&
      error.message.includes("halted"),
  );
}
