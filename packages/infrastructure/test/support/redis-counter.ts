import { lockEvent } from "../../src/rows/coupon-issues.ts";
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { EngineFault } from "@stampede/domain";
import type { ClaimAnswer, CouponIssuer, EventId, EventStore, UserId } from "@stampede/domain";
import { drawCode, drawToken } from "../../src/rows/codes.ts";
import type { EventDirectory } from "../../src/rows/event-directory.ts";
import { postgresEventStore } from "../../src/rows/event-store.ts";
import type { Postgres } from "../../src/engines/postgres/open.ts";
import { Generations } from "../../src/redis-counter/generations.ts";
import { openRedis } from "../../src/engines/redis/open.ts";
import type { Redis } from "../../src/engines/redis/open.ts";
import { redisCounterPreparation } from "../../src/redis-counter/preparation.ts";
import { Reconciler } from "../../src/redis-counter/reconciler.ts";
import { redisCounterIssuer } from "../../src/redis-counter/issuer.ts";
import type { RedisCounterIssuer } from "../../src/redis-counter/issuer.ts";
import { keysOf, stampOf, readState, reserve } from "../../src/redis-counter/scripts.ts";
import { openSecondInstance, openTestDatabase } from "./database.ts";
import { testEngine, until } from "@stampede/launcher/testing";
import type { UntilOptions } from "@stampede/launcher/testing";
import { systemTime } from "../../src/engines/time.ts";

/** One process's whole v2. */
export type RedisCounter = {
  readonly databaseUrl: string;
  readonly redisUrl: string;
  readonly postgres: Postgres;
  readonly directory: EventDirectory;
  readonly redis: Redis;
  readonly generations: Generations;
  readonly issuer: RedisCounterIssuer;
  readonly store: EventStore;
};

export type RedisCounterWanted = {
  readonly redisUrl?: string;
  /** Where this instance finds the database, if not directly (a proxy). */
  readonly throughUrl?: (databaseUrl: string) => string;
};

/** A database of its own, and the Redis that all tests share: events have random ids. */
export async function openRedisCounter(
  t: TestContext,
  wanted: RedisCounterWanted = {},
): Promise<RedisCounter> {
  const database = await openTestDatabase(t);
  const through =
    wanted.throughUrl === undefined
      ? database
      : await openSecondInstance(t, wanted.throughUrl(database.url));
  return openOn(t, {
    ...through,
    databaseUrl: database.url,
    redisUrl: wanted.redisUrl ?? testEngine("redis"),
  });
}

/** Another process on the same engines. */
export async function openSecondRedisCounter(
  t: TestContext,
  first: RedisCounter,
): Promise<RedisCounter> {
  const { databaseUrl, redisUrl } = first;
  return openOn(t, { ...(await openSecondInstance(t, databaseUrl)), databaseUrl, redisUrl });
}

async function openOn(
  t: TestContext,
  engines: Pick<RedisCounter, "postgres" | "directory" | "databaseUrl" | "redisUrl">,
): Promise<RedisCounter> {
  const { postgres, directory } = engines;
  const redis = await openRedis({
    url: engines.redisUrl,
    time: systemTime,
    random: Math.random,
  });
  const generations = new Generations({ redis, postgres, directory, drawCode, drawToken });
  const issuer = redisCounterIssuer({
    redis,
    postgres,
    directory,
    generations,
    drawCode,
  });
  const preparation = redisCounterPreparation({ redis, generations, drawToken });
  const store = postgresEventStore(postgres, () => preparation);
  t.after(async () => {
    await issuer.close();
    await redis.close();
  });
  return { ...engines, redis, generations, issuer, store };
}

/** `onTrouble` hears of events that cannot be reconciled. */
export function startReconciler(
  t: TestContext,
  counter: RedisCounter,
  onTrouble: (eventId: EventId, reason: string) => void = () => undefined,
): Reconciler {
  const reconciler = new Reconciler({
    ...counter,
    drawCode,
    onError: failLoudly,
    onTrouble,
    onGivenBack: () => undefined,
  });
  t.after(async () => reconciler.close());
  return reconciler;
}

function failLoudly(error: unknown): void {
  // Ends the test process: nothing may fail unseen.
  queueMicrotask(() => {
    throw error;
  });
}

/** A claim's answer, or the fault that it got instead. */
export async function claimOrFault(
  issuer: CouponIssuer,
  eventId: EventId,
  userId: UserId,
): Promise<ClaimAnswer | EngineFault> {
  try {
    return await issuer.claim(eventId, userId);
  } catch (error) {
    if (error instanceof EngineFault) return error;
    throw error;
  }
}

export async function rowsOf(store: EventStore, eventId: EventId): Promise<readonly UserId[]> {
  const userIds: UserId[] = [];
  for (let cursor: string | null = null; ;) {
    const page = await store.issues(eventId, { size: 500, cursor });
    assert.ok(page.ok);
    userIds.push(...page.value.entries.map((entry) => entry.userId));
    cursor = page.value.next;
    if (cursor === null) return userIds;
  }
}

/** Waits until Redis holds nothing of the event, and PostgreSQL names no generation of it. */
export async function untilForgotten(
  counter: RedisCounter,
  eventId: EventId,
  options?: UntilOptions,
): Promise<void> {
  const isForgotten = async (): Promise<boolean> =>
    (await keysHeld(counter, eventId)).length === 0 &&
    (await generationOf(counter, eventId)) === undefined;
  await until(isForgotten, "nothing is held of the event", options);
}

/** The keys that Redis has of an event. */
export async function keysHeld({ redis }: RedisCounter, eventId: EventId): Promise<string[]> {
  const keys = Object.values(keysOf(eventId));
  const held = keys.map(async (key) =>
    (await redis.session().send("EXISTS", key)) === 1 ? [key] : [],
  );
  return (await Promise.all(held)).flat();
}

/** Waits until so many persons have a row. */
export async function untilRows(
  store: EventStore,
  eventId: EventId,
  { count, ...options }: UntilOptions & { readonly count: number },
): Promise<void> {
  const isWritten = async (): Promise<boolean> => (await rowsOf(store, eventId)).length === count;
  await until(isWritten, `${count} rows are written`, options);
}

/** What a process leaves that died between the reservation and its row (A4). */
export async function abandonReservation(
  counter: RedisCounter,
  eventId: EventId,
  userIds: readonly UserId[],
): Promise<void> {
  const session = counter.redis.session();
  const stamp = stampOf((await generationOf(counter, eventId))!, session.runId);
  const limit = (await counter.store.find(eventId))!.event.limit;
  const answers = await reserve(session, { eventId, stamp, limit, userIds });
  assert.ok(answers !== "closed" && answers.every((answer) => Number(answer) > 0));
}

/** What PostgreSQL names; undefined where that is none. */
export async function generationOf(
  { postgres }: RedisCounter,
  eventId: EventId,
): Promise<string | undefined> {
  const rows = await postgres.query<{ generation: string }>(
    "SELECT generation FROM redis_generations WHERE event_id = $1",
    [eventId],
  );
  return rows[0]?.generation;
}

export async function stateOf(
  { redis }: RedisCounter,
  eventId: EventId,
): ReturnType<typeof readState> {
  return readState(redis.session(), eventId);
}

export async function personsOf({ redis }: RedisCounter, eventId: EventId): Promise<UserId[]> {
  return (await redis.session().send("HKEYS", keysOf(eventId).persons)) as UserId[];
}

/** Holds the event's row in a transaction, as somebody else's slow one would. */
export async function holdEventRow(
  { postgres }: RedisCounter,
  eventId: EventId,
): Promise<{ readonly release: () => Promise<void> }> {
  const locked = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  const holding = postgres.transaction(async (sql) => {
    await lockEvent(sql, eventId);
    locked.resolve();
    // Speaks now and then: PostgreSQL ends a session that is idle in a transaction.
    while (!(await Promise.race([released.promise.then(() => true), tick()]))) {
      await sql.query("SELECT 1");
    }
  });
  await locked.promise;
  return {
    async release() {
      released.resolve();
      await holding;
    },
  };
}

async function tick(): Promise<false> {
  return new Promise((resolve) => {
    setTimeout(() => resolve(false), 100);
  });
}

/** As an operator's change of the window would: closed so long ago, or open again. */
export async function closeEvent(
  { postgres }: RedisCounter,
  eventId: EventId,
  { closedMsAgo }: { readonly closedMsAgo: number | null } = { closedMsAgo: 61_000 },
): Promise<void> {
  await postgres.query(
    `UPDATE events SET version = version + 1, opens_at = clock_timestamp() - interval '1 day',
            closes_at = clock_timestamp() - $2 * interval '1 millisecond' WHERE id = $1`,
    [eventId, closedMsAgo],
  );
}
