// P3, P5, P14: the sessions that hold an event's row are ended in mid-transaction, other sessions take
// every connection that PostgreSQL has, and COMMIT itself fails, in the middle of a sale of each
// mechanism. (COMMIT that succeeds with the tag ROLLBACK: infrastructure/test/postgres/open.test.ts.
// Nothing but a fault of the service's own brings it about.)
//
// P3 is red when a transaction that was ended is not begun anew by whoever owes the rows: the
// reconciler (`new infrastructure.Reconciler` in main.ts) or the decider (`decideLog`). P5 is red when
// v2 reserves while no session can be had (`postgres.isUp()` in redis/claim-line.ts),
// P14 when somebody is answered before COMMIT was (`runTransaction` in postgres/open.ts).
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import type pg from "pg";
import type { Program } from "../support/program.ts";
import { marks } from "./marks.ts";
import { waitingWriters, withWritesHeld } from "./support/held-row.ts";
import { takeAllConnections } from "./support/postgres-connections.ts";
import { startOnPrivateEngines } from "./support/private-engines.ts";
import { procMissing } from "./support/processes.ts";
import { engineMissing, MECHANISMS, until, withDatabase } from "./support/sale.ts";
import { answersBetween, PASSERS_BY, sellUnderFault } from "./support/sale-under-fault.ts";
import { untilEngine } from "./support/service-state.ts";

const CONNECTIONS_MAX = 40;
const ROUNDS = 3;
const HELD_MS = 1_000;
const GOOD_CLAIM_MS_MAX = 5_000;
/** Whoever finds no session is told so within this time. */
const ANSWER_MS_MAX = 8_000;

const skip = engineMissing || procMissing;

test("PostgreSQL's sessions are taken away in the middle of a sale", { skip }, async (t) => {
  const settings = { max_connections: String(CONNECTIONS_MAX), track_commit_timestamp: "on" };
  const at = await startOnPrivateEngines(t, { settings });

  await t.test(
    "P3: whoever holds an event's row is ended: the next goes on, no row is lost",
    async (t) => {
      await sellUnderFault(t, at, {
        row: "P3",
        fault: "pg_terminate_backend on every session that holds an event's row, three times",
        mechanisms: MECHANISMS,
        expects: [marks.sessionEnded],
        goodClaimMsMax: GOOD_CLAIM_MS_MAX,
        async inject(sales) {
          const injectedMs = performance.now();
          for (let round = 1; round <= ROUNDS; round += 1) {
            await endLockHolders(at.program, sales.length);
            for (const { row } of sales) row.met(marks.sessionEnded);
          }
          return { injectedMs, healedMs: performance.now() };
        },
      });
    },
  );

  await t.test(
    "P5: other sessions hold every connection: a sure no in time, v3 queues on",
    async (t) => {
      const sold = await sellUnderFault(t, at, {
        row: "P5",
        fault: "other sessions hold every connection of PostgreSQL",
        mechanisms: MECHANISMS,
        expects: [marks.poolExhausted],
        goodClaimMsMax: GOOD_CLAIM_MS_MAX,
        async inject(sales, passBy) {
          const injectedMs = performance.now();
          const holders: pg.Client[] = [];
          try {
            await takeAllConnections(at.postgres.url, holders);
            await untilEngine(at.program, "postgres", "down");
            for (const { row } of sales) row.met(marks.poolExhausted);
            assert.deepEqual(await passBy(), {
              "row-lock": { refused: PASSERS_BY },
              "redis-counter": { refused: PASSERS_BY },
              "kafka-queue": { queued: PASSERS_BY },
            });
            // The fault itself is a length of time, not a wait for something.
            await pause(HELD_MS);
          } finally {
            await Promise.all(holders.map(async (holder) => holder.end()));
          }
          const healedMs = performance.now();
          return { injectedMs, healedMs };
        },
      });
      for (const { sale, told, injectedMs, healedMs } of sold) {
        const waits = told
          .filter(({ sentMs }) => sentMs >= injectedMs && sentMs < healedMs)
          .map(({ sentMs, returnedMs }) => returnedMs - sentMs);
        assert.ok(
          Math.max(...waits) < ANSWER_MS_MAX,
          `${sale.mechanism}: ${Math.max(...waits)} ms`,
        );
      }
    },
  );

  await t.test(
    "P14: COMMIT fails for a second: nobody is told issued, and all is issued after it",
    async (t) => {
      const sold = await sellUnderFault(t, at, {
        row: "P14",
        fault: "every COMMIT that adds a coupon issue is answered by an error",
        mechanisms: MECHANISMS,
        goodClaimMsMax: GOOD_CLAIM_MS_MAX,
        async inject() {
          await administer(at.program, commitFails);
          const injectedMs = performance.now();
          // The fault itself is a length of time, not a wait for something.
          await pause(HELD_MS);
          const healedMs = performance.now();
          await administer(at.program, "DROP FUNCTION fail() CASCADE");
          return { injectedMs, healedMs };
        },
      });
      for (const { sale, told, injectedMs, healedMs } of sold) {
        const { issued = 0, unknown = 0 } = answersBetween(told, injectedMs, healedMs);
        assert.equal(issued, 0, sale.mechanism);
        assert.equal(
          unknown > 0,
          sale.mechanism !== "kafka-queue",
          `${sale.mechanism}: ${unknown}`,
        );
      }
    },
  );
});

/** A check that PostgreSQL makes at the very end: the COMMIT that meets it is rolled back. */
const commitFails = `
  CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'planted: this commit fails'; END $$;
  CREATE CONSTRAINT TRIGGER commit_fails AFTER INSERT ON coupon_issues
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail();`;

async function administer(program: Program, statements: string): Promise<void> {
  await withDatabase(program, async (client) => client.query(statements));
}

/**
 * Lets every sale's writer take its event's row and wait for the table behind it, and ends it there,
 * again and again; how many sessions were ended.
 */
async function endLockHolders(program: Program, writers: number): Promise<number> {
  return withWritesHeld(program, writers, async (client) => {
    let ended = 0;
    for (let round = 1; round <= ROUNDS; round += 1) {
      let pids: readonly number[] = [];
      await until(async () => {
        pids = await waitingWriters(client);
        return pids.length >= writers;
      }, "every sale's writer holds its row");
      for (const pid of pids) await client.query("SELECT pg_terminate_backend($1)", [pid]);
      ended += pids.length;
      // Whoever is still there was not ended yet, and must not be counted twice.
      await until(async () => {
        const left = await waitingWriters(client);
        return !left.some((pid) => pids.includes(pid));
      }, "they are gone");
    }
    return ended;
  });
}
