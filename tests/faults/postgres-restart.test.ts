// P1, P2: PostgreSQL is restarted, and killed with all its sessions, in the middle of a sale of each
// mechanism. While it is away v1 and v2 say a sure no, v3 goes on queueing; no committed row is lost.
//
// Red when v2 reserves while PostgreSQL is away (`postgres.isUp()` in redis/claim-line.ts: B20), and
// when v3's door needs the database for an event that it knows (`directory.fresh`).
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { marks } from "./marks.ts";
import { logOf, startOnPrivateEngines } from "./support/private-engines.ts";
import type { PrivateEngine } from "./support/private-engines.ts";
import { procMissing } from "./support/processes.ts";
import { engineMissing, MECHANISMS } from "./support/sale.ts";
import { PASSERS_BY, sellUnderFault } from "./support/sale-under-fault.ts";
import { untilEngine } from "./support/service-state.ts";

/** How long it stays away after the service has noticed. */
const AWAY_MS = 500;
const GOOD_CLAIM_MS_MAX = 5_000;

const rows = [
  {
    row: "P1",
    fault: "PostgreSQL is stopped (fast) and started again in mid-sale",
    take: async (postgres: PrivateEngine) => postgres.stop(),
    expects: [marks.sessionEnded],
  },
  {
    row: "P2",
    fault: "SIGKILL of PostgreSQL's postmaster and all its children in mid-sale",
    take: async (postgres: PrivateEngine) => postgres.kill(),
    expects: [],
  },
] as const;

test(
  "PostgreSQL goes away in the middle of a sale",
  { skip: engineMissing || procMissing },
  async (t) => {
    const at = await startOnPrivateEngines(t);
    for (const { row, fault, take, expects } of rows) {
      await t.test(`${row}: ${fault}; no row is lost, nobody is told wrong`, async (t) => {
        await sellUnderFault(t, at, {
          row,
          fault,
          expects,
          mechanisms: MECHANISMS,
          goodClaimMsMax: GOOD_CLAIM_MS_MAX,
          async inject(sales, passBy) {
            const injectedMs = performance.now();
            await take(at.postgres);
            await untilEngine(at.program, "postgres", "down");
            assert.deepEqual(await passBy(), {
              "row-lock": { refused: PASSERS_BY },
              "redis-counter": { refused: PASSERS_BY },
              "kafka-queue": { queued: PASSERS_BY },
            });
            await pause(AWAY_MS);
            await at.postgres.start();
            if (/terminating connection due to administrator command/.test(logOf(at.postgres))) {
              for (const sale of sales) sale.row.met(marks.sessionEnded);
            }
            return { injectedMs, healedMs: performance.now() };
          },
        });
      });
    }
  },
);
