// K1 and K6 on a broker of the test's own. K1: SIGKILL with batches on their way, then started again.
// K6: killed, robbed of what its log held, and started again.
//
// K1 is red when a ticket is told before the ack, or with acks=1 (`ACKS_ALL` in kafka/log-writer.ts).
// K6 is red when a log that ends before the mark is served (`brokenRange` in kafka/topics.ts).
import assert from "node:assert/strict";
import { rmSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import type { Attempt } from "@stampede/lab";
import { startProgram } from "../support/program.ts";
import type { Program } from "../support/program.ts";
import { startKafkaCluster } from "./support/kafka-cluster.ts";
import type { KafkaNode } from "./support/kafka-cluster.ts";
import {
  assertHalts,
  claimAll,
  endQueueSale,
  inFlightAt,
  judgeQueue,
  noteGoodClaim,
  openBystanders,
  queueOf,
  readiness,
  topicOf,
  watchStream,
} from "./support/kafka-sale.ts";
import { faultRow } from "./support/row.ts";
import {
  askEverybody,
  claimAtOnce,
  engineMissing,
  openSale,
  people,
  tally,
  until,
} from "./support/sale.ts";
import type { Sale } from "./support/sale.ts";

const BURST = 600;
const BURST_SPREAD_MS = 200;
/** The kill comes with one of these answers, so that the batches behind it are on their way. */
const ANSWERS_BEFORE = { from: 20, to: 200 };
const PASSERS_BY = 20;
const QUEUED_BEFORE = 40;
/** The people of v1 and v2 come over about as long as the broker is away. */
const BYSTANDERS_MS = 9_000;

test("a broker that dies", { skip: engineMissing }, async (t) => {
  let started: Promise<Place> | null = null;
  // Not before a row has said that it is wanted.
  const open = async (): Promise<Place> => (started ??= openPlace(t));
  await t.test("in the middle of a batch keeps every ticket that was told", async (inner) =>
    killedMidBatch(inner, open),
  );
  await t.test(
    "and comes back without what was decided: the event halts, others go on",
    async (inner) => robbed(inner, open),
  );
});

type Place = { readonly program: Program; readonly broker: KafkaNode };

async function openPlace(t: TestContext): Promise<Place> {
  const { brokers, nodes } = await startKafkaCluster(t, { nodes: 1 });
  return { broker: nodes[0]!, program: await startProgram(t, { KAFKA_BROKERS: brokers }) };
}

async function killedMidBatch(t: TestContext, place: () => Promise<Place>): Promise<void> {
  const row = faultRow(t, {
    row: "K1",
    mechanism: "kafka-queue",
    fault: "SIGKILL of the only broker with batches on their way, then started again",
    expects: ["a leader died with a produce in flight"],
  });
  const { program, broker } = await place();
  const sale = await openSale(program, { mechanism: "kafka-queue", limit: BURST });
  const stream = watchStream(t, sale);
  const bystanders = await openBystanders(program, BYSTANDERS_MS);
  const told = await claimAll(sale, people(QUEUED_BEFORE));
  const persons = people(BURST);
  const { burst, killedMs } = await burstWithKill(sale, persons, {
    broker,
    answers: row.pick(ANSWERS_BEFORE.from, ANSWERS_BEFORE.to),
  });
  row.injected();
  await until(async () => (await readiness(program)).kafka === "down", "readyz names Kafka");
  assert.equal((await readiness(program)).status, 200, "v1 and v2 can take claims");
  const passersBy = await claimAtOnce(sale, people(PASSERS_BY));
  assert.deepEqual(tally(passersBy), { refused: PASSERS_BY }, "NOEFF: nothing is sent");
  const healedMs = performance.now();
  broker.start();
  const before = await burst;
  // No ack can have come between the kill and the start.
  const early = before.filter(
    ({ outcome, sentMs, returnedMs }) =>
      outcome === "queued" && sentMs > killedMs && returnedMs < healedMs,
  );
  assert.deepEqual(early, [], "202 while there is no broker");
  if (inFlightAt(before, killedMs).length > 0) row.met("a leader died with a produce in flight");
  const again = await claimAll(sale, [...persons, ...passersBy.map(({ person }) => person)]);
  const all = [...told, ...before, ...passersBy, ...again];
  noteGoodClaim(row, all, healedMs);
  await endQueueSale({ sale, brokers: broker.broker, row, told: all, healedMs, stream });
  await bystanders.end(row);
}

/** A crowd comes at once; the broker is killed in the turn in which the first batches were answered. */
async function burstWithKill(
  sale: Sale,
  persons: readonly string[],
  kill: { readonly broker: KafkaNode; readonly answers: number },
): Promise<{ readonly burst: Promise<Attempt[]>; readonly killedMs: number }> {
  const killed = Promise.withResolvers<number>();
  const burst = claimAtOnce(sale, persons, {
    spreadMs: BURST_SPREAD_MS,
    onAnswer(answers) {
      if (answers !== kill.answers) return;
      const killedMs = performance.now();
      kill.broker.kill().then(() => killed.resolve(killedMs), killed.reject);
    },
  });
  return { burst, killedMs: await killed.promise };
}

async function robbed(t: TestContext, place: () => Promise<Place>): Promise<void> {
  const row = faultRow(t, {
    row: "K6",
    mechanism: "kafka-queue",
    fault: "SIGKILL of the broker, half a segment cut off or the partition removed, started again",
    expects: ["an event was halted"],
  });
  const { program, broker } = await place();
  const { broker: brokers } = broker;
  const open = async (): Promise<Sale> =>
    openSale(program, { mechanism: "kafka-queue", limit: 50 });
  const [cut, removed, whole] = [await open(), await open(), await open()];
  const told = new Map<Sale, Attempt[]>();
  for (const sale of [cut, removed, whole]) {
    told.set(sale, await claimAll(sale, people(QUEUED_BEFORE)));
    await until(async () => (await queueOf(sale)).nextOffset === QUEUED_BEFORE, "all are decided");
  }
  const folder = async (sale: Sale): Promise<string> =>
    join(broker.logFolder, `${(await topicOf({ sale, brokers })).topic}-0`);
  await broker.kill();
  const segment = join(await folder(cut), "00000000000000000000.log");
  truncateSync(segment, Math.floor(statSync(segment).size / 2));
  rmSync(await folder(removed), { recursive: true });
  row.injected(2);
  const healedMs = performance.now();
  broker.start();
  // Some ask for a place while the broker comes back: an ack below the mark is no place in the line.
  const hasty = await Promise.all(
    [cut, removed].map(async (sale) => claimAtOnce(sale, people(PASSERS_BY))),
  );
  assert.equal(tally(hasty.flat())["queued"], undefined, "a place in a log that lost records");
  const others = claimAll(whole, people(QUEUED_BEFORE));
  await broker.restart();
  const upMs = performance.now();
  const reason = /the log lost records/;
  for (const [n, sale] of [cut, removed].entries()) {
    const stranded = await assertHalts({ sale, row }, { reason, sinceMs: upMs });
    const answers = [...told.get(sale)!, ...hasty[n]!, ...stranded];
    // What was decided is kept, and its people are told so; nobody else is told anything final.
    const asked = await askEverybody(sale, told.get(sale)!);
    assert.deepEqual(tally(asked), { replay: QUEUED_BEFORE });
    await judgeQueue({ sale, brokers, row, told: answers }, asked, ["S11", "L1", "L2"]);
  }
  const all = [...told.get(whole)!, ...(await others)];
  noteGoodClaim(row, all, healedMs);
  await endQueueSale({ sale: whole, brokers, row, told: all, healedMs });
}
