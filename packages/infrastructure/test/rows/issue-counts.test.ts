// The rows counted by somebody who does not trust the counter. Each test names what turns it red.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import type { EventId } from "@stampede/domain";
import { drawCode } from "../../src/rows/codes.ts";
import { issueCounts } from "../../src/rows/issue-counts.ts";
import type { IssueCounts } from "../../src/rows/issue-counts.ts";
import { rowLockIssuer } from "../../src/row-lock/issuer.ts";
import { openTestDatabase } from "../support/database.ts";
import type { TestDatabase } from "../support/database.ts";
import { missing } from "@stampede/launcher/testing";
import { hearFacts } from "../support/facts.ts";
import { person } from "../support/sale.ts";
import { insertEvent, openClient } from "../support/postgres.ts";

type Counted = TestDatabase & {
  readonly counts: IssueCounts;
  readonly claim: (eventId: EventId, n: number) => Promise<unknown>;
  readonly newEvent: (limit: number) => Promise<EventId>;
  readonly change: (sql: string, values: readonly unknown[]) => Promise<unknown>;
};

async function open(t: TestContext, eventsMax = 10): Promise<Counted> {
  const database = await openTestDatabase(t);
  const { postgres, directory, url } = database;
  const client = await openClient(t, url);
  const issuer = rowLockIssuer({ postgres, directory, drawCode });
  const counts = issueCounts(postgres, directory, eventsMax);
  t.after(() => counts.close());
  return {
    ...database,
    counts,
    claim: async (eventId, n) => {
      await directory.fresh(eventId);
      return issuer.claim(eventId, person(n));
    },
    newEvent: async (limit) => insertEvent(client, limit),
    change: async (sql, values) => client.query(sql, [...values]),
  };
}

describe("counting the rows", { skip: missing("postgres") }, () => {
  // Red when the counter is read instead of the rows.
  test("sees rows that the counter does not know of", async (t) => {
    const { counts, claim, newEvent, change, directory } = await open(t);
    const eventId = await newEvent(3);
    await claim(eventId, 1);
    await change(
      `INSERT INTO coupon_issues (event_id, seq, user_id, code, issued_at)
       SELECT event_id, 2, 'nobody-counted', repeat('0', 26), issued_at FROM coupon_issues
        WHERE event_id = $1`,
      [eventId],
    );
    await counts.count();
    const [counted] = counts.last();
    assert.deepEqual(counted, {
      eventId,
      mechanism: "row-lock",
      couponIssues: 2,
      soldOutAtMs: null,
    });
    assert.equal((await directory.lookUp(eventId, person(1)))?.event.issued, 1);
  });

  test("tells when the last coupon was issued, once it was", async (t) => {
    const { counts, claim, newEvent, postgres } = await open(t);
    const eventId = await newEvent(2);
    await claim(eventId, 1);
    await counts.count();
    assert.equal(counts.last()[0]?.soldOutAtMs, null);
    const fromMs = postgres.clock.nowMs();
    await claim(eventId, 2);
    await counts.count();
    const soldOutAtMs = counts.last()[0]?.soldOutAtMs ?? 0;
    assert.ok(soldOutAtMs > fromMs - 1_000 && soldOutAtMs < fromMs + 10_000, `${soldOutAtMs}`);
  });

  // Red when all events are counted, or each by a query of its own.
  test("is one query for the events in use, the latest used", async (t) => {
    const facts = hearFacts(t);
    const { counts, newEvent, directory } = await open(t, 2);
    const events = [await newEvent(1), await newEvent(1), await newEvent(1), await newEvent(1)];
    for (const eventId of events.slice(0, 3)) await directory.fresh(eventId);
    await directory.lookUp(events[0]!, person(1));
    directory.close();
    facts.roundTrips.length = 0;
    await counts.count();
    assert.deepEqual(
      facts.roundTrips.map(({ operation }) => operation),
      ["query"],
    );
    const counted = counts.last().map(({ eventId }) => eventId);
    assert.deepEqual(new Set(counted), new Set([events[0], events[2]]));
  });

  test("asks nothing while no event is in use", async (t) => {
    const facts = hearFacts(t);
    const { counts, newEvent } = await open(t);
    await newEvent(1);
    facts.roundTrips.length = 0;
    await counts.count();
    assert.deepEqual(counts.last(), []);
    assert.deepEqual(facts.roundTrips, []);
  });
});
