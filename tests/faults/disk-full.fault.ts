// P8, R12: the disk under PostgreSQL, or under Redis, is full in the middle of a sale. PostgreSQL fails
// statements and may stop altogether, Redis refuses to write or ends: no acknowledged row is lost, no
// reservation is told as certain, and once there is room again everything is finished.
//
// Red when an error on the way to COMMIT is told as issued, and as redis-restart.test.ts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { isAlive } from "@stampede/infrastructure/embedded";
import pg from "pg";
import { logOf, startOnPrivateEngines, untilItAnswers } from "./support/private-engines.ts";
import type { PrivateEngine } from "./support/private-engines.ts";
import { procMissing } from "./support/processes.ts";
import { engineMissing, MECHANISMS, tally } from "./support/sale.ts";
import { assertOthersNoticeNothing, sellUnderFault } from "./support/sale-under-fault.ts";
import { mountSmallDisk, smallDiskMissing } from "./support/small-disk.ts";

const FULL_MS = 1_500;
const POSTGRES_MB = 160;
const REDIS_MB = 4;
/** A PostgreSQL that has ended is started by hand, as by whoever made room. */
const GOOD_CLAIM_MS_MAX = 5_000;

const skip = engineMissing || procMissing || smallDiskMissing;

test(
  "P8: PostgreSQL's disk is full: no row is lost, and all is issued once there is room",
  { skip },
  async (t) => {
    const disk = mountSmallDisk(POSTGRES_MB);
    const at = await startOnPrivateEngines(t, { folders: { postgres: disk.folder } });
    t.after(disk.remove);
    await sellUnderFault(t, at, {
      row: "P8",
      fault: "the disk of PostgreSQL's data and log is full for 1.5 s",
      mechanisms: MECHANISMS,
      goodClaimMsMax: GOOD_CLAIM_MS_MAX,
      async inject() {
        const injectedMs = performance.now();
        disk.fill();
        await useUpTheLog(at.postgres);
        await pause(FULL_MS);
        assert.match(logOf(at.postgres), /No space left on device/);
        disk.empty();
        if (!isAlive(at.postgres.pid)) await at.postgres.start();
        await untilItAnswers(at.postgres);
        return { injectedMs, healedMs: performance.now() };
      },
    });
  },
);

test(
  "R12: the disk of Redis' file is full: v2 says no, and goes on once there is room",
  { skip },
  async (t) => {
    const disk = mountSmallDisk(REDIS_MB);
    const at = await startOnPrivateEngines(t, { folders: { redis: disk.folder } });
    t.after(disk.remove);
    const sold = await sellUnderFault(t, at, {
      row: "R12",
      fault: "the disk of Redis' append-only file is full for 1.5 s",
      mechanisms: MECHANISMS,
      goodClaimMsMax: 2_000,
      async inject() {
        const injectedMs = performance.now();
        disk.fill();
        await pause(FULL_MS);
        disk.empty();
        if (!isAlive(at.redis.pid)) await at.redis.start();
        return { injectedMs, healedMs: performance.now() };
      },
    });
    assertOthersNoticeNothing(sold);
    const counter = sold.find(({ sale }) => sale.mechanism === "redis-counter")!;
    const { refused = 0, unknown = 0 } = tally(counter.told);
    assert.ok(refused + unknown > 0, "v2 saw no fault");
  },
);

/** The log is written into files that exist already: a few switches, and it needs a new one. */
async function useUpTheLog({ url }: PrivateEngine): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => undefined);
  try {
    await client.connect();
    for (let time = 1; time <= 4; time += 1) {
      await client.query("SELECT pg_logical_emit_message(true, 'ballast', repeat('x', 8000000))");
    }
  } catch {
    // The disk is full: that is what this is for.
  } finally {
    await client.end().catch(() => undefined);
  }
}
