// R5, R7, R8, R13: Redis' file is cut in mid-command and damaged in its middle, Redis stands still for
// three seconds, has no memory left, and lives two days later, in mid-sale. v1 and v3 notice nothing.
//
// Red when a command without an answer is waited for without end (`withDeadline` in redis/open.ts),
// when a full Redis is told as unknown (`REFUSALS` in redis/faults.ts), and as redis-restart.test.ts.
import assert from "node:assert/strict";
import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import {
  appendOnlyFile,
  emptyRedis,
  startOnPrivateEngines,
  truncateAppendOnlyFile,
} from "./support/private-engines.ts";
import type { PrivateEngine } from "./support/private-engines.ts";
import { procMissing } from "./support/processes.ts";
import { redisCommand } from "./support/redis-command.ts";
import { faultRow } from "./support/row.ts";
import { engineMissing, MECHANISMS, tally } from "./support/sale.ts";
import { assertOthersNoticeNothing, sellUnderFault } from "./support/sale-under-fault.ts";
import type { Finished } from "./support/sale-under-fault.ts";
import { counted } from "./support/service-state.ts";

const STILL_MS = 3_000;
const FULL_MS = 1_500;
const GOOD_CLAIM_MS_MAX = 2_000;
/** Whoever meets a Redis that stands still is answered within this time. */
const ANSWER_MS_MAX = 6_000;
/** Somebody waits at least this long when Redis stands still. */
const NOTICED_MS_MIN = 1_000;
const REBUILDS = 'stampede_recoveries_total{kind="redis-rebuild"}';

type Fault = {
  readonly row: string;
  readonly fault: string;
  readonly run: (redis: PrivateEngine) => Promise<void>;
};

const faults: readonly Fault[] = [
  {
    row: "R5",
    fault: "SIGKILL of Redis, its file cut in the middle of the last command, start",
    async run(redis) {
      await redis.kill();
      truncateAppendOnlyFile(redis, appendOnlyFile(redis).bytes - 7);
      await redis.start();
    },
  },
  {
    row: "R5",
    fault:
      "SIGKILL of Redis, a byte in the middle of its file flipped: it will not start; start empty",
    async run(redis) {
      await redis.kill();
      flipByte(appendOnlyFile(redis));
      await assert.rejects(redis.start());
      emptyRedis(redis);
      await redis.start();
    },
  },
  {
    row: "R7",
    fault: "CLIENT PAUSE 3000",
    async run({ url }) {
      await redisCommand(url, "CLIENT", "PAUSE", String(STILL_MS));
      await pause(STILL_MS);
    },
  },
  {
    row: "R7",
    fault: "Redis stands still for 3 s (SIGSTOP, as in DEBUG SLEEP 3)",
    async run(redis) {
      redis.freeze();
      await pause(STILL_MS);
      redis.thaw();
    },
  },
  {
    row: "R8",
    fault: "maxmemory below what Redis uses, without eviction, for 1.5 s",
    async run({ url }) {
      await redisCommand(url, "CONFIG", "SET", "maxmemory", "100kb");
      await pause(FULL_MS);
      await redisCommand(url, "CONFIG", "SET", "maxmemory", "0");
    },
  },
];

test(
  "Redis is damaged, still or full in the middle of a sale",
  { skip: engineMissing || procMissing },
  async (t) => {
    const at = await startOnPrivateEngines(t);
    for (const { row, fault, run } of faults) {
      await t.test(`${row}: ${fault}: all coupons are issued, nobody is told wrong`, async (t) => {
        const rebuiltBefore = await counted(at.program, REBUILDS);
        const sold = await sellUnderFault(t, at, {
          row,
          fault,
          mechanisms: MECHANISMS,
          goodClaimMsMax: GOOD_CLAIM_MS_MAX,
          async inject() {
            const injectedMs = performance.now();
            await run(at.redis);
            return { injectedMs, healedMs: performance.now() };
          },
        });
        assertOthersNoticeNothing(sold);
        const counter = sold.find(({ sale }) => sale.mechanism === "redis-counter")!;
        assertMet(counter, row, (await counted(at.program, REBUILDS)) - rebuiltBefore);
      });
    }
    // No clock is moved for it: what could expire is what is looked for instead.
    await t.test("R13: nothing in Redis expires, however late it is", async (t) => {
      await nothingExpires(t, at.redis);
    });
  },
);

/** The fault reached v2, which may have bridged it: a claim whose answer is lost is asked once more. */
function assertMet({ told, injectedMs, healedMs }: Finished, row: string, rebuilds: number): void {
  const met = told.filter(({ sentMs }) => sentMs >= injectedMs && sentMs < healedMs);
  const { refused = 0, unknown = 0 } = tally(met);
  const slowestMs = Math.max(...met.map(({ sentMs, returnedMs }) => returnedMs - sentMs));
  assert.ok(slowestMs < ANSWER_MS_MAX, `${slowestMs} ms`);
  if (row === "R5") assert.ok(rebuilds > 0, "Redis was not rebuilt from the rows");
  if (row === "R7") assert.ok(slowestMs > NOTICED_MS_MIN || refused + unknown > 0);
  // Redis refuses before a script's first write: that is a sure no.
  if (row === "R8") assert.deepEqual({ unknown, some: refused > 0 }, { unknown: 0, some: true });
}

async function nothingExpires(t: TestContext, { url }: PrivateEngine): Promise<void> {
  const row = faultRow(t, {
    row: "R13",
    mechanism: "redis-counter",
    fault: "Redis' clock two days later: no key has a time to live that could end",
  });
  const keys = await redisCommand(url, "KEYS", "*");
  assert.ok(Array.isArray(keys) && keys.length > 0);
  for (const key of keys) assert.equal(await redisCommand(url, "TTL", String(key)), -1);
  row.injected();
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
