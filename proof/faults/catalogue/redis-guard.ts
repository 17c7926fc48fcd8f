// R2: Redis loses everything while the rows of older reservations are on their way. It is rebuilt from
// the few rows that are there, lets as many others in again, and then the older rows are committed: the
// guard in PostgreSQL refuses the others, who are told the truth.
//
// Red when rows are written by what Redis counted and not by the locked row (`decideClaim` in
// rows/coupon-issues.ts): the table's own CHECK then fails those claims as unknown.
import assert from "node:assert/strict";
import type { Attempt } from "@stampede/lab";
import { until } from "@stampede/launcher/testing";
import type { Program } from "../../support/program.ts";
import type { FaultCase } from "../case.ts";
import { finish } from "../finish.ts";
import { marks } from "../marks.ts";
import { REDIS_MECHANISMS, only } from "../mechanisms.ts";
import { blockedSessions, waitingWriters, withWritesHeld } from "../support/held-row.ts";
import { redisCommand } from "../support/redis-command.ts";
import { claimAtOnce, openSale, people, tally, withDatabase } from "../support/sale.ts";
import { counted } from "../support/service-state.ts";

const LIMIT = 100;
const REFUSED = 'stampede_reconciler_repairs_total{kind="refused"}';

export const guardCase: FaultCase = {
  id: "R2",
  mechanisms: REDIS_MECHANISMS,
  apart: true,
  injects: "FLUSHALL while the rows of reservations wait; as many others are let in before them",
  holds: "whom Redis lets in a second time is refused by the guard, and told sold out",
  runs: "proof",
  needs: ["proc"],
  expects: [marks.rebuilt, marks.refusedByGuard],
  // A Redis that others use must not be emptied.
  place: "private",
  // It waits for its own writers: nobody else may write then.
  beside: "still",
  async run(stage) {
    const { program, redis } = stage.at;
    const sale = await openSale(program, { mechanism: only(stage), limit: LIMIT });
    const held = async (): Promise<unknown> =>
      redisCommand(redis.url, "HLEN", `stampede:{${sale.eventId}}:persons`);
    const [first, ...older] = people(LIMIT);
    const refusedBefore = await counted(program, REFUSED);
    const crowds: Promise<Attempt[]>[] = [];
    // The first one's transaction waits for the table; the reservations of all others wait behind it.
    await withDatabase(program, async (second) => {
      await withWritesHeld(program, 0, async (holder) => {
        crowds.push(claimAtOnce(sale, [first!]));
        await until(async () => (await waitingWriters(holder)).length === 1, "the first row waits");
        crowds.push(claimAtOnce(sale, older));
        await until(async () => (await held()) === LIMIT, "everything is reserved");
        await redisCommand(redis.url, "FLUSHALL");
        stage.injected();
        crowds.push(claimAtOnce(sale, people(LIMIT)));
        // The rebuild is next at the event's row, and this session at the table: behind the first
        // row, in front of all others.
        await until(async () => (await blockedSessions(program)) >= 2, "the rebuild waits");
        await second.query("BEGIN");
        void second.query("LOCK TABLE coupon_issues IN EXCLUSIVE MODE").catch(() => undefined);
        await until(async () => (await waitingLocks(program)) === 1, "the table is asked for");
      });
      await until(async () => (await held()) === LIMIT, "as many are let in once more");
      stage.met(marks.rebuilt);
      await second.query("ROLLBACK");
    });
    const healedMs = performance.now();
    const told = (await Promise.all(crowds)).flat();
    const { issued = 0, "sold-out": soldOut = 0 } = tally(told);
    assert.deepEqual({ issued, soldOut }, { issued: LIMIT, soldOut: LIMIT });
    if ((await counted(program, REFUSED)) > refusedBefore) stage.met(marks.refusedByGuard);
    await finish(stage, sale, told, { healedMs });
  },
};

/** Sessions that wait for the whole table. */
async function waitingLocks(program: Program): Promise<number> {
  return withDatabase(program, async (client) => {
    const { rowCount } = await client.query(
      `SELECT 1 FROM pg_locks
        WHERE NOT granted AND relation = 'coupon_issues'::regclass AND mode = 'ExclusiveLock'`,
    );
    return rowCount ?? 0;
  });
}
