// R1, R2, R3, R10: Redis is killed, wiped, set back by a second and made to forget its scripts in the
// middle of a sale. While it is away v2 says a sure no or that it does not know; afterwards Redis counts
// again only once it was rebuilt from the rows. v1 and v3 sell at the same time and notice nothing.
//
// Red when claims pass a Redis that shows another generation or run (step 1 of redis/claim.lua: B16),
// and when the reconciler does not write what a living reservation lacks.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { marks } from "./marks.ts";
import { withWritesHeld } from "./support/held-row.ts";
import {
  appendOnlyFile,
  emptyRedis,
  startOnPrivateEngines,
  truncateAppendOnlyFile,
} from "./support/private-engines.ts";
import type { PrivateEngine } from "./support/private-engines.ts";
import { procMissing } from "./support/processes.ts";
import { redisCommand } from "./support/redis-command.ts";
import { engineMissing, MECHANISMS, tally } from "./support/sale.ts";
import {
  assertOthersNoticeNothing,
  PASSERS_BY,
  sellUnderFault,
} from "./support/sale-under-fault.ts";
import type { FaultSale, PassBy } from "./support/sale-under-fault.ts";
import { counted, untilEngine } from "./support/service-state.ts";

const AWAY_MS = 300;
const GOOD_CLAIM_MS_MAX = 2_000;
/** Long enough that on a busy machine, too, the sale is not over before Redis is gone. */
const LONG = { limit: 300, people: 450, spreadMs: 6_000 };
const REBUILDS = 'stampede_recoveries_total{kind="redis-rebuild"}';

type Fault = {
  readonly row: string;
  readonly fault: string;
  /** Null: Redis runs on; else what is done to its data while it does not run. */
  readonly whileDown: null | ((redis: PrivateEngine, bytesBefore: number) => void);
  readonly whileUp?: (redis: PrivateEngine) => Promise<unknown>;
};

const faults: readonly Fault[] = [
  {
    row: "R1",
    fault: "SIGKILL of Redis in mid-sale, and a start from its own file",
    whileDown: () => undefined,
  },
  {
    row: "R2",
    fault: "FLUSHALL in mid-sale",
    whileDown: null,
    whileUp: async ({ url }) => redisCommand(url, "FLUSHALL"),
  },
  {
    row: "R2",
    fault: "SIGKILL of Redis in mid-sale, and a start with an empty folder",
    whileDown: emptyRedis,
  },
  {
    row: "R3",
    fault: "SIGKILL of Redis in mid-sale, and a start from its file as long as it was before",
    whileDown: truncateAppendOnlyFile,
  },
  {
    row: "R10",
    fault: "SCRIPT FLUSH in mid-sale, ten times",
    whileDown: null,
    async whileUp({ url }) {
      for (let time = 1; time <= 10; time += 1) {
        await redisCommand(url, "SCRIPT", "FLUSH");
        await pause(AWAY_MS / 5);
      }
    },
  },
];

test(
  "Redis loses something in the middle of a sale",
  { skip: engineMissing || procMissing },
  async (t) => {
    const at = await startOnPrivateEngines(t);
    for (const { row, fault, whileDown, whileUp } of faults) {
      await t.test(`${row}: ${fault}: all coupons are issued, nobody is told wrong`, async (t) => {
        const rebuiltBefore = await counted(at.program, REBUILDS);
        const sold = await sellUnderFault(t, at, {
          ...LONG,
          row,
          fault,
          mechanisms: MECHANISMS,
          goodClaimMsMax: GOOD_CLAIM_MS_MAX,
          async inject(_sales, passBy) {
            // Some more is reserved after this: it is what a file of this length has lost.
            const { bytes } = appendOnlyFile(at.redis);
            await pause(AWAY_MS);
            const injectedMs = performance.now();
            // Reservations wait for their rows meanwhile: they are in flight when it happens.
            await withWritesHeld(at.program, MECHANISMS.length, async () => {
              await whileUp?.(at.redis);
              if (whileDown !== null) await at.redis.kill();
            });
            if (whileDown !== null) {
              try {
                await untilEngine(at.program, "redis", "down");
                await assertOnlyRedisIsMissed(passBy);
              } finally {
                // The rows behind this one need it, whatever became of this one.
                whileDown(at.redis, bytes);
                await at.redis.start();
              }
            }
            return { injectedMs, healedMs: performance.now() };
          },
        });
        assertOthersNoticeNothing(sold);
        const counter = sold.find(({ sale }) => sale.mechanism === "redis-counter")!;
        const rebuilt = (await counted(at.program, REBUILDS)) - rebuiltBefore;
        if (row === "R10") await assertScriptsWereMissed(at.redis, counter);
        else assert.ok(rebuilt > 0, "Redis was not rebuilt from the rows");
        if (rebuilt > 0) counter.row.met(marks.rebuilt);
      });
    }
  },
);

/**
 * NOSCRIPT is an answer: the script was not run, so it is loaded and run once more. Where the next FLUSH
 * comes in between, that is a sure no; never is it unknown what became of a claim.
 */
async function assertScriptsWereMissed(
  { url }: PrivateEngine,
  { row, told }: FaultSale,
): Promise<void> {
  const errors = String(await redisCommand(url, "INFO", "errorstats"));
  assert.match(errors, /errorstat_NOSCRIPT:count=[1-9]/);
  row.met(marks.noScript);
  assert.equal(tally(told)["unknown"] ?? 0, 0);
}

async function assertOnlyRedisIsMissed(passBy: PassBy): Promise<void> {
  const told = await passBy();
  assert.deepEqual(told["redis-counter"], { refused: PASSERS_BY });
  assert.equal(told["row-lock"]?.["refused"] ?? 0, 0);
  assert.equal(told["row-lock"]?.["unknown"] ?? 0, 0);
  assert.deepEqual(
    Object.keys(told["kafka-queue"] ?? {}).filter((one) => one === "refused"),
    [],
  );
}
