// What the last build before the codes of v3 followed from a key has left in the middle of its sales, written
// here as it wrote it: a schema without migration 0006, rows, records that bring codes and are undecided,
// reservations in Redis without a row. (The build itself sells in proof/faults, O8.)
//
// Red when a record of the schema before is no claim any more (`SCHEMA_WITH_CODE` in
// kafka-queue/log/claim-codec.ts), or when queues that are there get no key (migration 0006).
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import type { EventId, Mechanism } from "@stampede/domain";
import { missing, testEngine, until } from "@stampede/launcher/testing";
import { runner } from "node-pg-migrate";
import type pg from "pg";
import { openRedis } from "../src/engines/redis/open.ts";
import { systemTime } from "../src/engines/time.ts";
import { openFoundation } from "../src/foundation.ts";
import { openKafka } from "../src/kafka-queue/log/open.ts";
import { keysOf } from "../src/redis-counter/scripts.ts";
import { mechanisms } from "../src/mechanisms.ts";
import { openMechanisms } from "../src/open-mechanisms.ts";
import type { ServedMechanism } from "../src/open-mechanisms.ts";
import { drawCode, drawToken } from "../src/rows/codes.ts";
import { createEmptyDatabase } from "./support/database.ts";
import { appendRaw } from "./support/kafka-queue.ts";
import { openClient } from "./support/postgres.ts";
import { person } from "./support/sale.ts";

const MIGRATIONS_THEN = 5;
const SCRIPTS_THEN = "1-dc6c0850";
const LIMIT = 5;

describe("a sale that the build before has begun", () => {
  const skip = missing("postgres", "redis", "kafka");

  test(
    "goes on: who was told keeps theirs, the rest is decided, and no more",
    { skip },
    async (t) => {
      // Registered before the database's own hook: what uses the database is closed before it.
      const stack = new AsyncDisposableStack();
      t.after(async () => stack.disposeAsync());
      const url = await createEmptyDatabase(t);
      await migrateAsThen(url);
      const client = await openClient(t, url);
      const old: { readonly mechanism: Mechanism; readonly eventId: EventId }[] = [];
      for (const { name: mechanism, queues } of mechanisms) {
        const eventId = `old-${mechanism}-${drawToken().slice(0, 8)}` as EventId;
        old.push({ mechanism, eventId });
        await leaveEvent(client, { mechanism, eventId, queues });
      }
      const [queue, counter] = ["kafka-queue", "redis-counter"].map(
        (mechanism) => old.find((one) => one.mechanism === mechanism)!.eventId,
      );
      await leaveReservations(client, counter!);
      const brought = await leaveRecords(client, queue!);
      const before = await rowsOf(client);

      const served = await startOn(t, stack, url);
      for (const { mechanism, eventId } of old) {
        const { issuer } = served.get(mechanism)!;
        for (const seq of [1, 2]) {
          const status = await issuer.status(eventId, person(`told-${seq}`), null);
          assert.ok(status.kind === "issued" && status.couponIssue.seq === seq, mechanism);
        }
        await until(async () => issuer.available(eventId), `${mechanism} takes claims`);
        const late = Array.from({ length: LIMIT }, (_, n) => person(`late-${n}`));
        await Promise.all(late.map(async (userId) => issuer.claim(eventId, userId)));
        await until(
          async () => (await issuer.status(eventId, late.at(-1)!, null)).kind !== "none",
          `${mechanism} has sold the rest`,
          { msMax: 10_000 },
        );
      }
      const after = await rowsOf(client);
      assert.equal(after.length, LIMIT * old.length, "exactly the limit of each is issued");
      assert.deepEqual(
        after.filter(({ code }) => before.some((row) => row.code === code)),
        before,
        "who was told keeps theirs",
      );
      const inLine = after.filter(({ event_id }) => event_id === queue).map((row) => row.user_id);
      assert.deepEqual(inLine.slice(0, 4), ["told-1", "told-2", "line-1", "line-2"].map(person));
      assert.ok(
        !after.some(({ code }) => brought.includes(code)),
        "a code out of the log is a coupon",
      );
      const reserved = after
        .filter(({ event_id }) => event_id === counter)
        .map((row) => row.user_id);
      assert.ok(reserved.includes(person("reserved")), "a reservation is owed its row");
    },
  );
});

async function migrateAsThen(databaseUrl: string): Promise<void> {
  await runner({
    databaseUrl,
    dir: join(import.meta.dirname, "..", "src", "rows", "migrations"),
    direction: "up",
    count: MIGRATIONS_THEN,
    migrationsTable: "schema_migrations",
    logger: { info: () => undefined, warn: () => undefined, error: () => undefined },
  });
}

/** An open event with two coupon issues. */
async function leaveEvent(
  client: pg.Client,
  event: { readonly mechanism: Mechanism; readonly eventId: EventId; readonly queues: boolean },
): Promise<void> {
  const { eventId, mechanism, queues } = event;
  await client.query(
    `INSERT INTO events (id, name, mechanism, limit_quantity, issued, opens_at)
     VALUES ($1, 'An old event', $2, $3, 2, clock_timestamp() - interval '1 minute')`,
    [eventId, mechanism, LIMIT],
  );
  await client.query(
    `INSERT INTO coupon_issues (event_id, seq, user_id, code, issued_at, ticket)
     SELECT $1, n, 'person-told-' || n, code, clock_timestamp(), CASE WHEN $3 THEN n - 1 END
       FROM unnest($2::text[]) WITH ORDINALITY AS old (code, n)`,
    [eventId, [drawCode(), drawCode()], queues],
  );
}

/** Redis counts three, of whom one has no row yet. */
async function leaveReservations(client: pg.Client, eventId: EventId): Promise<void> {
  const redis = await openRedis({
    url: testEngine("redis"),
    time: systemTime,
    random: Math.random,
  });
  const session = redis.session();
  const generation = drawToken();
  await client.query("INSERT INTO redis_generations VALUES ($1, $2)", [eventId, generation]);
  const keys = keysOf(eventId);
  const persons = ["told-1", "told-2", "reserved"].flatMap((name, n) => [person(name), `${n + 1}`]);
  const open = `${generation}:${session.runId}:${SCRIPTS_THEN}`;
  await session.send("HSET", keys.state, "open", open, "latch", "0");
  await session.send("HSET", keys.persons, ...persons);
  await session.send("SET", keys.count, "3");
  await redis.close();
}

/** A log of four, two of them decided; gives the codes of the others. */
async function leaveRecords(client: pg.Client, eventId: EventId): Promise<readonly string[]> {
  const kafka = await openKafka({ brokers: testEngine("kafka"), time: systemTime });
  const { topic, topicId } = await kafka.createLog(`stampede.${eventId}.old`);
  await kafka.close();
  await client.query(
    `INSERT INTO queues (event_id, topic, topic_id, epoch, next_offset, last_winning_ticket)
     VALUES ($1, $2, $3, 4, 2, 1)`,
    [eventId, topic, topicId],
  );
  const claims = ["told-1", "told-2", "line-1", "line-2"].map((name) => ({
    schema: 1,
    eventId,
    userId: person(name),
    code: drawCode(),
  }));
  await appendRaw(
    topic,
    claims.map((claim) => ({
      key: Buffer.from(claim.userId),
      value: Buffer.from(JSON.stringify(claim)),
    })),
  );
  return claims.slice(2).map(({ code }) => code);
}

/** This build, all of it but its HTTP. */
async function startOn(
  t: TestContext,
  stack: AsyncDisposableStack,
  databaseUrl: string,
): Promise<ReadonlyMap<string, ServedMechanism>> {
  const say = (told: unknown): void => t.diagnostic(JSON.stringify(told));
  const foundation = await openFoundation({
    databaseUrl,
    redisUrl: testEngine("redis"),
    kafkaBrokers: [testEngine("kafka")],
    kafkaAccess: { sasl: null, tls: null },
    poolSizes: { shared: 4, decisions: 3, rowLock: 2 },
    keepLogMs: null,
    role: "all",
    time: systemTime,
    random: Math.random,
    drawCode,
    drawToken,
    hear: { warning: say, error: say, trouble: say, failure: (error) => say(String(error)) },
    stack,
  });
  return openMechanisms(foundation);
}

type Row = { readonly event_id: string; readonly user_id: string; readonly code: string };

async function rowsOf(client: pg.Client): Promise<readonly Row[]> {
  const { rows } = await client.query<Row>(
    "SELECT event_id, seq, user_id, code, issued_at, ticket FROM coupon_issues ORDER BY 1, 2",
  );
  return rows;
}
