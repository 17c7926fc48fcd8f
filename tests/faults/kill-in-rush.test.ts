// A1-A6, K10, K11: SIGKILL of the server in the middle of a rush, for each mechanism.
//
// The kills in mid-answer: whatever was told must be true of the rows afterwards, with people between
// every two steps. They do not find an answer before the COMMIT: the kill would have to hit the
// millisecond between the two (a mutant stayed green). Tests that hold the COMMIT find it: planted bug
// B8. The kill between decision and rows: red when the reconciler never starts
// (`new infrastructure.Reconciler` in main.ts: what was reserved and not written leaks), or when the
// decider starts from anywhere but the mark in PostgreSQL (`takeOver` in kafka/decide-batch.ts).
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Attempt } from "@stampede/lab";
import { startProgram } from "../support/program.ts";
import type { Program } from "../support/program.ts";
import { faultRow, faultRows } from "./support/row.ts";
import type { Row } from "./support/row.ts";
import {
  askEverybody,
  claimAtOnce,
  engineMissing,
  MECHANISMS,
  openSale,
  people,
  readStored,
  tally,
  unsettled,
  until,
  verdict,
  withDatabase,
} from "./support/sale.ts";
import type { Sale } from "./support/sale.ts";

const PEOPLE = 1_500;
const LIMIT = 100;
/**
 * A fast server has answered everybody before a busy crowd has read its thirtieth answer: so some
 * must still be coming when the kill hits.
 */
const SPREAD_MS = 300;
const SERVED_BEFORE = 10;
/** The first kill hits while coupons are given out, the second where most are answered already. */
const EARLY_ANSWERS = 30;
const LATER_ANSWERS = 500;

describe("a server that is killed in the middle of a rush", { skip: engineMissing }, () => {
  for (const mechanism of MECHANISMS) {
    test(`${mechanism}: whatever was told before and after both kills is true`, async (t) => {
      const fault = "SIGKILL of the service in the middle of a rush, twice";
      const row = faultRow(t, { row: "A1", mechanism, fault });
      const program = await startProgram(t);
      const sale = await openSale(program, { mechanism, limit: LIMIT });
      const persons = people(PEOPLE);
      const told: Attempt[] = [];
      for (const answersMax of [EARLY_ANSWERS, LATER_ANSWERS]) {
        const kills: Promise<void>[] = [];
        const attempts = await claimAtOnce(sale, persons, {
          spreadMs: SPREAD_MS,
          onAnswer(answers) {
            if (answers === answersMax) kills.push(program.kill());
          },
        });
        await Promise.all(kills);
        const cut = attempts.filter(({ outcome }) => outcome === "unknown").length;
        assert.ok(cut > 0, `the kill hit nobody: ${JSON.stringify(tally(attempts))}`);
        assert.ok(cut < PEOPLE, "some were answered before the kill");
        row.injected();
        told.push(...attempts);
        await program.restart();
      }
      await finish(row, sale, { persons, before: told });
    });
  }

  // A2, A4, K11: v1 has its lock, v2 its reservations, v3 its records, and no row is written yet.
  test("loses nothing between the decision and the rows, of any mechanism", async (t) => {
    const fault = "SIGKILL of the service while the coupons' table is held before its first row";
    const rows = faultRows(t, [
      { row: "A2", mechanism: "row-lock", fault },
      { row: "A4", mechanism: "redis-counter", fault },
      { row: "K11", mechanism: "kafka-queue", fault },
    ]);
    const program = await startProgram(t);
    const crowds: Crowd[] = [];
    for (const mechanism of MECHANISMS) {
      const sale = await openSale(program, { mechanism, limit: LIMIT });
      // Some are served before, so that no sale starts over from nothing.
      const first = await claimAtOnce(sale, people(SERVED_BEFORE));
      await until(async () => (await readStored(sale)).issued === SERVED_BEFORE, "the first rows");
      crowds.push({ sale, first, persons: people(PEOPLE / MECHANISMS.length) });
    }
    const told = await killWhileWriting(program, crowds);
    // Nobody can have been told "issued": the table was held from before their claims.
    const outcomes = told.map((attempts) => Object.keys(tally(attempts)).join());
    assert.deepEqual(outcomes, ["unknown", "unknown", "queued"]);
    // v1's transactions are rolled back; what v2 reserved and v3 queued needs nobody to ask again.
    const healedMs = performance.now();
    for (const [n, { sale }] of crowds.entries()) {
      rows[n]!.injected();
      if (sale.mechanism === "row-lock") continue;
      await until(async () => (await readStored(sale)).issued === LIMIT, `${sale.mechanism}: L1`);
      rows[n]!.recovered("L1", performance.now() - healedMs);
    }
    for (const [n, { sale, first, persons }] of crowds.entries()) {
      await finish(rows[n]!, sale, { persons, before: [...first, ...told[n]!] });
    }
  });
});

type Crowd = {
  readonly sale: Sale;
  readonly first: readonly Attempt[];
  readonly persons: readonly string[];
};

/** Kills the program when every sale has decided something that it cannot write. */
async function killWhileWriting(
  program: Program,
  crowds: readonly Crowd[],
): Promise<readonly Attempt[][]> {
  const told = await withDatabase(program, async (holder) => {
    await holder.query("BEGIN");
    await holder.query("LOCK TABLE coupon_issues IN EXCLUSIVE MODE");
    const claims = crowds.map(async ({ sale, persons }) => claimAtOnce(sale, persons));
    await until(async () => (await waitingWriters(program)) >= crowds.length, "all wait to write");
    // Kafka's people are told their place whatever becomes of the rows.
    await claims[crowds.findIndex(({ sale }) => sale.mechanism === "kafka-queue")];
    await program.kill();
    return Promise.all(claims);
  });
  await program.restart();
  return told;
}

async function waitingWriters(program: Program): Promise<number> {
  return withDatabase(program, async (client) => {
    const { rowCount } = await client.query(
      `SELECT 1 FROM pg_stat_activity WHERE datname = current_database()
          AND query ~ 'INSERT INTO coupon_issues' AND cardinality(pg_blocking_pids(pid)) > 0`,
    );
    return rowCount ?? 0;
  });
}

/** Everybody claims again, and asks; then everything that anybody was ever told is judged. */
async function finish(
  row: Row,
  sale: Sale,
  { persons, before }: { readonly persons: readonly string[]; readonly before: readonly Attempt[] },
): Promise<void> {
  const again = await claimAtOnce(sale, persons);
  assert.deepEqual(
    again.filter(({ outcome }) => outcome === "refused" || outcome === "unknown"),
    [],
  );
  const claims = [...before, ...again];
  const answeredMs = performance.now();
  const asked = await askEverybody(sale, claims);
  assert.deepEqual(unsettled(asked), []);
  row.recovered("L2", performance.now() - answeredMs);
  const { violations, stored } = await verdict(sale, [...claims, ...asked]);
  row.judged(claims, violations.length);
  assert.deepEqual(violations, []);
  assert.equal(stored.rows.length, LIMIT);
}
