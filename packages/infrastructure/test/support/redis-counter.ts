import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { TestContext } from "node:test";
import { EngineFault } from "@stampede/domain";
import type { ClaimAnswer, CouponIssuer, EventId, EventStore, UserId } from "@stampede/domain";
import { drawCode, drawToken } from "../../src/codes.ts";
import type { EventDirectory } from "../../src/postgres/event-directory.ts";
import { postgresEventStore } from "../../src/postgres/event-store.ts";
import type { Postgres } from "../../src/postgres/open.ts";
import { Generations } from "../../src/redis/generations.ts";
import { openRedis } from "../../src/redis/open.ts";
import type { Redis } from "../../src/redis/open.ts";
import { redisCounterPreparation } from "../../src/redis/preparation.ts";
import { Reconciler } from "../../src/redis/reconciler.ts";
import { redisCounterIssuer } from "../../src/redis/redis-counter-issuer.ts";
import type { RedisCounterIssuer } from "../../src/redis/redis-counter-issuer.ts";
import { keysOf, openedBy, readState, reserve } from "../../src/redis/scripts.ts";
import { openSecondInstance, openTestDatabase } from "../support/database.ts";
import { testEngine } from "../support/engines.ts";
import { systemTime } from "../../src/time.ts";

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
    onError: failLoudly,
  });
  const preparation = redisCounterPreparation({ redis, generations, drawToken });
  const store = postgresEventStore(postgres, { "redis-counter": preparation });
  t.after(async () => {
    await issuer.close();
    await redis.close();
  });
  return { ...engines, redis, generations, issuer, store };
}

export function startReconciler(t: TestContext, counter: RedisCounter): Reconciler {
  const reconciler = new Reconciler({ ...counter, drawCode, onError: failLoudly });
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

/** Waits for a condition, at most `withinMs`. */
export async function until(
  condition: () => Promise<boolean> | boolean,
  withinMs = 10_000,
): Promise<void> {
  const deadlineMs = performance.now() + withinMs;
  while (!(await condition())) {
    assert.ok(performance.now() < deadlineMs, `not within ${withinMs} ms: ${String(condition)}`);
    await sleep(10);
  }
}

/** What a process leaves that died between the reservation and its row (A4). */
export async function abandonReservation(
  counter: RedisCounter,
  eventId: EventId,
  userIds: readonly UserId[],
): Promise<void> {
  const session = counter.redis.session();
  const opened = openedBy(await generationOf(counter, eventId), session.runId);
  const limit = (await counter.store.find(eventId))!.event.limit;
  const answers = await reserve(session, { eventId, opened, limit, userIds });
  assert.ok(answers !== "closed" && answers.every((answer) => Number(answer) > 0));
}

export async function generationOf({ postgres }: RedisCounter, eventId: EventId): Promise<string> {
  const rows = await postgres.query<{ generation: string }>(
    "SELECT generation FROM redis_generations WHERE event_id = $1",
    [eventId],
  );
  return rows[0]!.generation;
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
