// Facts F1, F2, F3 and F7 of docs/dictionary.md on the real engine: why v1 locks first and counts by
// a column, why the tag of COMMIT is read, and why a claim that was sent cannot be taken back.
// F5 and F6 are Redis': see engines/redis/open.test.ts and redis-counter/scripts.test.ts.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import type pg from "pg";
import type { EventId } from "@stampede/domain";
import { createTestDatabase } from "../../support/database.ts";
import { missing, until } from "@stampede/launcher/testing";
import { insertEvent, isBlocked, openClient, pidOf, readStored } from "../../support/postgres.ts";

const lockAndCount = `
  SELECT e.issued, (SELECT count(*)::integer FROM coupon_issues i WHERE i.event_id = e.id) AS counted
    FROM events e WHERE e.id = $1 FOR UPDATE`;
const count = "SELECT count(*)::integer AS counted FROM coupon_issues WHERE event_id = $1";
const insert = `
  INSERT INTO coupon_issues (event_id, seq, user_id, code, issued_at)
  VALUES ($1, 1, 'ana', '00000000000000000000000001', clock_timestamp())`;
const raiseIssued = "UPDATE events SET issued = issued + 1 WHERE id = $1";

type Sessions = {
  readonly eventId: EventId;
  /** Holds the event row's lock with one coupon issue written, neither of them committed. */
  readonly holder: pg.Client;
  readonly waiter: pg.Client;
  readonly observer: pg.Client;
};

async function openSessions(
  t: TestContext,
  { raises }: { readonly raises: boolean },
): Promise<Sessions> {
  const url = await createTestDatabase(t);
  const [holder, waiter, observer] = [
    await openClient(t, url),
    await openClient(t, url),
    await openClient(t, url),
  ];
  const eventId = await insertEvent(holder, 10);
  await holder.query("BEGIN");
  await holder.query("SELECT 1 FROM events WHERE id = $1 FOR UPDATE", [eventId]);
  await holder.query(insert, [eventId]);
  if (raises) await holder.query(raiseIssued, [eventId]);
  return { eventId, holder, waiter, observer };
}

/** Starts the statement, sees it wait for the holder, lets the holder commit, gives the answer. */
async function afterTheWait(
  { eventId, holder, waiter, observer }: Sessions,
  statement: string,
): Promise<PromiseSettledResult<pg.QueryResult<{ issued: number; counted: number }>>> {
  const pid = await pidOf(waiter);
  const waiting = Promise.allSettled([
    waiter.query<{ issued: number; counted: number }>(statement, [eventId]),
  ]);
  await until(async () => isBlocked(observer, pid), "the second session waits for the lock");
  await holder.query("COMMIT");
  return (await waiting)[0];
}

describe("PostgreSQL", { skip: missing("postgres") }, () => {
  for (const raises of [false, true]) {
    const holder = raises ? "raises `issued` as well" : "only locks and inserts";
    test(`counts 0 rows where 1 is true in the statement that locks, if the holder ${holder} (F1)`, async (t) => {
      const sessions = await openSessions(t, { raises });
      await sessions.waiter.query("BEGIN");
      const answer = await afterTheWait(sessions, lockAndCount);
      assert.ok(answer.status === "fulfilled");
      assert.equal(answer.value.rows[0]?.counted, 0);
      // The locked row itself is read anew, and so is the count in a statement of its own.
      assert.equal(answer.value.rows[0]?.issued, raises ? 1 : 0);
      const { rows } = await sessions.waiter.query(count, [sessions.eventId]);
      assert.deepEqual(rows, [{ counted: 1 }]);
    });
  }

  test("under REPEATABLE READ lets the waiter count in a snapshot older than its wait (F2)", async (t) => {
    const sessions = await openSessions(t, { raises: false });
    await sessions.waiter.query("BEGIN ISOLATION LEVEL REPEATABLE READ");
    const answer = await afterTheWait(sessions, "SELECT 1 FROM events WHERE id = $1 FOR UPDATE");
    assert.equal(answer.status, "fulfilled", "no serialization failure although a row was added");
    const { rows } = await sessions.waiter.query(count, [sessions.eventId]);
    assert.deepEqual(rows, [{ counted: 0 }]);
  });

  test("under REPEATABLE READ fails the waiter only where the locked row itself changed (F2)", async (t) => {
    const sessions = await openSessions(t, { raises: true });
    await sessions.waiter.query("BEGIN ISOLATION LEVEL REPEATABLE READ");
    const answer = await afterTheWait(sessions, "SELECT 1 FROM events WHERE id = $1 FOR UPDATE");
    assert.ok(answer.status === "rejected");
    assert.equal((answer.reason as { code: string }).code, "40001");
  });

  test("answers COMMIT of a failed transaction with success and the tag ROLLBACK (F3)", async (t) => {
    const client = await openClient(t, await createTestDatabase(t));
    const eventId = await insertEvent(client, 10);
    await client.query("BEGIN");
    await client.query(insert, [eventId]);
    await assert.rejects(client.query("SELECT 1 / 0"), { code: "22012" });
    const { command } = await client.query("COMMIT");
    assert.equal(command, "ROLLBACK");
    assert.deepEqual((await readStored(client, eventId)).seqs, []);
  });

  test("writes the row of a claim whose connection was gone before it got the lock (F7)", async (t) => {
    const { eventId, holder, waiter, observer } = await openSessions(t, { raises: false });
    const pid = await pidOf(waiter);
    const lost = assert.rejects(
      waiter.query(
        `WITH locked AS (UPDATE events SET issued = issued + 1 WHERE id = $1 RETURNING id)
         INSERT INTO coupon_issues (event_id, seq, user_id, code, issued_at)
         SELECT id, 2, 'bert', '00000000000000000000000002', clock_timestamp() FROM locked`,
        [eventId],
      ),
    );
    await until(async () => isBlocked(observer, pid), "the claim waits for the lock");
    const { connection } = waiter as unknown as { connection: { stream: { destroy: () => void } } };
    connection.stream.destroy();
    await lost;
    await holder.query(raiseIssued, [eventId]);
    await holder.query("COMMIT");
    await until(
      async () => (await readStored(observer, eventId)).persons.includes("bert"),
      "the row of the person who has gone",
    );
  });
});
