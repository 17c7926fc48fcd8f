// P7 and its kin: in the middle of a sale an event's row, or the table that every mechanism ends in, cannot
// be written, because another session holds it (statements wait) or because it is gone (they fail).
//
// Red when v2 says sold out while the last seats are only reserved (B12: `'wait'` in redis-counter/claim.lua),
// when COMMIT is sent after a lock was not given (`runTransaction` in engines/postgres/open.ts), or when a wait for
// the lock has no end (`lock_timeout` there).
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import type pg from "pg";
import type { Attempt } from "@stampede/lab";
import { until } from "@stampede/launcher/testing";
import type { FaultCase, Stage } from "../case.ts";
import type { Course, Finished } from "../course.ts";
import { finish, noteGoodClaim } from "../finish.ts";
import { marksOfAllCases } from "../marks.ts";
import { decidesInRow, MECHANISMS, queues, reserves } from "../mechanisms.ts";
import { happened } from "../notes.ts";
import type { Places, PrivatePlace } from "../places.ts";
import { logOf } from "../support/private-engines.ts";
import {
  claimUntilAnswered,
  openSale,
  people,
  readStored,
  tally,
  withDatabase,
} from "../support/sale.ts";
import type { Sale } from "../support/sale.ts";

const LIMIT = 100;
const TABLE = { people: 300, spreadMs: 12_000, awayMs: 10_000, deadlineMs: 35_000 } as const;
/** Beyond the 4 s of a wait for a lock. */
const ROW = { people: 200, heldMs: 6_000, deadlineMs: 30_000 } as const;
/** The lock's deadline is 4 s: who waited before it was held, and who came then, are both turned away. */
const LONG_HELD_MS = 10_000;

export const heldCases: readonly FaultCase[] = [
  {
    id: "P7",
    mechanisms: MECHANISMS,
    injects: "the coupons' table is gone for 10 s in mid-sale",
    holds: "all coupons are issued after it, and nobody was told wrong",
    runs: "test",
    place: "shared",
    run: async (stage) =>
      loseTable(stage, {
        inject: async (client) =>
          client.query("ALTER TABLE coupon_issues RENAME TO coupon_issues_away"),
        heal: async (client) =>
          client.query("ALTER TABLE coupon_issues_away RENAME TO coupon_issues"),
      }),
  },
  {
    id: "P7",
    mechanisms: MECHANISMS,
    injects: "the coupons' table is held by another session for 10 s in mid-sale",
    holds: "all coupons are issued after it, and nobody was told wrong",
    runs: "proof",
    place: "shared",
    run: async (stage) =>
      loseTable(stage, {
        inject: async (client) =>
          client.query("BEGIN; LOCK TABLE coupon_issues IN ACCESS EXCLUSIVE MODE"),
        heal: async (client) => client.query("ROLLBACK"),
      }),
  },
  {
    id: "P7",
    mechanisms: MECHANISMS,
    injects: "another session holds the event's row for 6000 ms in mid-sale",
    holds:
      "who waits for the row is told a sure no, and what is reserved or queued is written later",
    runs: "all",
    place: "shared",
    beside: "spared",
    run: holdRows,
  },
  {
    id: "P7",
    mechanisms: MECHANISMS,
    injects: "another session holds every event's row for 10 s, the lock's deadline being 4 s",
    holds: "who waits for the row is told a sure no, and all is issued after it",
    runs: "all",
    needs: ["proc"],
    expects: [marksOfAllCases.lockTimeout],
    place: "private",
    course: holdingRows(),
  },
];

type Shared = Stage<Places["shared"]>;

async function loseTable(
  stage: Shared,
  fault: {
    readonly inject: (client: pg.Client) => Promise<unknown>;
    readonly heal: (client: pg.Client) => Promise<unknown>;
  },
): Promise<void> {
  const sales = await openAll(stage);
  const crowds = sales.map(async (sale) => claimUntilAnswered(sale, people(TABLE.people), TABLE));
  // A fault that could not be injected ends the case before anybody awaits them.
  for (const crowd of crowds) crowd.catch(() => undefined);
  const healedMs = await withDatabase(stage.at.program, async (client) => {
    const some = async (): Promise<boolean> =>
      (await Promise.all(sales.map(readStored))).every(({ issued }) => issued > 0);
    await until(some, "every sale has begun");
    await fault.inject(client);
    // The fault itself is a length of time, not a wait for something.
    await pause(TABLE.awayMs);
    const healedMs = performance.now();
    await fault.heal(client);
    stage.injected();
    return healedMs;
  });
  for (const [n, sale] of sales.entries()) {
    const told = await crowds[n]!;
    noteGoodClaim(stage, sale, told, { healedMs });
    // S5: no row is committed while the table is away, and before it some were missing.
    const early = told.filter(
      ({ outcome, returnedMs }) => outcome === "sold-out" && returnedMs < healedMs,
    );
    assert.deepEqual(early, [], `${sale.mechanism}: told sold out while rows were missing`);
    const strange = told.filter(
      ({ status }) => ![200, 201, 202, 409, 503].includes(Number(status)),
    );
    assert.deepEqual(strange, [], sale.mechanism);
    const { refused = 0, unknown = 0 } = tally(told);
    happened(queues(sale) || refused + unknown > 0, `${sale.mechanism} met no fault`);
    await finish(stage, sale, told, { healedMs });
  }
}

async function holdRows(stage: Shared): Promise<void> {
  const sales = await openAll(stage);
  const { crowds, healedMs } = await withDatabase(stage.at.program, async (holder) => {
    await holder.query("BEGIN");
    await holder.query("SELECT 1 FROM events WHERE id = ANY ($1) FOR UPDATE", [
      sales.map(({ eventId }) => eventId),
    ]);
    stage.injected();
    const within = { spreadMs: 2 * ROW.heldMs, deadlineMs: ROW.deadlineMs };
    const crowds = sales.map(async (sale) => claimUntilAnswered(sale, people(ROW.people), within));
    await pause(ROW.heldMs);
    await holder.query("ROLLBACK");
    return { crowds, healedMs: performance.now() };
  });
  await Promise.all(
    sales.map(async (sale, n) => {
      const told = await crowds[n]!;
      assertKinds(sale, told);
      noteGoodClaim(stage, sale, told, { healedMs });
      await finish(stage, sale, told, { healedMs });
    }),
  );
}

function assertKinds(sale: Sale, told: readonly Attempt[]): void {
  const { refused = 0, unknown = 0 } = tally(told);
  const counts = `${sale.mechanism}: ${JSON.stringify(tally(told))}`;
  if (decidesInRow(sale)) {
    happened(refused > 0, `the bounded wait for the lock met nobody: ${counts}`);
    assert.equal(unknown, 0, `COMMIT was never sent: ${counts}`);
  }
  if (reserves(sale)) assert.ok(unknown > 0, `reserved is not refused: ${counts}`);
  if (queues(sale)) assert.equal(refused + unknown, 0, `the door is open: ${counts}`);
}

async function openAll({ at, mechanisms }: Shared): Promise<readonly Sale[]> {
  return Promise.all(
    mechanisms.map(async (mechanism) => openSale(at.program, { mechanism, limit: LIMIT })),
  );
}

function holdingRows(): Course<PrivatePlace> {
  return {
    inject: async ({ at, sales, met, begins, ends }) =>
      withDatabase(at.program, async (holder) => {
        await holder.query("BEGIN");
        await holder.query("SELECT 1 FROM events WHERE id = ANY ($1) FOR UPDATE", [
          sales.map(({ sale }) => sale.eventId),
        ]);
        begins();
        await pause(LONG_HELD_MS);
        ends();
        await holder.query("ROLLBACK");
        if (/canceling statement due to lock timeout/.test(logOf(at.postgres))) {
          met(marksOfAllCases.lockTimeout);
        }
      }),
    after: assertOnlyKinds,
  };
}

/** What was committed before the fault has been told by then. */
const TOLD_MS_MAX = 1_000;

/** While the fault lasted nobody was answered otherwise, whenever they had come. */
function assertOnlyKinds(sold: readonly Finished[]): void {
  for (const { sale, told, injectedMs, healedMs } of sold) {
    const answered = told.filter(
      ({ returnedMs }) => returnedMs > injectedMs + TOLD_MS_MAX && returnedMs <= healedMs,
    );
    happened(answered.length > 0, `${sale.mechanism}: nobody met the fault`);
    if (reserves(sale)) continue;
    const allowed = queues(sale) ? "queued" : "refused";
    const others = Object.keys(tally(answered)).filter((kind) => kind !== allowed);
    assert.deepEqual(others, [], sale.mechanism);
  }
}
