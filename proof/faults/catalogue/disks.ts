// P8, P9, R12: the disk under PostgreSQL, or under Redis, is full or fails in the middle of a sale. No
// acknowledged row is lost, no reservation is told as certain, and once there is room everything is finished.
//
// Red when a COMMIT that failed is told as issued (`runPlain(client, "COMMIT", ...)` in engines/postgres/open.ts):
// the recovery of P9 has lost some of those rows; and as the other cases of Redis.
import { setTimeout as pause } from "node:timers/promises";
import { isAlive } from "@stampede/launcher";
import { until } from "@stampede/launcher/testing";
import pg from "pg";
import type { FaultCase, Stage } from "../case.ts";
import { assertOthersNoticeNothing, sellUnderFault } from "../course.ts";
import type { Course, Finished } from "../course.ts";
import { decidesInRow, MECHANISMS, reserves } from "../mechanisms.ts";
import { happened } from "../notes.ts";
import type { PrivatePlace } from "../places.ts";
import { failSyncs } from "../support/failing-disk.ts";
import { logOf, startOnPrivateEngines, untilItAnswers } from "../support/private-engines.ts";
import type { PrivateEngine } from "../support/private-engines.ts";
import { tally } from "../support/sale.ts";
import { mountSmallDisk } from "../support/small-disk.ts";

const FULL_MS = 1_500;
const POSTGRES_MB = 160;
const REDIS_MB = 4;
/** How long all syncs fail. */
const FAILING_MS = 1_000;
const RECOVERED_MS_MAX = 8_000;

export const diskCases: readonly FaultCase[] = [
  {
    id: "P8",
    mechanisms: MECHANISMS,
    injects: "the disk of PostgreSQL's data and log is full for 1.5 s",
    holds: "no row is lost, and all is issued once there is room",
    runs: "all",
    needs: ["proc", "root"],
    place: "own",
    run: async (stage) =>
      onSmallDisk(stage, "postgres", (disk) => ({
        async inject({ at }) {
          disk.fill();
          await useUpTheLog(at.postgres);
          await pause(FULL_MS);
          happened(/No space left on device/.test(logOf(at.postgres)), "PostgreSQL had room");
          disk.empty();
          // One that has ended is started by hand, as by whoever made room.
          if (!isAlive(at.postgres.pid)) await at.postgres.start();
          await untilItAnswers(at.postgres);
        },
      })),
  },
  ...(
    [
      ["EIO for the syncs of the processes that run; its recovery's succeed", false],
      ["EIO for all syncs during 1 s, those of the recovery as well", true],
    ] as const
  ).map(([injects, lasts]): FaultCase => ({
    id: "P9",
    mechanisms: MECHANISMS,
    injects,
    holds: "PostgreSQL panics and recovers, and no row that was told is lost",
    runs: "all",
    needs: ["proc", "strace"],
    place: "private",
    course: failingDisk(lasts),
  })),
];

export const fullRedisDiskCase: FaultCase = {
  id: "R12",
  mechanisms: MECHANISMS,
  injects: "the disk of Redis' append-only file is full for 1.5 s",
  holds: "v2 says no, and goes on once there is room; others notice nothing",
  runs: "all",
  needs: ["proc", "root"],
  place: "own",
  run: async (stage) =>
    onSmallDisk(stage, "redis", (disk) => ({
      goodClaimMsMax: 2_000,
      async inject({ at }) {
        disk.fill();
        await pause(FULL_MS);
        disk.empty();
        if (!isAlive(at.redis.pid)) await at.redis.start();
      },
      after(sold) {
        assertOthersNoticeNothing(sold);
        for (const { sale, told } of sold) {
          const { refused = 0, unknown = 0 } = tally(told);
          happened(!reserves(sale) || refused + unknown > 0, `${sale.mechanism} met no fault`);
        }
      },
    })),
};

async function onSmallDisk(
  stage: Stage,
  engine: "postgres" | "redis",
  course: (disk: ReturnType<typeof mountSmallDisk>) => Course<PrivatePlace>,
): Promise<void> {
  const disk = mountSmallDisk(engine === "postgres" ? POSTGRES_MB : REDIS_MB);
  stage.t.after(disk.remove);
  const at = await startOnPrivateEngines(stage.t, { folders: { [engine]: disk.folder } });
  await sellUnderFault({ ...stage, at }, course(disk));
}

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

/** Of the running processes, or of all that PostgreSQL starts as well, its recovery included. */
function failingDisk(lasts: boolean): Course<PrivatePlace> {
  return {
    async inject({ at: { postgres }, pick, passBy, begins }) {
      const panicsBefore = panicsOf(postgres);
      await pause(pick(0, 300));
      begins();
      const disk = await failSyncs({ pid: postgres.pid, withNew: lasts });
      try {
        await until(() => panicsOf(postgres) > panicsBefore, "PostgreSQL panics");
        if (lasts) await Promise.all([passBy(), pause(FAILING_MS)]);
      } finally {
        await disk.heal();
      }
      // One whose recovery failed has ended; whoever mends the disk starts it.
      if (!isAlive(postgres.pid)) await postgres.start();
      try {
        await untilItAnswers(postgres, RECOVERED_MS_MAX);
      } catch {
        // Under strace PostgreSQL does not always hear that its recovery has died, and waits for it
        // in vain (seen in one run of two): whoever mends the disk starts it anew.
        await postgres.kill();
        await postgres.start();
      }
    },
    after: assertMet,
  };
}

/** Others may have bridged it: their batches are written again when PostgreSQL is back. */
function assertMet(sold: readonly Finished[]): void {
  for (const { sale, told, injectedMs, healedMs } of sold) {
    const met = told.filter(
      ({ sentMs, returnedMs }) => returnedMs >= injectedMs && sentMs < healedMs,
    );
    const { unknown = 0, refused = 0 } = tally(met);
    happened(!decidesInRow(sale) || unknown + refused > 0, `${sale.mechanism} met no fault`);
  }
}

function panicsOf(postgres: PrivateEngine): number {
  return logOf(postgres).match(/PANIC: .*(?:fsync|fdatasync).*Input\/output error/g)?.length ?? 0;
}
