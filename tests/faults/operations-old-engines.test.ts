// O6: a new database, and a Redis and a Kafka that still hold the last one's events. An event with an
// old one's id starts empty: nobody of old holds anything, the first ticket is 0.
//
// Red when a topic is found by its event's id (B35: `randomBytes` in kafka/preparation.ts), and when
// an event that is new does not replace what Redis holds under its id (`openNew` in generations.ts).
import assert from "node:assert/strict";
import { test } from "node:test";
import { testEngine } from "@stampede/infrastructure/embedded";
import type { Attempt } from "@stampede/lab";
import { startProgram } from "../support/program.ts";
import { withWritesHeld } from "./support/held-row.ts";
import { redisCommand } from "./support/redis-command.ts";
import { endSale, makeEvent, saleOf } from "./support/operations.ts";
import { faultRow } from "./support/row.ts";
import type { Row } from "./support/row.ts";
import {
  claimAtOnce,
  engineMissing,
  MECHANISMS,
  openSale,
  people,
  readStored,
  until,
} from "./support/sale.ts";
import type { Sale } from "./support/sale.ts";

const OLD_LIMIT = 30;
const OLD_PEOPLE = 45;
/** People of a sale that ends in its middle: reserved and queued, and no row is written. */
const LEFT_PEOPLE = 10;
const LIMIT = 20;
const NEW_PEOPLE = 30;

type Old = { readonly sale: Sale; readonly persons: readonly string[]; readonly row: Row };

test("a new database on the old Redis and Kafka", { skip: engineMissing }, async (t) => {
  const fault = "the database is new, and Redis and Kafka hold an event of the same id";
  const old = await startProgram(t);
  const sold: Old[] = [];
  const left: Old[] = [];
  for (const mechanism of MECHANISMS) {
    const row = faultRow(t, { row: "O6", mechanism, fault });
    const sale = await openSale(old, { mechanism, limit: OLD_LIMIT });
    const persons = people(OLD_PEOPLE);
    const told = await claimAtOnce(sale, persons);
    await endSale(sale, { row, told, brokers: testEngine("kafka") });
    sold.push({ sale, persons, row });
    if (mechanism === "row-lock") continue;
    const half = await openSale(old, { mechanism, limit: OLD_LIMIT });
    left.push({ sale: half, persons: people(LEFT_PEOPLE), row });
  }
  const abandoned = await withWritesHeld(old, 0, async () => {
    const claims = left.map(async ({ sale, persons }) => claimAtOnce(sale, persons));
    await until(async () => (await heldIn(left[0]!.sale)) === LEFT_PEOPLE, "all are reserved");
    // Kafka's people are told their place whatever becomes of the rows.
    await claims[1];
    await old.kill();
    return { claims };
  });
  await Promise.all(abandoned.claims);

  const program = await startProgram(t);
  for (const { sale, persons, row } of [...sold, ...left]) {
    row.injected();
    const { eventId: id, mechanism } = sale;
    const { event, problem } = await makeEvent(program, { id, mechanism, limit: LIMIT });
    assert.ok(event !== null, `${mechanism}: ${problem}`);
    assert.equal(event.issued, 0);
    const now = saleOf(program, event);
    if (mechanism === "redis-counter") assert.equal(await heldIn(now), 0, "Redis starts empty");
    assert.deepEqual((await readStored(now)).rows, []);
    // One of old comes first, and is as new as anybody.
    const first = await claimAtOnce(now, persons.slice(0, 1));
    assertFirst(now, first[0]!);
    const told = [
      ...first,
      ...(await claimAtOnce(now, [...persons.slice(1, 9), ...people(NEW_PEOPLE)])),
    ];
    const rows = await endSale(now, { row, told, brokers: testEngine("kafka") });
    assert.equal(rows, LIMIT, `${mechanism}: exactly the new limit`);
    if (mechanism === "redis-counter") assert.equal(await heldIn(now), LIMIT);
  }
});

function assertFirst({ mechanism }: Sale, { outcome, seq, ticket }: Attempt): void {
  const expected =
    mechanism === "kafka-queue"
      ? { outcome: "queued", seq: null, ticket: 0 }
      : { outcome: "issued", seq: 1, ticket: null };
  assert.deepEqual({ outcome, seq, ticket }, expected, mechanism);
}

/** How many persons Redis holds under the event's id. */
async function heldIn({ eventId }: Sale): Promise<number> {
  return Number(await redisCommand(testEngine("redis"), "HLEN", `stampede:{${eventId}}:persons`));
}
