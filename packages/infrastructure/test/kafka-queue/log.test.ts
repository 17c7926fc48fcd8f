// The log as the issuer writes and the decider reads it. Each test names what turns it red.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { Admin, produceV9 } from "@platformatic/kafka";
import type { Writer } from "@platformatic/kafka";
import { EngineFault } from "@stampede/domain";
import type { EventId } from "@stampede/domain";
import { parseEventId } from "@stampede/domain";
import { claimLine } from "../../src/kafka-queue/door/claim-line.ts";
import { kafkaCluster } from "../../src/engines/kafka/cluster.ts";
import type { Cluster } from "../../src/engines/kafka/cluster.ts";
import { logWriter } from "../../src/kafka-queue/log/log-writer.ts";
import { openKafka } from "../../src/kafka-queue/log/open.ts";
import type { Kafka } from "../../src/kafka-queue/log/open.ts";
import { encodeClaims } from "../../src/kafka-queue/log/record-batch.ts";
import type { RecordBatch } from "../../src/kafka-queue/log/record-batch.ts";
import type { EventLog } from "../../src/kafka-queue/log/topics.ts";
import { missing, testEngine, until } from "@stampede/launcher/testing";
import { person } from "../support/sale.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";
import { systemTime } from "../../src/engines/time.ts";
import { readLog } from "../support/kafka-queue.ts";

const spring = parseEventId("spring") as EventId;

describe("the log of an event", { skip: missing("kafka") }, () => {
  // F10. Red when a batch's claims are answered by another index, or more than one is in flight.
  test("has every one of 200 concurrent claims at the offset that was acknowledged", async (t) => {
    const { kafka, log } = await openLog(t);
    const lines = [0, 1].map(() => openLine(kafka, log.topic));
    const tickets = await Promise.all(
      Array.from({ length: 200 }, async (_, n) => lines[n % 2]!.append(person(n))),
    );
    assert.deepEqual(
      tickets.toSorted((a, b) => a - b),
      Array.from({ length: 200 }, (_, n) => n),
    );
    const records = await readLog(kafka, log);
    assert.equal(records.length, 200);
    tickets.forEach((ticket, n) => {
      assert.equal(records[ticket]?.offset, ticket);
      assert.equal(records[ticket]?.key?.toString(), person(n));
    });
  });

  test("takes a crowd that does not fit into one batch, in the order of the line", async (t) => {
    const { kafka, log } = await openLog(t);
    const line = openLine(kafka, log.topic);
    const tickets = await Promise.all(
      Array.from({ length: 12_000 }, async (_, n) => line.append(person(n))),
    );
    assert.deepEqual(
      tickets,
      Array.from({ length: 12_000 }, (_, n) => n),
    );
  });

  // S11, B28. Red when a claim is answered with the place that its record will have (`sendOne`).
  test("answers nobody before it has acknowledged the record", async (t) => {
    const { kafka, log } = await openLog(t);
    const writer = kafka.openWriter(log.topic, () => undefined);
    const acknowledged = Promise.withResolvers<void>();
    const arrived = Promise.withResolvers<void>();
    const line = claimLine({
      eventId: spring,
      // The real writer; its acknowledgement is kept back.
      writer: {
        ...writer,
        async append(batch) {
          const baseOffset = await writer.append(batch);
          arrived.resolve();
          await acknowledged.promise;
          return baseOffset;
        },
      },
      time: systemTime,
      watchBatch: () => () => null,
    });
    const answered: number[] = [];
    const claims = [1, 2].map(async (n) => answered.push(await line.append(person(n))));
    await arrived.promise;
    await new Promise(setImmediate);
    assert.deepEqual(answered, [], "answered before the acknowledgement");
    acknowledged.resolve();
    await Promise.all(claims);
    assert.deepEqual(answered, [0, 1]);
  });

  // S11, B28. Red when the leader alone may acknowledge (`ACKS_ALL` in produce-wire.ts): one broker shows no difference,
  // so the request itself is looked at.
  test("is asked for the acknowledgement of all in-sync replicas", async (t) => {
    const { kafka, log } = await openLog(t);
    const { cluster } = await openProxiedCluster(t);
    const acks: number[] = [];
    const watched: Cluster = {
      ...cluster,
      async connect(pool, broker) {
        const connection = await cluster.connect(pool, broker);
        const send = connection.send.bind(connection);
        connection.send = (key, version, payload, ...rest) => {
          // After the transactional id, one byte while there is none.
          if (key === produceV9.api.key) acks.push((payload() as Writer).buffer.readInt16BE(1));
          return send(key, version, payload, ...rest);
        };
        return connection;
      },
    };
    const options = { topic: log.topic, check: () => undefined };
    await logWriter(watched, { ...options, pool: cluster.openPool(4_000) }).append(batchOf(1));
    assert.deepEqual(acks, [-1]);
    assert.equal((await readLog(kafka, log)).length, 1);
  });

  // K4. Red when an attempt that is repeated gets a new producer id or a new sequence.
  test("keeps a batch once when its acknowledgement was cut off", async (t) => {
    const { kafka, log } = await openLog(t);
    const { cluster, proxy } = await openProxiedCluster(t);
    const writer = logWriter(cluster, {
      pool: cluster.openPool(4_000),
      topic: log.topic,
      check: () => undefined,
    });
    assert.equal(await writer.append(batchOf(1, 2)), 0);
    const cut = proxy.cutReplyTo(log.topic);
    assert.equal(await writer.append(batchOf(3, 4, 5)), 2);
    await cut;
    assert.equal(await writer.append(batchOf(6)), 5);
    assert.equal((await readLog(kafka, log)).length, 6);
  });

  // Red when a lost attempt is told as "not-applied" because the last one could not connect.
  test("may keep a batch whose broker fell silent, and goes on when the broker is back", async (t) => {
    const { kafka, log } = await openLog(t);
    const { cluster, proxy } = await openProxiedCluster(t);
    const writer = logWriter(cluster, {
      pool: cluster.openPool(500),
      topic: log.topic,
      check: () => undefined,
    });
    await writer.append(batchOf(1));
    const cut = proxy.cutReplyTo(log.topic);
    const appending = writer.append(batchOf(2));
    await cut;
    proxy.goAway();
    await assert.rejects(appending, isFault("unknown"));
    await assert.rejects(writer.append(batchOf(3)), isFault("not-applied"));
    proxy.comeBack();
    assert.equal(await writer.append(batchOf(4)), 2);
    const persons = (await readLog(kafka, log)).map((record) => record.key?.toString());
    assert.deepEqual(persons, [person(1), person(2), person(4)]);
  });

  // Red when the first of ten thousand claims has to ask for leader and producer id.
  test("needs one question for the first batch of a writer that was prepared", async (t) => {
    const { kafka, log } = await openLog(t);
    const { cluster } = await openProxiedCluster(t);
    let questions = 0;
    const counted: Cluster = {
      ...cluster,
      connectAny: async () => {
        questions += 1;
        return cluster.connectAny();
      },
    };
    const options = { topic: log.topic, check: () => undefined };
    const writer = logWriter(counted, { ...options, pool: cluster.openPool(4_000) });
    await Promise.all([writer.prepare(), writer.prepare()]);
    assert.ok(questions > 0);
    questions = 0;
    assert.equal(await writer.append(batchOf(1, 2)), 0);
    assert.equal(await writer.append(batchOf(3)), 2);
    assert.equal(questions, 0);
    assert.equal((await readLog(kafka, log)).length, 3);
  });

  test("is written all the same where nothing could be prepared", async (t) => {
    const { kafka, log } = await openLog(t);
    const { cluster, proxy } = await openProxiedCluster(t);
    const writer = logWriter(cluster, {
      pool: cluster.openPool(500),
      topic: log.topic,
      check: () => undefined,
    });
    proxy.goAway();
    await assert.rejects(writer.prepare());
    proxy.comeBack();
    assert.equal(await writer.append(batchOf(1)), 0);
    assert.equal((await readLog(kafka, log)).length, 1);
  });

  // K19. Red when a topic that is missing is told as an unknown outcome.
  test("is not made anew by a claim after its topic was deleted", async (t) => {
    const { kafka } = await openLog(t);
    const gone = `stampede.gone.${randomBytes(6).toString("hex")}`;
    const writer = kafka.openWriter(gone, () => undefined);
    await assert.rejects(writer.append(batchOf(1)), isFault("not-applied"));
    const looks = await kafka.inspectLogs([{ topic: gone, topicId: "x", mark: 0 }], {
      retention: false,
    });
    assert.match(looks.get(gone)?.broken ?? "", /does not exist/);
  });

  test("gives nothing beyond its end, and says when an offset is outside it", async (t) => {
    const { kafka, log } = await openLog(t);
    await openLine(kafka, log.topic).append(person(1));
    const reader = kafka.openReader(log);
    t.after(async () => reader.close());
    const atEnd = await reader.read(1, 10);
    assert.deepEqual(atEnd, { kind: "read", records: [], end: 1, appendedAtMs: null });
    assert.deepEqual(await reader.read(2, 10), { kind: "mismatch" });
    const other = kafka.openReader({ ...log, topicId: "00000000-0000-4000-8000-000000000001" });
    t.after(async () => other.close());
    assert.deepEqual(await other.read(0, 10), { kind: "mismatch" });
  });

  // Red when a reader waits out its poll although a record arrives.
  test("wakes a waiting reader with a new record", async (t) => {
    const { kafka, log } = await openLog(t);
    const line = openLine(kafka, log.topic);
    await line.append(person(1));
    const reader = kafka.openReader(log);
    t.after(async () => reader.close());
    await reader.read(0, 10);
    const startedMs = performance.now();
    const reading = reader.read(1, 2_500);
    await line.append(person(2));
    const read = await reading;
    assert.equal(read.kind === "read" ? read.records.length : 0, 1);
    assert.ok(performance.now() - startedMs < 1_500);
  });

  test("is inspected for everything that may be wrong with it", async (t) => {
    const { kafka, log } = await openLog(t);
    await openLine(kafka, log.topic).append(person(1));
    const look = async (
      at: Partial<EventLog & { mark: number }>,
    ): Promise<string | null | undefined> => {
      const asked = { ...log, mark: 0, ...at };
      return (await kafka.inspectLogs([asked], { retention: true })).get(asked.topic)?.broken;
    };
    assert.equal(await look({}), null);
    assert.equal(await look({ mark: 1 }), null);
    assert.match((await look({ mark: 2 })) ?? "", /lost records: it ends at 1, but 2 are decided/);
    assert.match((await look({ topicId: "other" })) ?? "", /was replaced/);
    // K17, B41. Red when the number of partitions is not looked at (`brokenTopic`).
    const admin = new Admin({ clientId: "operator", bootstrapBrokers: [testEngine("kafka")] });
    t.after(async () => admin.close());
    const second = { name: log.topic, count: 2, assignments: [{ brokerIds: [1] }] };
    await admin.createPartitions({ topics: [second] });
    await until(async () => (await look({})) !== null, "the second partition is seen", {
      msMax: 2_000,
    });
    assert.match((await look({})) ?? "", /has 2 partitions/);
  });
});

async function openLog(t: TestContext): Promise<{ readonly kafka: Kafka; readonly log: EventLog }> {
  const kafka = await openKafka({ brokers: testEngine("kafka"), time: systemTime });
  t.after(async () => kafka.close());
  const log = await kafka.createLog(`stampede.test.${randomBytes(6).toString("hex")}`);
  return { kafka, log };
}

/** A cluster that reaches the leader, as a writer finds it, through a proxy only. */
async function openProxiedCluster(t: TestContext): Promise<{
  readonly cluster: Cluster;
  readonly proxy: Awaited<ReturnType<typeof startTcpProxy>>;
}> {
  const proxy = await startTcpProxy(t, `kafka://${testEngine("kafka")}`);
  const [host = "", port] = testEngine("kafka").split(":");
  const direct = kafkaCluster([{ host, port: Number(port) }], systemTime);
  t.after(async () => direct.close());
  const leader = { host: "127.0.0.1", port: proxy.port };
  const find: Cluster["find"] = async (topic) => ({ ...(await direct.find(topic)), leader });
  return { cluster: { ...direct, find }, proxy };
}

function openLine(kafka: Kafka, topic: string): ReturnType<typeof claimLine> {
  return claimLine({
    eventId: spring,
    writer: kafka.openWriter(topic, () => undefined),
    time: systemTime,
    watchBatch: () => () => null,
  });
}

function batchOf(...persons: readonly number[]): RecordBatch {
  return encodeClaims(persons.map((n) => ({ eventId: spring, userId: person(n) })));
}

function isFault(outcome: EngineFault["outcome"]): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof EngineFault);
    assert.equal(error.engine, "kafka");
    assert.equal(error.outcome, outcome);
    return true;
  };
}
