// Whose code is whose: by the event's secret key, and by nothing that stands in the log. Each test names
// what turns it red.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { EventId } from "@stampede/domain";
import { missing } from "@stampede/launcher/testing";
import {
  appendRaw,
  claimOf,
  codesOf,
  decided,
  issuesOf,
  openQueueSale,
  queueRow,
  readLog,
} from "../support/kafka-queue.ts";
import type { QueueSale, RawRecord } from "../support/kafka-queue.ts";
import { person } from "../support/sale.ts";

describe("a coupon's code in v3", { skip: missing("postgres", "kafka") }, () => {
  // Red when a record's code is worth anything (schema 1 had one): a foreign one could choose its coupon,
  // or bring one that somebody holds, which rolled every batch back for ever.
  test("is the person's by the event's key, whatever code their record brings", async (t) => {
    const sale = await openQueueSale(t);
    const eventId = await sale.createEvent({ limit: 9 });
    const codeOf = await codesOf(sale, eventId);
    sale.first.startDecider();
    await sale.first.issuer.claim(eventId, person(1));
    await decided(sale, eventId, 1);
    const { topic } = await queueRow(sale.first.postgres, eventId);
    const withCode = (n: number, code: string): RawRecord => ({
      key: Buffer.from(person(n)),
      value: Buffer.from(JSON.stringify({ schema: 1, eventId, userId: person(n), code })),
    });
    await appendRaw(topic, [withCode(2, codeOf(person(1))), withCode(3, "0".repeat(26))]);
    await decided(sale, eventId, 3);
    const own = [1, 2, 3].map((n) => [person(n), codeOf(person(n)), n - 1]);
    assert.deepEqual(await codesAndTickets(sale, eventId), own);
  });

  test("is in no record, and neither is the key; another event has another key", async (t) => {
    const sale = await openQueueSale(t);
    const eventId = await sale.createEvent({ limit: 9 });
    const other = await sale.createEvent({ limit: 9 });
    const [codeOf, otherCodeOf] = [await codesOf(sale, eventId), await codesOf(sale, other)];
    assert.notEqual(codeOf(person(1)), otherCodeOf(person(1)));
    sale.first.startDecider();
    await Promise.all([1, 2, 3].map(async (n) => sale.first.issuer.claim(eventId, person(n))));
    await decided(sale, eventId, 3);
    const queue = await queueRow(sale.first.postgres, eventId);
    const log = (await readLog(sale.first.kafka, queue)).map(({ value }) => String(value));
    assert.deepEqual(
      log.map((text) => Object.keys(JSON.parse(text) as object)),
      log.map(() => ["schema", "eventId", "userId"]),
    );
  });

  // Red when a held code ends the batch (`codesHeld`), or takes their place from whoever has it.
  test("is the next one where a row of somebody's hand holds the first", async (t) => {
    const sale = await openQueueSale(t);
    const eventId = await sale.createEvent({ limit: 9 });
    const codeOf = await codesOf(sale, eventId);
    const held = [codeOf(person(2)), codeOf(person(2), 1), codeOf(person(3))];
    await sale.first.postgres.query(
      `INSERT INTO coupon_issues (event_id, seq, user_id, code, issued_at)
       SELECT $1, n, 'by-hand-' || n, code, clock_timestamp()
         FROM unnest($2::text[]) WITH ORDINALITY AS held (code, n)`,
      [await sale.createEvent({ limit: 9 }), held],
    );
    const { topic } = await queueRow(sale.first.postgres, eventId);
    await appendRaw(topic, [
      ...[1, 2, 3, 4, 2].map((n) => claimOf(eventId, n)),
      { value: Buffer.from("x") },
    ]);
    const told: string[] = [];
    sale.first.startDecider({ onError: (error) => told.push(String(error)) });
    await decided(sale, eventId, 6);
    assert.deepEqual(await codesAndTickets(sale, eventId), [
      [person(1), codeOf(person(1)), 0],
      [person(2), codeOf(person(2), 2), 1],
      [person(3), codeOf(person(3), 1), 2],
      [person(4), codeOf(person(4)), 3],
    ]);
    assert.equal(told.length, 1);
    assert.match(told[0]!, /coupon_issues_code_key/);
    for (const code of held) assert.ok(!told[0]!.includes(code), "a coupon's code is logged");
  });
});

async function codesAndTickets(sale: QueueSale, eventId: EventId): Promise<unknown> {
  const rows = await issuesOf(sale.store, eventId);
  return rows.map(({ userId, code, ticket }) => [userId, code, ticket]);
}
