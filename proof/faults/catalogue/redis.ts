// R: what happens to Redis: it loses something, is damaged, stands still or is full, in the middle of a sale.
// While it is away v2 says a sure no or that it does not know; afterwards Redis counts again only once it was
// rebuilt from the rows. The others sell at the same time and notice nothing.
//
// Red when claims pass a Redis that shows another generation or run (step 1 of redis-counter/claim.lua: B16), when
// the reconciler does not write what a living reservation lacks, when a command without an answer is waited for
// without end (`withDeadline` in engines/redis/contact.ts), and when a full Redis is told as unknown (`REFUSED_IN_SCRIPT` in
// engines/redis/faults.ts).
import assert from "node:assert/strict";
import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import type { FaultCase, Stage } from "../case.ts";
import { assertOthersNoticeNothing, PASSERS_BY } from "../course.ts";
import type { Course, CourseStage, Finished, PassBy } from "../course.ts";
import { finish } from "../finish.ts";
import { marks } from "../marks.ts";
import { MECHANISMS, queues, REDIS_MECHANISMS, reserves, only } from "../mechanisms.ts";
import { happened } from "../notes.ts";
import type { PrivatePlace } from "../places.ts";
import { withWritesHeld } from "../support/held-row.ts";
import { appendOnlyFile, emptyRedis, truncateAppendOnlyFile } from "../support/private-engines.ts";
import type { PrivateEngine } from "../support/private-engines.ts";
import { redisCommand } from "../support/redis-command.ts";
import { claimAtOnce, openSale, people, tally } from "../support/sale.ts";
import { counted, REBUILDS, untilEngine } from "../support/service-state.ts";
import { fullRedisDiskCase } from "./disks.ts";
import { lostScriptCases } from "./lost-replies.ts";
import { cutOffCase } from "./network.ts";
import { failoverCases, managedFailoverCase, oldPrimaryCase } from "./redis-failover.ts";
import { guardCase } from "./redis-guard.ts";

const AWAY_MS = 300;
const STILL_MS = 3_000;
const FULL_MS = 1_500;
/** Whoever meets a Redis that stands still is answered within this time. */
const ANSWER_MS_MAX = 6_000;
/** Somebody waits at least this long when Redis stands still. */
const NOTICED_MS_MIN = 1_000;
/** Redis is gone a while after the sale has begun. */
const LONG = { limit: 300, people: 450, spreadMs: 6_000 };

type Selling = CourseStage<PrivatePlace>;

const onRedis = {
  mechanisms: MECHANISMS,
  holds: "all coupons are issued, nobody is told wrong, and others notice nothing",
  needs: ["proc"],
  place: "private",
} as const;

/** It waits for its own writers: nobody else may write then. */
const onHeldRows = { ...onRedis, beside: "still" } as const;

export const redisCases: readonly FaultCase[] = [
  {
    ...onHeldRows,
    id: "R1",
    injects: "SIGKILL of Redis in mid-sale, and a start from its own file",
    runs: "proof",
    course: losing(killed(() => undefined)),
  },
  {
    ...onHeldRows,
    id: "R2",
    injects: "FLUSHALL in mid-sale",
    runs: "test",
    course: losing({ whileHeld: async ({ url }) => redisCommand(url, "FLUSHALL") }),
  },
  {
    ...onHeldRows,
    id: "R2",
    injects: "SIGKILL of Redis in mid-sale, and a start with an empty folder",
    runs: "proof",
    course: losing(killed(emptyRedis)),
  },
  guardCase,
  {
    ...onHeldRows,
    id: "R3",
    injects: "SIGKILL of Redis in mid-sale, and a start from its file as long as it was before",
    runs: "proof",
    course: losing(killed(truncateAppendOnlyFile)),
  },
  ...failoverCases,
  {
    ...onRedis,
    id: "R5",
    injects: "SIGKILL of Redis, its file cut in the middle of the last command, start",
    runs: "all",
    course: damaging(async (redis) => {
      await redis.kill();
      truncateAppendOnlyFile(redis, appendOnlyFile(redis).bytes - 7);
      await redis.start();
    }, assertRebuilt),
  },
  {
    ...onRedis,
    id: "R5",
    injects:
      "SIGKILL of Redis, a byte in the middle of its file flipped: it will not start; start empty",
    runs: "all",
    course: damaging(async (redis) => {
      await redis.kill();
      flipByte(appendOnlyFile(redis));
      await assert.rejects(redis.start());
      emptyRedis(redis);
      await redis.start();
    }, assertRebuilt),
  },
  ...lostScriptCases,
  {
    ...onRedis,
    id: "R7",
    injects: "CLIENT PAUSE 3000",
    runs: "all",
    course: damaging(async ({ url }) => {
      await redisCommand(url, "CLIENT", "PAUSE", String(STILL_MS));
      await pause(STILL_MS);
    }, assertStoodStill),
  },
  {
    ...onRedis,
    id: "R7",
    injects: "Redis stands still for 3 s (SIGSTOP, as in DEBUG SLEEP 3)",
    runs: "all",
    course: damaging(async (redis) => {
      redis.freeze();
      await pause(STILL_MS);
      redis.thaw();
    }, assertStoodStill),
  },
  {
    ...onRedis,
    id: "R8",
    injects: "maxmemory below what Redis uses, without eviction, for 1.5 s",
    runs: "all",
    course: damaging(async ({ url }) => {
      await redisCommand(url, "CONFIG", "SET", "maxmemory", "100kb");
      await pause(FULL_MS);
      await redisCommand(url, "CONFIG", "SET", "maxmemory", "0");
    }, assertRefused),
  },
  cutOffCase,
  {
    ...onHeldRows,
    id: "R10",
    injects: "SCRIPT FLUSH in mid-sale, ten times",
    runs: "proof",
    course: losing({
      async whileHeld({ url }) {
        for (let time = 1; time <= 10; time += 1) {
          await redisCommand(url, "SCRIPT", "FLUSH");
          await pause(AWAY_MS / 5);
        }
      },
      after: assertScriptsWereMissed,
    }),
  },
  oldPrimaryCase,
  fullRedisDiskCase,
  {
    // No clock is moved for it: what could expire is what is looked for instead.
    id: "R13",
    mechanisms: REDIS_MECHANISMS,
    apart: true,
    injects: "Redis' clock two days later: no key has a time to live that could end",
    holds: "nothing in Redis expires, however late it is",
    runs: "all",
    needs: ["proc"],
    place: "private",
    run: nothingExpires,
  },
  managedFailoverCase,
];

type Loss = {
  /** Done while reservations wait for their rows: they are in flight when it happens. */
  readonly whileHeld: (redis: PrivateEngine) => Promise<unknown>;
  /** Done to its data while it does not run; it runs on where this is missing. */
  readonly whileDown?: (redis: PrivateEngine, bytesBefore: number) => void;
  /** In place of its rebuild from the rows, which is what any loss ends in. */
  readonly after?: Course<PrivatePlace>["after"];
};

function killed(whileDown: NonNullable<Loss["whileDown"]>): Loss {
  return { whileHeld: async (redis) => redis.kill(), whileDown };
}

/** Something is lost while reservations are in flight; then Redis is rebuilt from the rows. */
function losing({ whileHeld, whileDown, after }: Loss): Course<PrivatePlace> {
  let rebuiltBefore = 0;
  return {
    reserving: LONG,
    goodClaimMsMax: 2_000,
    async inject({ at, sales, passBy, begins }) {
      rebuiltBefore = await counted(at.program, REBUILDS);
      // Some more is reserved after this: it is what a file of this length has lost.
      const { bytes } = appendOnlyFile(at.redis);
      await pause(AWAY_MS);
      begins();
      await withWritesHeld(at.program, sales.length, async () => whileHeld(at.redis));
      if (whileDown === undefined) return;
      await untilEngine(at.program, "redis", "down");
      await assertOnlyRedisIsMissed(sales, passBy);
      whileDown(at.redis, bytes);
      await at.redis.start();
    },
    async after(sold, stage) {
      assertOthersNoticeNothing(sold);
      const rebuilt = (await counted(stage.at.program, REBUILDS)) - rebuiltBefore;
      if (after === undefined) assert.ok(rebuilt > 0, "Redis was not rebuilt from the rows");
      if (rebuilt > 0) stage.met(marks.rebuilt);
      await after?.(sold, stage);
    },
  };
}

async function assertOnlyRedisIsMissed(sales: Selling["sales"], passBy: PassBy): Promise<void> {
  const told = await passBy();
  for (const { sale } of sales) {
    const counts: Record<string, number> = told.get(sale.mechanism) ?? {};
    const { refused = 0, unknown = 0, "sold-out": soldOut = 0 } = counts;
    happened(!reserves(sale) || soldOut === 0, "the sale was over too early");
    assert.equal(refused, reserves(sale) ? PASSERS_BY : 0, sale.mechanism);
    if (!queues(sale)) assert.equal(unknown, 0, sale.mechanism);
  }
}

/**
 * NOSCRIPT is an answer: the script was not run, so it is loaded and run once more. Where the next FLUSH
 * comes in between, that is a sure no; never is it unknown what became of a claim.
 */
async function assertScriptsWereMissed(
  sold: readonly Finished[],
  { at, met }: Stage<PrivatePlace>,
): Promise<void> {
  const errors = String(await redisCommand(at.redis.url, "INFO", "errorstats"));
  happened(/errorstat_NOSCRIPT:count=[1-9]/.test(errors), "no script was missed");
  met(marks.noScript);
  for (const { sale, told } of sold) {
    if (reserves(sale)) assert.equal(tally(told)["unknown"] ?? 0, 0);
  }
}

type Met = {
  readonly slowestMs: number;
  readonly refused: number;
  readonly unknown: number;
  readonly rebuilds: number;
};

/** Something is wrong with Redis for a while; `assertMet` looks at what its people were told then. */
function damaging(
  damage: (redis: PrivateEngine) => Promise<unknown>,
  assertMet: (met: Met) => void,
): Course<PrivatePlace> {
  let rebuiltBefore = 0;
  return {
    goodClaimMsMax: 2_000,
    async inject({ at, begins }) {
      rebuiltBefore = await counted(at.program, REBUILDS);
      begins();
      await damage(at.redis);
    },
    async after(sold, { at }) {
      assertOthersNoticeNothing(sold);
      const rebuilds = (await counted(at.program, REBUILDS)) - rebuiltBefore;
      for (const { sale, told, injectedMs, healedMs } of sold) {
        if (!reserves(sale)) continue;
        const met = told.filter(({ sentMs }) => sentMs >= injectedMs && sentMs < healedMs);
        const { refused = 0, unknown = 0 } = tally(met);
        const slowestMs = Math.max(...met.map(({ sentMs, returnedMs }) => returnedMs - sentMs));
        assert.ok(slowestMs < ANSWER_MS_MAX, `${slowestMs} ms`);
        assertMet({ slowestMs, refused, unknown, rebuilds });
      }
    },
  };
}

function assertRebuilt({ rebuilds }: Met): void {
  assert.ok(rebuilds > 0, "Redis was not rebuilt from the rows");
}

/** It may have bridged it: a claim whose answer is lost is asked once more. */
function assertStoodStill({ slowestMs, refused, unknown }: Met): void {
  happened(slowestMs > NOTICED_MS_MIN || refused + unknown > 0, "nobody waited for Redis");
}

/** Redis refuses before a script's first write: that is a sure no. */
function assertRefused({ refused, unknown }: Met): void {
  assert.equal(unknown, 0);
  happened(refused > 0, "Redis refused nobody");
}

async function nothingExpires(stage: Stage<PrivatePlace>): Promise<void> {
  const { url } = stage.at.redis;
  const sale = await openSale(stage.at.program, { mechanism: only(stage), limit: 50 });
  await finish(stage, sale, await claimAtOnce(sale, people(80)));
  const keys = await redisCommand(url, "KEYS", "*");
  assert.ok(Array.isArray(keys));
  happened(keys.length > 0, "Redis holds nothing");
  for (const key of keys) assert.equal(await redisCommand(url, "TTL", String(key)), -1);
  stage.injected();
}

/** The first letter of a command's name in the middle of the file: no such command, no such file. */
function flipByte({ path, bytes }: { readonly path: string; readonly bytes: number }): void {
  const file = openSync(path, "r+");
  try {
    const text = Buffer.alloc(bytes);
    readSync(file, text, 0, bytes, 0);
    const star = text.indexOf("\r\n*", Math.floor(bytes / 2)) + 2;
    writeSync(file, "!", star);
  } finally {
    closeSync(file);
  }
}
