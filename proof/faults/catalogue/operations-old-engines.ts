// O6: a new database, and a Redis and a Kafka that still hold the last one's events. An event with an
// old one's id starts empty: nobody of old holds anything, the first ticket is 0.
//
// Red when a topic is found by its event's id (B35: `randomBytes` in kafka-queue/preparation.ts), and when
// an event that is new does not replace what Redis holds under its id (`openNew` in generations.ts).
import assert from "node:assert/strict";
import type { Attempt } from "@stampede/lab";
import { until } from "@stampede/launcher/testing";
import { startProgram } from "../../support/program.ts";
import type { FaultCase, Stage } from "../case.ts";
import { finish } from "../finish.ts";
import { decidesInRow, MECHANISMS, queues, reserves } from "../mechanisms.ts";
import { withWritesHeld } from "../support/held-row.ts";
import { makeEvent, saleOf } from "../support/operations.ts";
import { redisCommand } from "../support/redis-command.ts";
import { claimAtOnce, openSale, people, readStored } from "../support/sale.ts";
import type { Sale } from "../support/sale.ts";

const OLD_LIMIT = 30;
const OLD_PEOPLE = 45;
/** People of a sale that ends in its middle: reserved and queued, and no row is written. */
const LEFT_PEOPLE = 10;
const LIMIT = 20;
const NEW_PEOPLE = 30;

type Old = { readonly sale: Sale; readonly persons: readonly string[] };

export const oldEnginesCase: FaultCase = {
  id: "O6",
  mechanisms: MECHANISMS,
  injects: "the database is new, and Redis and Kafka hold an event of the same id",
  holds: "the event starts empty: nobody of old holds anything, the first ticket is 0",
  runs: "test",
  place: "own",
  async run(stage) {
    const old = await sellOld(stage);
    const program = await startProgram(stage.t);
    for (const { sale, persons } of old) {
      stage.notes(sale.mechanism).injected();
      const { eventId: id, mechanism } = sale;
      const { event, problem } = await makeEvent(program, { id, mechanism, limit: LIMIT });
      assert.ok(event !== null, `${mechanism}: ${problem}`);
      assert.equal(event.issued, 0);
      const now = saleOf(program, event);
      if (reserves(sale)) assert.equal(await heldIn(now), 0, "Redis starts empty");
      assert.deepEqual((await readStored(now)).rows, []);
      // One of old comes first, and is as new as anybody.
      const first = await claimAtOnce(now, persons.slice(0, 1));
      assertFirst(now, first[0]!);
      const others = [...persons.slice(1, 9), ...people(NEW_PEOPLE)];
      await finish(stage, now, [...first, ...(await claimAtOnce(now, others))]);
    }
  },
};

/** Sales that ended, and some that ended in their middle, with the service that sold. */
async function sellOld(stage: Stage): Promise<readonly Old[]> {
  const program = await startProgram(stage.t);
  const sold: Old[] = [];
  const left: Old[] = [];
  for (const mechanism of stage.mechanisms) {
    const sale = await openSale(program, { mechanism, limit: OLD_LIMIT });
    const persons = people(OLD_PEOPLE);
    await finish(stage, sale, await claimAtOnce(sale, persons));
    sold.push({ sale, persons });
    if (decidesInRow(sale)) continue;
    const half = await openSale(program, { mechanism, limit: OLD_LIMIT });
    left.push({ sale: half, persons: people(LEFT_PEOPLE) });
  }
  const { claims } = await withWritesHeld(program, 0, async () => {
    const claims = left.map(async ({ sale, persons }) => claimAtOnce(sale, persons));
    for (const [n, { sale }] of left.entries()) {
      // Whoever queues is told a place, whatever becomes of the rows.
      if (queues(sale)) await claims[n];
      else await until(async () => (await heldIn(sale)) === LEFT_PEOPLE, "all are reserved");
    }
    await program.kill();
    return { claims };
  });
  await Promise.all(claims);
  return [...sold, ...left];
}

function assertFirst(sale: Sale, { outcome, seq, ticket }: Attempt): void {
  const expected = queues(sale)
    ? { outcome: "queued", seq: null, ticket: 0 }
    : { outcome: "issued", seq: 1, ticket: null };
  assert.deepEqual({ outcome, seq, ticket }, expected, sale.mechanism);
}

/** How many persons Redis holds under the event's id. */
async function heldIn({ program, eventId }: Sale): Promise<number> {
  return Number(await redisCommand(program.redisUrl, "HLEN", `stampede:{${eventId}}:persons`));
}
