// A Redis that keeps snapshots only, or nothing, and comes back with what it had minutes ago: nobody is
// issued twice, no number is given twice, and no coupon too many or too few. Red when a run is not told
// from the one before it (B16), or rows are written by what Redis counted and not by the locked row.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { EngineFault } from "@stampede/domain";
import type { CouponIssue, EventId, UserId } from "@stampede/domain";
import { missing, until } from "@stampede/launcher/testing";
import { startOtherRedis, urlOf } from "../engines/redis/other-redis.ts";
import type { OtherRedis } from "../engines/redis/other-redis.ts";
import {
  abandonReservation,
  claimOrFault,
  openRedisCounter,
  personsOf,
  rowsOf,
  startReconciler,
} from "../support/redis-counter.ts";
import type { RedisCounter } from "../support/redis-counter.ts";
import { createTestEvent, person } from "../support/sale.ts";

const LIMIT = 12;

type Restart = {
  readonly title: string;
  /** What it keeps: the state at this moment, or none at all. */
  readonly snapshot: (server: OtherRedis) => Promise<unknown>;
  /** Done between the snapshot and the end of the server. */
  readonly meanwhile?: (server: OtherRedis) => Promise<unknown>;
  /** The user that the service is, where it is not everybody. */
  readonly user?: readonly string[];
};

const restarts: readonly Restart[] = [
  {
    title: "with the snapshot of a while ago",
    snapshot: async (server) => server.operator("SAVE"),
  },
  { title: "with nothing", snapshot: async () => undefined },
  {
    title: "with a snapshot from before it was emptied and rebuilt",
    snapshot: async (server) => server.operator("SAVE"),
    meanwhile: async (server) => server.operator("FLUSHALL"),
  },
  {
    title: "with the snapshot of a while ago, and may not be asked which run it is",
    snapshot: async (server) => server.operator("SAVE"),
    user: ["~stampede:*", "+@all", "-info"],
  },
];

describe("a Redis without an append-only file", { skip: missing("postgres", "redis") }, () => {
  for (const restart of restarts) {
    test(`sells exactly, to everybody once, when it comes back ${restart.title}`, async (t) => {
      const { server, counter, eventId } = await openSale(t, restart);
      const early = await claimAll(counter, eventId, people(1, 3));
      // Reserved by a process that died: its row is written later, once.
      await abandonReservation(counter, eventId, people(4, 4));
      await restart.snapshot(server);
      const late = await claimAll(counter, eventId, people(5, 6));
      await restart.meanwhile?.(server);
      const later = await claimAll(counter, eventId, people(7, 8));
      await server.kill();
      await server.start();
      await until(() => counter.redis.isUp(), "it is back");
      startReconciler(t, counter);
      const all = await claimAll(counter, eventId, people(1, 30));
      const rows = await rowsOf(counter.store, eventId);
      assert.equal(rows.length, LIMIT);
      assert.equal(new Set(rows).size, LIMIT);
      for (const [userId, issue] of [...early, ...late, ...later]) {
        assert.deepEqual(all.get(userId), issue, `${userId} keeps what they were given`);
      }
      const issued = [...all.values()].filter((issue) => issue !== null);
      const numbers = issued.map(({ seq }) => seq).toSorted((one, other) => one - other);
      assert.deepEqual(
        numbers,
        Array.from({ length: LIMIT }, (_, n) => n + 1),
      );
      await until(async () => (await personsOf(counter, eventId)).length === 0, "it is finished");
    });
  }
});

async function openSale(
  t: TestContext,
  { user }: Restart,
): Promise<{
  readonly server: OtherRedis;
  readonly counter: RedisCounter;
  readonly eventId: EventId;
}> {
  // Its users are in its settings: a restarted server would not know them otherwise.
  const settings = user === undefined ? [] : [`user few on >secret ${user.join(" ")}`];
  const server = await startOtherRedis(t, { settings });
  const plain = urlOf(server);
  const redisUrl = user === undefined ? plain : plain.replace("//", "//few:secret@");
  const counter = await openRedisCounter(t, { redisUrl });
  const eventId = await createTestEvent(counter.store, "redis-counter", { limit: LIMIT });
  return { server, counter, eventId };
}

function people(from: number, to: number): readonly UserId[] {
  return Array.from({ length: to - from + 1 }, (_, n) => person(from + n));
}

/** Everybody's answer at last, claiming as often as it takes: their coupon, or null for sold out. */
async function claimAll(
  { issuer }: RedisCounter,
  eventId: EventId,
  userIds: readonly UserId[],
): Promise<ReadonlyMap<UserId, CouponIssue | null>> {
  const told = new Map<UserId, CouponIssue | null>();
  const claimOne = async (userId: UserId): Promise<boolean> => {
    const answer = await claimOrFault(issuer, eventId, userId);
    if (answer instanceof EngineFault) return false;
    assert.ok(answer.kind !== "queued");
    told.set(userId, answer.kind === "refused" ? null : answer.couponIssue);
    return true;
  };
  const settled = userIds.map(async (userId) => until(async () => claimOne(userId), "an answer"));
  await Promise.all(settled);
  return told;
}
