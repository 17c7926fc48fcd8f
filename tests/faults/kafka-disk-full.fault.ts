// K9: the disk of a broker's log is full in the middle of a sale. The broker stops; whoever is not in
// the log is told so or told that it is unknown, and once there is room and the broker is started
// again, every ticket that was told has its record (S11). v1 and v2 notice nothing.
//
// Red when an append that failed is taken for an ack (`appendFailure` in kafka/log-writer.ts).
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import type { Attempt } from "@stampede/lab";
import { isAlive } from "@stampede/infrastructure/embedded";
import { startProgram } from "../support/program.ts";
import { startKafkaCluster } from "./support/kafka-cluster.ts";
import type { KafkaNode } from "./support/kafka-cluster.ts";
import {
  claimAll,
  endQueueSale,
  noteGoodClaim,
  openBystanders,
  readiness,
  watchStream,
} from "./support/kafka-sale.ts";
import { faultRow } from "./support/row.ts";
import { claimAtOnce, engineMissing, openSale, people, tally, until } from "./support/sale.ts";
import type { Sale } from "./support/sale.ts";
import { mountSmallDisk, smallDiskMissing } from "./support/small-disk.ts";

const DISK_MB = 64;
/**
 * So many batches that the log's index has its first page. Without it Kafka writes a batch, fails on its
 * index, and writes the one that is sent again at the same offset (kafka/log-entries.ts).
 */
const QUEUED_BEFORE = { people: 200, spreadMs: 2_500 };
/** They come one wave after the other, so that the log needs room again and again. */
const WAVE = 50;
const WAVES_MAX = 20;
const WAVE_SPREAD_MS = { from: 100, to: 400 };
const PASSERS_BY = 20;
const LIMIT = 300;
const BYSTANDERS_MS = 12_000;

const skip = engineMissing || smallDiskMissing;

test("K9: the log's disk is full: no ticket without its record", { skip }, async (t) => {
  const row = faultRow(t, {
    row: "K9",
    mechanism: "kafka-queue",
    fault: "the disk of the only broker's log is full until the broker stops; room made, started",
    expects: ["a claim's outcome was unknown"],
  });
  const disk = mountSmallDisk(DISK_MB);
  // After the cluster's own hook, which ends the broker: nothing runs on the disk any more.
  const cluster = await startKafkaCluster(t, {
    nodes: 1,
    settings: { "log.dirs": join(disk.folder, "log") },
  });
  t.after(disk.remove);
  const broker = cluster.nodes[0]!;
  const program = await startProgram(t, { KAFKA_BROKERS: cluster.brokers });
  const sale = await openSale(program, { mechanism: "kafka-queue", limit: LIMIT });
  const stream = watchStream(t, sale);
  const bystanders = await openBystanders(program, BYSTANDERS_MS);
  const told = await claimAll(sale, people(QUEUED_BEFORE.people), QUEUED_BEFORE.spreadMs);

  disk.fill();
  row.injected();
  const spreadMs = row.pick(WAVE_SPREAD_MS.from, WAVE_SPREAD_MS.to);
  const meanwhile = await claimUntilItStops(sale, broker, spreadMs);
  await until(async () => (await readiness(program)).kafka === "down", "readyz names Kafka");
  assert.equal((await readiness(program)).status, 200, "v1 and v2 can take claims");
  const passersBy = await claimAtOnce(sale, people(PASSERS_BY));
  assert.deepEqual(tally(passersBy), { refused: PASSERS_BY }, "NOEFF: nothing is sent");
  const { unknown = 0, refused = 0 } = tally(meanwhile);
  t.diagnostic(`while the disk was full: ${JSON.stringify(tally(meanwhile))}`);
  assert.ok(unknown + refused > 0, "v3 saw no fault");

  disk.empty();
  // It reads its log through from the start: Kafka is back when it says so.
  await broker.restart();
  const healedMs = performance.now();
  const left = [...meanwhile, ...passersBy].filter(({ outcome }) => outcome !== "queued");
  const again = await claimAll(sale, [...left.map(({ person }) => person), ...people(LIMIT)]);
  const all = [...told, ...meanwhile, ...passersBy, ...again];
  noteGoodClaim(row, all, healedMs);
  await endQueueSale({ sale, brokers: broker.broker, row, told: all, healedMs, stream });
  await bystanders.end(row);
});

/** Claims come on and on; the broker finds the disk full with one of them, and ends by itself. */
async function claimUntilItStops(
  sale: Sale,
  broker: KafkaNode,
  spreadMs: number,
): Promise<Attempt[]> {
  const told: Attempt[] = [];
  for (let wave = 1; wave <= WAVES_MAX && isAlive(broker.pid); wave += 1) {
    told.push(...(await claimAtOnce(sale, people(WAVE), { spreadMs })));
    await pause(spreadMs);
  }
  assert.ok(!isAlive(broker.pid), "the broker goes on without a disk to write to");
  return told;
}
