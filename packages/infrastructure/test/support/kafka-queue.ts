import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import type { TestContext } from "node:test";
import { Producer } from "@platformatic/kafka";
import { codeFromRandom } from "@stampede/domain";
import type { CouponIssue, EventId, EventStore } from "@stampede/domain";
import type { OpenEvent } from "@stampede/domain/contracts";
import { drawToken } from "../../src/rows/codes.ts";
import { Decider } from "../../src/kafka-queue/decider/decider.ts";
import { claimParts } from "../../src/kafka-queue/log/claim-codec.ts";
import type { DeciderOptions } from "../../src/kafka-queue/decider/decider.ts";
import { kafkaQueueIssuer } from "../../src/kafka-queue/issuer.ts";
import type { KafkaQueueIssuer } from "../../src/kafka-queue/issuer.ts";
import { openKafka } from "../../src/kafka-queue/log/open.ts";
import type { Kafka } from "../../src/kafka-queue/log/open.ts";
import type { LogRecord } from "../../src/kafka-queue/log/log-reading.ts";
import type { EventLog } from "../../src/kafka-queue/log/topics.ts";
import { kafkaQueuePreparation } from "../../src/kafka-queue/preparation.ts";
import { postgresEventStore } from "../../src/rows/event-store.ts";
import type { EventDirectory } from "../../src/rows/event-directory.ts";
import type { Postgres } from "../../src/engines/postgres/open.ts";
import { openSecondInstance, openTestDatabase } from "./database.ts";
import { testEngine, until } from "@stampede/launcher/testing";
import type { UntilOptions } from "@stampede/launcher/testing";
import { createTestEvent, person } from "./sale.ts";
import { systemTime } from "../../src/engines/time.ts";

/** What one process of the service would hold. */
export type Instance = {
  readonly kafka: Kafka;
  readonly postgres: Postgres;
  readonly directory: EventDirectory;
  readonly issuer: KafkaQueueIssuer;
  readonly halts: string[];
  /** Starts a decider in this instance; it is closed with the test. */
  readonly startDecider: (
    options?: Partial<
      Pick<DeciderOptions, "onError" | "keepLogMs" | "endsEveryMs" | "haltAfterMs">
    >,
  ) => Decider;
};

export type QueueSale = {
  readonly url: string;
  readonly store: EventStore;
  readonly first: Instance;
  /** Another process on the same database and broker. */
  readonly openInstance: (options?: { readonly postgresUrl?: string }) => Promise<Instance>;
  readonly createEvent: (wanted: OpenEvent & { readonly pace?: number }) => Promise<EventId>;
};

export async function openQueueSale(t: TestContext): Promise<QueueSale> {
  // Registered before the database's own hook: what uses the database is closed before it.
  const closing = new AsyncDisposableStack();
  t.after(async () => closing.disposeAsync());
  const { url, postgres, directory } = await openTestDatabase(t);

  const openParts = async (parts: Pick<Instance, "postgres" | "directory">): Promise<Instance> => {
    const kafka = closing.use(await openKafka({ brokers: testEngine("kafka"), time: systemTime }));
    const halts: string[] = [];
    const onHalt = (_: EventId, reason: string): number => halts.push(reason);
    const issuer = closing.use(kafkaQueueIssuer({ ...parts, kafka, onHalt }));
    const startDecider: Instance["startDecider"] = (options = {}) =>
      closing.use(
        new Decider({
          ...parts,
          kafka,
          onHalt,
          keepLogMs: null,
          haltAfterMs: 300,
          onGivenBack: (message) => t.diagnostic(message),
          onError: (error) => t.diagnostic(`decider: ${String(error)}`),
          ...options,
        }),
      );
    return { ...parts, kafka, issuer, halts, startDecider };
  };
  const first = await openParts({ postgres, directory });
  const preparation = kafkaQueuePreparation({ kafka: first.kafka, postgres, drawToken });
  const store = postgresEventStore(postgres, () => preparation);
  return {
    url,
    store,
    first,
    openInstance: async (options = {}) =>
      openParts(await openSecondInstance(t, options.postgresUrl ?? url)),
    createEvent: async (wanted) => createTestEvent(store, "kafka-queue", wanted),
  };
}

export type QueueRow = {
  readonly topic: string;
  readonly topicId: string;
  readonly epoch: number;
  readonly nextOffset: number;
  readonly lastWinningTicket: number | null;
  readonly halted: string | null;
};

export async function queueRow(postgres: Postgres, eventId: EventId): Promise<QueueRow> {
  const rows = await postgres.query<QueueRow>(
    `SELECT topic, topic_id AS "topicId", epoch::float8 AS epoch, halted,
            next_offset::float8 AS "nextOffset", last_winning_ticket::float8 AS "lastWinningTicket"
       FROM queues WHERE event_id = $1`,
    [eventId],
  );
  const row = rows[0];
  assert.ok(row !== undefined);
  return row;
}

export async function issuesOf(
  store: EventStore,
  eventId: EventId,
): Promise<readonly CouponIssue[]> {
  const page = await store.issues(eventId, { size: 500, cursor: null });
  assert.ok(page.ok);
  return page.value.entries;
}

/** Every record of an event's log, read from its start. */
export async function readLog(kafka: Kafka, queue: EventLog): Promise<readonly LogRecord[]> {
  const reader = kafka.openReader(queue);
  try {
    const records: LogRecord[] = [];
    for (;;) {
      const reading = await reader.read(records.length, 50);
      assert.equal(reading.kind, "read");
      records.push(...reading.records);
      if (records.length >= reading.end) return records;
    }
  } finally {
    reader.close();
  }
}

export type RawRecord = { readonly key?: Buffer; readonly value: Buffer | null };

/** Appends records of any form to an event's log, as a foreign program would; gives the first offset. */
export async function appendRaw(
  topic: string,
  records: readonly RawRecord[],
  partition = 0,
): Promise<number> {
  const producer = new Producer({
    clientId: "somebody-else",
    bootstrapBrokers: [testEngine("kafka")],
    autocreateTopics: false,
  });
  try {
    const { offsets } = await producer.send({
      acks: -1,
      messages: records.map(({ key, value }) => ({
        topic,
        partition,
        ...(key === undefined ? {} : { key }),
        // The client writes a missing value as null, whatever its type says.
        value: value as Buffer,
      })),
    });
    return Number(offsets?.[0]?.offset);
  } finally {
    await producer.close();
  }
}

/** Waits until everything in an event's log is decided. */
export async function decided(
  sale: QueueSale,
  eventId: EventId,
  records: number,
  options?: UntilOptions,
): Promise<void> {
  const all = async (): Promise<boolean> =>
    (await queueRow(sale.first.postgres, eventId)).nextOffset >= records;
  await until(all, `${records} records of ${eventId} are decided`, options);
}

/** A good record of a person's claim. */
export function claimOf(eventId: EventId, n: number): RawRecord & { readonly key: Buffer } {
  const { key, value } = claimParts({ eventId, userId: person(n) });
  return { key: Buffer.from(key), value: Buffer.from(value) };
}

/** Everybody's code by the event's key; `held`: how many of theirs are somebody else's. */
export async function codesOf(
  sale: QueueSale,
  eventId: EventId,
): Promise<(userId: string, held?: number) => string> {
  const [row] = await sale.first.postgres.query<{ code_key: string }>(
    "SELECT code_key FROM queues WHERE event_id = $1",
    [eventId],
  );
  return (userId, held = 0) => {
    const text = [eventId, userId, ...(held > 0 ? [held] : [])].join(" ");
    return codeFromRandom(createHmac("sha256", row!.code_key).update(text).digest());
  };
}
