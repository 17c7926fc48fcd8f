// P7, P13: another session holds every event's row for longer than our deadline for locks, and
// statements fail as after a deadlock or a serialization failure, in mid-sale of each mechanism.
//
// P7 is red when COMMIT is sent after a lock was not given (`runTransaction` in postgres/open.ts), P13
// when a transaction that was rolled back (class 40) is told as unknown, or not tried again.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { marksOfAllRows } from "./marks.ts";
import { logOf, startOnPrivateEngines } from "./support/private-engines.ts";
import { procMissing } from "./support/processes.ts";
import { engineMissing, MECHANISMS, readStored, tally, withDatabase } from "./support/sale.ts";
import { answersBetween, sellUnderFault } from "./support/sale-under-fault.ts";
import type { FaultSale } from "./support/sale-under-fault.ts";

/** The lock's deadline is 4 s: who waited before it was held, and who came then, are both turned away. */
const HELD_MS = 10_000;
const FAILING_MS = 2_000;
const GOOD_CLAIM_MS_MAX = 5_000;

const skip = engineMissing || procMissing;

test("PostgreSQL's statements fail in the middle of a sale", { skip }, async (t) => {
  const at = await startOnPrivateEngines(t);

  await t.test(
    "P7: every event's row is held for ten seconds: a sure no of v1, all issued after it",
    async (t) => {
      const sold = await sellUnderFault(t, at, {
        row: "P7",
        fault: "another session holds every event's row for 10 s, the lock's deadline being 4 s",
        mechanisms: MECHANISMS,
        expects: [marksOfAllRows.lockTimeout],
        goodClaimMsMax: GOOD_CLAIM_MS_MAX,
        inject: async (sales) =>
          withDatabase(at.program, async (holder) => {
            await holder.query("BEGIN");
            await holder.query("SELECT 1 FROM events WHERE id = ANY ($1) FOR UPDATE", [
              sales.map(({ sale }) => sale.eventId),
            ]);
            const injectedMs = performance.now();
            await pause(HELD_MS);
            const healedMs = performance.now();
            await holder.query("ROLLBACK");
            const waited = logOf(at.postgres).match(/canceling statement due to lock timeout/g);
            for (const { row } of waited === null ? [] : sales) row.met(marksOfAllRows.lockTimeout);
            return { injectedMs, healedMs };
          }),
      });
      assertOnlyKinds(sold, { "row-lock": ["refused"], "kafka-queue": ["queued"] });
    },
  );

  await t.test(
    "P13: two of three inserts end in 40001 or 40P01: all is tried again, nothing twice",
    async (t) => {
      await sellUnderFault(t, at, {
        row: "P13",
        fault: "two of three statements that add coupon issues fail with 40001 or 40P01, for 2 s",
        mechanisms: MECHANISMS,
        expects: [marksOfAllRows.serializationFailure, "40P01"],
        goodClaimMsMax: GOOD_CLAIM_MS_MAX,
        inject: async (sales) =>
          withDatabase(at.program, async (client) => {
            const before = await issuedOf(sales);
            await client.query(insertsFail);
            const injectedMs = performance.now();
            await pause(FAILING_MS);
            await client.query("DROP FUNCTION fail() CASCADE; DROP SEQUENCE tries");
            const healedMs = performance.now();
            const after = await issuedOf(sales);
            assert.ok(
              after.every((issued, n) => issued > before[n]!),
              "the sales went on",
            );
            for (const { row, sale, told } of sales) {
              for (const state of ["40001", "40P01"]) {
                if (logOf(at.postgres).includes(`planted ${state}`)) row.met(state);
              }
              const { unknown = 0 } = answersBetween(told, injectedMs, healedMs);
              assert.equal(unknown, 0, `${sale.mechanism}: a rollback is no unknown outcome`);
            }
            return { injectedMs, healedMs };
          }),
      });
    },
  );
});

/** A sequence does not roll back: of three statements in a row one succeeds, whoever sends them. */
const insertsFail = `
  CREATE SEQUENCE tries;
  CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      CASE nextval('tries') % 3
        WHEN 0 THEN RAISE EXCEPTION 'planted 40001' USING ERRCODE = '40001';
        WHEN 1 THEN RAISE EXCEPTION 'planted 40P01' USING ERRCODE = '40P01';
        ELSE RETURN NULL;
      END CASE;
    END $$;
  CREATE TRIGGER insert_fails BEFORE INSERT ON coupon_issues
    FOR EACH STATEMENT EXECUTE FUNCTION fail();`;

async function issuedOf(sales: readonly FaultSale[]): Promise<readonly number[]> {
  return Promise.all(sales.map(async ({ sale }) => (await readStored(sale)).issued));
}

/** What was committed before the fault has been told by then. */
const TOLD_MS_MAX = 1_000;

/** While the fault lasted nobody was answered otherwise, whenever they had come. */
function assertOnlyKinds(
  sold: Awaited<ReturnType<typeof sellUnderFault>>,
  allowed: Readonly<Record<string, readonly string[]>>,
): void {
  for (const { sale, told, injectedMs, healedMs } of sold) {
    const answered = told.filter(
      ({ returnedMs }) => returnedMs > injectedMs + TOLD_MS_MAX && returnedMs <= healedMs,
    );
    const kinds = Object.keys(tally(answered));
    const right = allowed[sale.mechanism] ?? kinds;
    assert.deepEqual(
      kinds.filter((kind) => !right.includes(kind)),
      [],
      sale.mechanism,
    );
    assert.ok(kinds.length > 0, `${sale.mechanism}: nobody met the fault`);
  }
}
