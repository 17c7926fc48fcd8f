// The tables have the last word: whatever Redis or Kafka lose, forget or repeat, and whatever our own
// code gets wrong, these rows are refused by the real engine, each by the constraint that is meant.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import {
  COUPONS_MAX,
  NAME_CHARACTERS_MAX,
  PACE_PER_SECOND_MAX,
  parseEventId,
  parseUserId,
} from "@stampede/domain";
import pg from "pg";
import { createTestDatabase } from "../support/database.ts";
import { missing } from "@stampede/launcher/testing";

const skip = missing("postgres");

type Row = Readonly<Record<string, unknown>>;

const spring: Row = {
  id: "spring",
  name: "Spring",
  mechanism: "row-lock",
  limit_quantity: 2,
  issued: 0,
  opens_at: "2026-12-01T00:00:00.000Z",
};

/** A coupon issue of spring, lawful on its own; codes and persons by number. */
function issue(seq: number, fields: Row = {}): Row {
  return {
    event_id: "spring",
    seq,
    user_id: `person-${seq}`,
    code: String(seq).padStart(26, "0"),
    issued_at: "2026-12-01T00:00:01.000Z",
    ...fields,
  };
}

/** A client on a migrated database of the test's own, where spring exists. */
async function openSpring(t: TestContext): Promise<pg.Client> {
  // Registered before the database's own hook: the client is closed before its database is dropped.
  const closing = new AsyncDisposableStack();
  t.after(async () => closing.disposeAsync());
  const client = new pg.Client({ connectionString: await createTestDatabase(t) });
  await client.connect();
  closing.defer(async () => client.end());
  await insert(client, "events", spring);
  return client;
}

async function insert(client: pg.Client, table: string, row: Row): Promise<void> {
  const columns = Object.keys(row);
  const places = columns.map((_, index) => `$${index + 1}`);
  await client.query(
    `INSERT INTO ${table} (${columns.join(", ")}) VALUES (${places.join(", ")})`,
    Object.values(row),
  );
}

/** The name of the constraint that refuses, null where nothing does; any other error is thrown. */
async function refusal(work: Promise<unknown>): Promise<string | null> {
  try {
    await work;
    return null;
  } catch (error) {
    if (error instanceof pg.DatabaseError && error.constraint !== undefined)
      return error.constraint;
    throw error;
  }
}

async function count(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ count: number }>(
    "SELECT count(*)::integer AS count FROM coupon_issues",
  );
  return rows[0]?.count ?? -1;
}

describe("the table of coupon issues", { skip }, () => {
  test("refuses a second coupon of one number, one person or one code", async (t) => {
    const client = await openSpring(t);
    await insert(client, "coupon_issues", issue(1));
    for (const [row, constraint] of [
      [issue(2, { seq: 1 }), "coupon_issues_pkey"],
      [issue(2, { user_id: "person-1" }), "coupon_issues_event_id_user_id_key"],
      [issue(2, { code: issue(1)["code"] }), "coupon_issues_code_key"],
    ] as const) {
      assert.equal(await refusal(insert(client, "coupon_issues", row)), constraint);
    }
    assert.equal(await count(client), 1);
    await insert(client, "coupon_issues", issue(2));
  });

  test("refuses one code for two events, but gives a person one coupon of each", async (t) => {
    const client = await openSpring(t);
    await insert(client, "events", { ...spring, id: "summer" });
    await insert(client, "coupon_issues", issue(1));
    const there = issue(1, { event_id: "summer" });
    assert.equal(await refusal(insert(client, "coupon_issues", there)), "coupon_issues_code_key");
    await insert(client, "coupon_issues", { ...there, code: "Z".repeat(26) });
    assert.equal(await count(client), 2);
  });

  test("refuses a number below 1, a negative ticket, and an event that does not exist", async (t) => {
    const client = await openSpring(t);
    for (const [row, constraint] of [
      [issue(0), "coupon_issues_seq_check"],
      [issue(1, { ticket: -1 }), "coupon_issues_ticket_check"],
      [issue(1, { event_id: "autumn" }), "coupon_issues_event_id_fkey"],
    ] as const) {
      assert.equal(await refusal(insert(client, "coupon_issues", row)), constraint);
    }
    await insert(client, "coupon_issues", issue(1, { ticket: 0 }));
  });

  test("takes the codes of the domain's alphabet and no others", async (t) => {
    const client = await openSpring(t);
    for (const code of ["", "0".repeat(25), "0".repeat(27), "a".repeat(26), `${"0".repeat(25)}O`]) {
      const refused = await refusal(insert(client, "coupon_issues", issue(1, { code })));
      assert.equal(refused, "coupon_issues_code_check", code);
    }
    await insert(client, "coupon_issues", issue(1, { code: "0123456789ABCDEFGHJKMNPQRS" }));
    await insert(client, "coupon_issues", issue(2, { code: "TVWXYZ0123456789ABCDEFGHJK" }));
  });

  test("takes exactly the persons that the domain takes, and keeps those apart that it does", async (t) => {
    const client = await openSpring(t);
    const people = ["ana", "Ana", "ANA", "a.na", "a_na", "~", "@", "-", "u".repeat(255)];
    people.push(
      "auth0|ana",
      "a:b",
      "a,b",
      "{a,b}",
      `"'\\`,
      "%_",
      "!",
      "a+b@c",
      "https://id/?u=1#x",
    );
    const nobody = [
      "",
      " ana",
      "ana ",
      "ana\n",
      "a na",
      "u".repeat(256),
      "a\u007f",
      "a\u0080",
      "ána",
      "a\u0301na",
      "ａna",
    ];
    let seq = 0;
    for (const userId of [...people, ...nobody]) {
      seq += 1;
      const row = issue(seq, { user_id: userId });
      const expected = parseUserId(userId) === null ? "coupon_issues_user_id_check" : null;
      assert.equal(await refusal(insert(client, "coupon_issues", row)), expected, userId);
    }
    assert.equal(await count(client), people.length);
  });

  test("keeps nothing of a transaction in which one row was refused", async (t) => {
    const client = await openSpring(t);
    await client.query("BEGIN");
    await insert(client, "coupon_issues", issue(1));
    await client.query("UPDATE events SET issued = 1 WHERE id = 'spring'");
    const refused = await refusal(insert(client, "coupon_issues", issue(1)));
    assert.equal(refused, "coupon_issues_pkey");
    // The command tag tells what COMMIT has really done.
    assert.equal((await client.query("COMMIT")).command, "ROLLBACK");
    assert.equal(await count(client), 0);
  });

  test("does not let go of an event that has coupon issues", async (t) => {
    const client = await openSpring(t);
    await insert(client, "coupon_issues", issue(1));
    const deletion = client.query("DELETE FROM events WHERE id = 'spring'");
    assert.equal(await refusal(deletion), "coupon_issues_event_id_fkey");
  });
});

describe("the table of events", { skip }, () => {
  test("never counts more coupons than the limit, nor fewer than none", async (t) => {
    const client = await openSpring(t);
    const set = async (issued: number): Promise<string | null> =>
      refusal(client.query("UPDATE events SET issued = $1 WHERE id = 'spring'", [issued]));
    assert.equal(await set(2), null);
    assert.equal(await set(3), "events_issued_within_limit");
    assert.equal(await set(-1), "events_issued_within_limit");
    const lower = client.query("UPDATE events SET limit_quantity = 1 WHERE id = 'spring'");
    assert.equal(await refusal(lower), "events_issued_within_limit");
    const born = insert(client, "events", { ...spring, id: "full", issued: 3 });
    assert.equal(await refusal(born), "events_issued_within_limit");
  });

  test("refuses what the domain's bounds refuse, at the first value beyond them", async (t) => {
    const client = await openSpring(t);
    const queue = { mechanism: "kafka-queue" };
    const cases: readonly (readonly [Row, string | null])[] = [
      [{ limit_quantity: 0 }, "events_limit_quantity_check"],
      [{ limit_quantity: COUPONS_MAX }, null],
      [{ limit_quantity: COUPONS_MAX + 1 }, "events_limit_quantity_check"],
      [{ ...queue, pace: 0 }, "events_pace_check"],
      [{ ...queue, pace: PACE_PER_SECOND_MAX }, null],
      [{ ...queue, pace: PACE_PER_SECOND_MAX + 1 }, "events_pace_check"],
      [{ mechanism: "Lottery!" }, "events_mechanism_form"],
      [{ name: "" }, "events_name_check"],
      // Characters, not bytes and not halves of one.
      [{ name: "🎟".repeat(NAME_CHARACTERS_MAX) }, null],
      [{ name: "🎟".repeat(NAME_CHARACTERS_MAX + 1) }, "events_name_check"],
      [{ version: 0 }, "events_version_check"],
      [{ closes_at: spring["opens_at"] }, "events_window_not_empty"],
      [{ closes_at: "2026-11-30T23:59:59.999Z" }, "events_window_not_empty"],
      [{ closes_at: "2026-12-01T00:00:00.001Z" }, null],
    ];
    for (const [index, [fields, constraint]] of cases.entries()) {
      const row = { ...spring, id: `event-${index}`, ...fields };
      assert.equal(
        await refusal(insert(client, "events", row)),
        constraint,
        JSON.stringify(fields),
      );
    }
  });

  test("takes exactly the ids that the domain takes, each once", async (t) => {
    const client = await openSpring(t);
    assert.equal(await refusal(insert(client, "events", spring)), "events_pkey");
    const ids = [
      "a",
      "0",
      "a-",
      "a--b",
      "e".repeat(63),
      "",
      "-a",
      "A",
      "a_b",
      "a\n",
      "e".repeat(64),
    ];
    for (const id of [...ids, "ä", "ａ", "ſ"]) {
      const expected = parseEventId(id) === null ? "events_id_check" : null;
      const refused = await refusal(insert(client, "events", { ...spring, id }));
      assert.equal(refused, expected, JSON.stringify(id));
    }
  });
});

test("outsiders find the columns that the contract names", { skip }, async (t) => {
  const client = await openSpring(t);
  await insert(client, "coupon_issues", issue(1));
  const events = await client.query<Row>(
    `SELECT id, name, mechanism, limit_quantity, issued, version, paused, opens_at, closes_at,
            created_at FROM events`,
  );
  const { opens_at, created_at, ...facts } = events.rows[0] ?? {};
  assert.deepEqual(facts, {
    id: "spring",
    name: "Spring",
    mechanism: "row-lock",
    limit_quantity: 2,
    issued: 0,
    version: 1,
    paused: false,
    closes_at: null,
  });
  assert.ok(opens_at instanceof Date && created_at instanceof Date);
  const issues = await client.query<Row>(
    "SELECT event_id, seq, user_id, code, issued_at, ticket FROM coupon_issues",
  );
  assert.deepEqual(issues.rows, [
    issue(1, { issued_at: new Date("2026-12-01T00:00:01.000Z"), ticket: null }),
  ]);
});
