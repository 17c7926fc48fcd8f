// Logs that cannot be trusted any more: the event stops, loudly, and stays stopped.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { Admin } from "@platformatic/kafka";
import { EngineFault } from "@stampede/domain";
import type { EventId } from "@stampede/domain";
import { missing, testEngine } from "../support/engines.ts";
import { person } from "../support/sale.ts";
import { appendRaw, decided, issuesOf, openQueueSale, queueRow, until } from "./support.ts";
import type { QueueSale } from "./support.ts";

describe(
  "an event whose log is not its log any more",
  {
    skip: missing("postgres", "kafka"),
  },
  () => {
    // K7, B35. Red when the topic's id is not compared.
    test("is halted when its topic was deleted and made again", async (t) => {
      const { sale, eventId, admin } = await openRunningSale(t);
      const { topic } = await queueRow(sale.first.postgres, eventId);
      await admin.deleteTopics({ topics: [topic] });
      await until("the topic is gone", async () => !(await admin.listTopics()).includes(topic));
      await admin.createTopics({ topics: [topic], partitions: 1, replicas: 1 });
      await haltedFor(sale, eventId, /was replaced|does not exist/);
      await refusesClaims(sale, eventId);
    });

    // K17, B41. Red when the number of partitions is not looked at.
    test("is halted when its topic got a second partition, where there is no first", async (t) => {
      const { sale, eventId, admin } = await openRunningSale(t);
      const { topic } = await queueRow(sale.first.postgres, eventId);
      await admin.createPartitions({
        topics: [{ name: topic, count: 2, assignments: [{ brokerIds: [1] }] }],
      });
      await haltedFor(sale, eventId, /has 2 partitions/);
      await refusesClaims(sale, eventId);
    });

    // K6. Red when a log that ends before the mark is waited for.
    test("is halted when the log ends before what is decided", async (t) => {
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
    test("is halted when its topic was set to forget", async (t) => {
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
      await appendRaw(topic, [{ value: Buffer.from('{"schema":2}') }]);
      sale.first.startDecider();
      await haltedFor(sale, eventId, /record 1 has schema 2: update every decider/);
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

    test("goes on when an operator clears the halt", async (t) => {
      const { sale, eventId } = await openRunningSale(t);
      const { postgres, issuer } = sale.first;
      await postgres.query("UPDATE queues SET halted = 'by hand' WHERE event_id = $1", [eventId]);
      await refusesClaims(sale, eventId);
      await postgres.query("UPDATE queues SET halted = NULL WHERE event_id = $1", [eventId]);
      await until("claims are taken", () => issuer.available(eventId));
      await issuer.claim(eventId, person(2));
      await decided(sale, eventId, 2);
    });
  },
);

async function openRunningSale(
  t: TestContext,
): Promise<{ readonly sale: QueueSale; readonly eventId: EventId; readonly admin: Admin }> {
  const sale = await openQueueSale(t);
  const eventId = await sale.createEvent({ limit: 5 });
  sale.first.startDecider();
  await sale.first.issuer.claim(eventId, person(1));
  await decided(sale, eventId, 1);
  return { sale, eventId, admin: openAdmin(t) };
}

function openAdmin(t: TestContext): Admin {
  const admin = new Admin({ clientId: "operator", bootstrapBrokers: [testEngine("kafka")] });
  t.after(async () => admin.close());
  return admin;
}

async function haltedFor(sale: QueueSale, eventId: EventId, reason: RegExp): Promise<void> {
  const { postgres, halts } = sale.first;
  await until("the event is halted", async () => {
    return (await queueRow(postgres, eventId)).halted !== null;
  });
  assert.match((await queueRow(postgres, eventId)).halted ?? "", reason);
  assert.match(halts[0] ?? "", reason);
}

async function refusesClaims(sale: QueueSale, eventId: EventId): Promise<void> {
  const { issuer } = sale.first;
  await until("it is not available", () => !issuer.available(eventId));
  await assert.rejects(
    issuer.claim(eventId, person(9)),
    (error) =>
      error instanceof EngineFault &&
      error.outcome === "not-applied" &&
      error.message.includes("halted"),
  );
}
