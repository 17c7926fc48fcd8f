// A directory that has no room for all winners, and the sold-out events that it is asked about.
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { parseUserId } from "@stampede/domain";
import type { CouponIssue, EventId, EventStore, UserId } from "@stampede/domain";
import type pg from "pg";
import { drawCode } from "../../src/rows/codes.ts";
import { EventDirectory } from "../../src/rows/event-directory.ts";
import { postgresEventStore } from "../../src/rows/event-store.ts";
import type { Postgres } from "../../src/engines/postgres/open.ts";
import { openTestDatabase } from "../support/database.ts";
import { until } from "@stampede/launcher/testing";
import { createTestEvent, person } from "../support/sale.ts";
import { openClient, upTo } from "../support/postgres.ts";

/** Where there is no room, so many winners may give way to others. */
export const DISPLACED_PER_MS_MAX = 5;

/** What a winner of a short name takes. */
const BYTES_OF_ONE = 212;

export type Crowded = {
  readonly directory: EventDirectory;
  readonly store: EventStore;
  /** Each sold out, to persons 1 to `limit`. */
  readonly events: readonly EventId[];
  /** How many winners were read to be kept. */
  readonly read: () => number;
  /** Queries of the directory so far. */
  readonly queries: () => number;
  /** How often this event was read. */
  readonly readOf: (eventId: EventId) => number;
};

/** A directory that may keep `winnersMax` winners, and sold-out events. */
export async function openCrowded(
  t: TestContext,
  wanted: {
    readonly events: number;
    readonly limit: number;
    readonly winnersMax?: number;
    /** Runs between the database's answer with winners and its use. */
    readonly whileReading?: () => Promise<void> | void;
  },
): Promise<Crowded> {
  // Registered before the database's own hook: what uses the database is closed before it.
  const closing = new DisposableStack();
  t.after(() => closing.dispose());
  const { postgres, url } = await openTestDatabase(t);
  const store = postgresEventStore(postgres);
  const client = await openClient(t, url);
  const events: EventId[] = [];
  for (let n = 0; n < wanted.events; n += 1) {
    const eventId = await createTestEvent(store, "row-lock", { limit: wanted.limit });
    await insertIssues(client, eventId, wanted.limit);
    events.push(eventId);
  }
  let read = 0;
  let queries = 0;
  const reads = new Map<EventId, number>();
  const counting: Postgres = {
    ...postgres,
    query: async <Row extends pg.QueryResultRow>(text: string, values: readonly unknown[] = []) => {
      queries += 1;
      if (text.includes("e.id = ANY")) {
        for (const id of values[0] as EventId[]) reads.set(id, (reads.get(id) ?? 0) + 1);
      }
      const rows = await postgres.query<Row>(text, values);
      if (!text.includes("i.seq >")) return rows;
      read += rows.length;
      await wanted.whileReading?.();
      return rows;
    },
  };
  const { winnersMax } = wanted;
  const bytesMax = winnersMax === undefined ? undefined : winnersMax * BYTES_OF_ONE;
  const directory = new EventDirectory(counting, bytesMax);
  closing.defer(() => directory.close());
  return {
    directory,
    store,
    events,
    read: () => read,
    queries: () => queries,
    readOf: (eventId) => reads.get(eventId) ?? 0,
  };
}

/** The coupon issues of persons 1 to `count`, as a commit of this process would tell them. */
export function issuesOf(eventId: EventId, count: number): readonly CouponIssue[] {
  return upTo(count).map((seq) => {
    const issue = { eventId, userId: person(seq), seq, code: drawCode(), issuedAtMs: 0 };
    return { ...issue, ticket: null };
  });
}

export async function untilOthersGiveWay(displaced: number): Promise<void> {
  const atMs = performance.now() + displaced / DISPLACED_PER_MS_MAX;
  await until(() => performance.now() > atMs, "others may give way again");
}

/** Rows of persons 1 to `count`, written past the service, with the counter in step. */
export async function insertIssues(
  client: pg.Client,
  eventId: EventId,
  count: number,
): Promise<void> {
  await client.query(
    `WITH added AS (
       INSERT INTO coupon_issues (event_id, seq, user_id, code, issued_at)
       SELECT $1, n, 'person-' || n, left(upper(md5($1::text || n)), 26), clock_timestamp()
         FROM generate_series(1, $2) n RETURNING 1)
     UPDATE events SET issued = (SELECT count(*) FROM added) WHERE id = $1`,
    [eventId, count],
  );
}

const SOLD_OUT_LIMIT = 20_000;

/** Who has coupon `seq` of them: names are of 12 to 64 characters. */
export function soldTo(seq: number): UserId {
  const userId = parseUserId(`p${seq}-`.padEnd(12 + (seq % 53), "x"));
  assert.ok(userId !== null);
  return userId;
}

/**
 * Sold-out events of 20,000 coupons. Their rows are made as they are read: six million of them would
 * take minutes to write, and it is the reader's memory that is looked at.
 */
export async function openManySoldOut(
  t: TestContext,
  events: number,
): Promise<{ readonly directory: EventDirectory; readonly events: readonly EventId[] }> {
  const { directory, url } = await openTestDatabase(t);
  const client = await openClient(t, url);
  await client.query(
    `INSERT INTO events (id, name, mechanism, limit_quantity, issued, opens_at)
     SELECT 'sold-' || n, 'A sold-out event', 'row-lock', ${SOLD_OUT_LIMIT}, ${SOLD_OUT_LIMIT}, clock_timestamp()
       FROM generate_series(1, ${events}) n;
     ALTER TABLE coupon_issues RENAME TO coupon_issues_stored;
     CREATE VIEW coupon_issues AS
       SELECT e.id AS event_id, n AS seq, rpad('p' || n || '-', 12 + n % 53, 'x') AS user_id,
              left(md5(e.id || n), 26) AS code, e.opens_at AS issued_at, NULL::bigint AS ticket
         FROM events e CROSS JOIN generate_series(1, ${SOLD_OUT_LIMIT}) n;`,
  );
  return { directory, events: upTo(events).map((n) => `sold-${n}` as EventId) };
}

/** What is left of this process's heap after a full collection. */
export function heapBytes(): number {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  collect();
  return process.memoryUsage().heapUsed;
}
