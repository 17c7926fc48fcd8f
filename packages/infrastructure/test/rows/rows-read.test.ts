// How many rows a question about persons reads. PostgreSQL guesses how many rows an event has from
// statistics that are minutes old, or that a new table does not have at all: whatever it guesses, a
// batch of claims may not read the event's other rows, or a large sale becomes slower with each coupon.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import type { EventId } from "@stampede/domain";
import { readUnderLock } from "../../src/rows/coupon-issues.ts";
import { readIssuesOf } from "../../src/rows/directory-rows.ts";
import type { Sql } from "../../src/engines/postgres/open.ts";
import { openTestDatabase } from "../support/database.ts";
import { insertEvent, openClient } from "../support/postgres.ts";
import { person } from "../support/sale.ts";
import { missing } from "@stampede/launcher/testing";

const ROWS = 20_000;
const ASKED = 500;

/** An event of many rows, in a table whose statistics are as old as told. */
async function open(t: TestContext, statistics: "none" | "of many small events") {
  const { postgres, url } = await openTestDatabase(t);
  const client = await openClient(t, url);
  await client.query("ALTER TABLE coupon_issues SET (autovacuum_enabled = off)");
  const addRows = async (eventId: EventId, rows: number): Promise<unknown> =>
    client.query(
      `INSERT INTO coupon_issues (event_id, seq, user_id, code, issued_at)
       SELECT $1::text, n, 'winner-' || n, upper(substr(md5($1::text || n), 1, 26)), clock_timestamp()
         FROM generate_series(1, $2::integer) AS n`,
      [eventId, rows],
    );
  if (statistics === "of many small events") {
    for (let n = 0; n < 100; n += 1) await addRows(await insertEvent(client, 10), 10);
    await client.query("ANALYZE coupon_issues");
  }
  const eventId = await insertEvent(client, ROWS);
  await addRows(eventId, ROWS);
  /** Rows of the table and entries of its indexes that `ask` reads. */
  const readsOf = async (ask: (sql: Sql) => Promise<unknown>): Promise<number> =>
    postgres.transaction(async (sql) => {
      await ask(sql);
      const reads = await sql.query<{ rows: number }>(
        `SELECT (seq_tup_read + idx_tup_fetch)::float8 AS rows FROM pg_stat_xact_user_tables
          WHERE relname = 'coupon_issues'`,
      );
      return reads[0]?.rows ?? Number.NaN;
    });
  return { eventId, readsOf };
}

describe("a question about persons", { skip: missing("postgres") }, () => {
  const strangers = Array.from({ length: ASKED }, (_, n) => person(`stranger-${n}`));
  const questions = {
    "under the event's lock": async (sql: Sql, eventId: EventId) =>
      readUnderLock(sql, eventId, strangers),
    "of the directory": async (sql: Sql, eventId: EventId) =>
      readIssuesOf(
        sql,
        strangers.map((userId) => ({ eventId, userId })),
      ),
  };
  for (const statistics of ["none", "of many small events"] as const) {
    for (const [title, ask] of Object.entries(questions)) {
      test(`${title} reads their rows alone, with statistics: ${statistics}`, async (t) => {
        const { eventId, readsOf } = await open(t, statistics);
        const reads = await readsOf(async (sql) => ask(sql, eventId));
        assert.ok(reads <= ASKED, `${reads} rows were read for ${ASKED} persons without one`);
      });
    }
  }
});
