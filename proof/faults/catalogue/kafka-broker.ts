// K1, K6 and K9 on a broker of the case's own. K1: SIGKILL with batches on their way, then started again.
// K6: killed, robbed of what its log held, and started again. K9: the disk of its log is full until it stops.
//
// K1 is red when a ticket is told before the ack, or with acks=1 (`ACKS_ALL` in kafka-queue/log/log-writer.ts).
// K6 is red when a log that ends before the mark is served (`brokenRange` in kafka-queue/log/topics.ts). K9 is red
// when an append that failed is taken for an ack (`appendFailure` in kafka-queue/log/log-writer.ts).
import assert from "node:assert/strict";
import { rmSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Attempt } from "@stampede/lab";
import { isAlive } from "@stampede/launcher";
import { until } from "@stampede/launcher/testing";
import { startProgram } from "../../support/program.ts";
import type { FaultCase, Stage } from "../case.ts";
import { finish, judged, noteGoodClaim } from "../finish.ts";
import { KAFKA_MECHANISMS, only } from "../mechanisms.ts";
import { happened } from "../notes.ts";
import type { Places } from "../places.ts";
import { startKafkaCluster } from "../support/kafka-cluster.ts";
import type { KafkaNode } from "../support/kafka-cluster.ts";
import {
  assertHalts,
  claimAll,
  HALTED,
  inFlightAt,
  openBystanders,
  readiness,
  UNKNOWN,
  watchStream,
} from "../support/kafka-sale.ts";
import { queueOf, topicOf } from "../support/queue.ts";
import { askEverybody, claimAtOnce, openSale, people, tally } from "../support/sale.ts";
import type { Sale } from "../support/sale.ts";
import { mountSmallDisk } from "../support/small-disk.ts";

const BURST = 600;
const BURST_SPREAD_MS = 200;
/** The kill comes with one of these answers, so that the batches behind it are on their way. */
const ANSWERS_BEFORE = { from: 20, to: 200 };
const PASSERS_BY = 20;
const QUEUED_BEFORE = 40;
/** The people of v1 and v2 come over about as long as the broker is away. */
const BYSTANDERS_MS = 9_000;

const DISK_MB = 64;
/**
 * So many batches that the log's index has its first page. Without it Kafka writes a batch, fails on its
 * index, and writes the one that is sent again at the same offset (kafka-queue/log/log-entries.ts).
 */
const QUEUED_BEFORE_FULL = { people: 200, spreadMs: 2_500 };
/** They come one wave after the other, so that the log needs room again and again. */
const WAVE = 50;
const WAVES_MAX = 20;
const WAVE_SPREAD_MS = { from: 100, to: 400 };
const FULL_LIMIT = 300;
const FULL_BYSTANDERS_MS = 12_000;

const IN_FLIGHT = "a leader died with a produce in flight";

export const killedBrokerCase: FaultCase = {
  id: "K1",
  mechanisms: KAFKA_MECHANISMS,
  apart: true,
  injects: "SIGKILL of the only broker with batches on their way, then started again",
  holds: "it keeps every ticket that was told, and the others notice nothing",
  runs: "proof",
  expects: [IN_FLIGHT],
  place: "broker",
  run: killMidBatch,
};

export const robbedBrokerCase: FaultCase = {
  id: "K6",
  mechanisms: KAFKA_MECHANISMS,
  apart: true,
  injects: "SIGKILL of the broker, half a segment cut off or the partition removed, started again",
  holds: "the events that lost records halt, and the others go on",
  runs: "proof",
  expects: [HALTED],
  place: "broker",
  run: rob,
};

export const fullBrokerCase: FaultCase = {
  id: "K9",
  mechanisms: KAFKA_MECHANISMS,
  apart: true,
  injects: "the disk of the only broker's log is full until the broker stops; room made, started",
  holds: "there is no ticket without its record, and the others notice nothing",
  runs: "all",
  needs: ["root"],
  expects: [UNKNOWN],
  place: "own",
  run: fillDisk,
};

type AtBroker = Stage<Places["broker"]>;

async function killMidBatch(stage: AtBroker): Promise<void> {
  const { program, broker } = stage.at;
  const sale = await openSale(program, { mechanism: only(stage), limit: BURST });
  const stream = watchStream(stage.t, sale);
  const bystanders = await openBystanders(stage, program, BYSTANDERS_MS);
  const told = await claimAll(sale, people(QUEUED_BEFORE));
  const persons = people(BURST);
  const { burst, killedMs } = await burstWithKill(sale, persons, {
    broker,
    answers: stage.pick(ANSWERS_BEFORE.from, ANSWERS_BEFORE.to),
  });
  stage.injected();
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
  if (inFlightAt(before, killedMs).length > 0) stage.met(IN_FLIGHT);
  const again = await claimAll(sale, [...persons, ...passersBy.map(({ person }) => person)]);
  const all = [...told, ...before, ...passersBy, ...again];
  noteGoodClaim(stage, sale, all, { healedMs });
  await finish(stage, sale, all, { healedMs, stream });
  await bystanders.end();
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

async function rob(stage: AtBroker): Promise<void> {
  const { program, broker } = stage.at;
  const open = async (): Promise<Sale> => openSale(program, { mechanism: only(stage), limit: 50 });
  const [cut, removed, whole] = [await open(), await open(), await open()];
  const told = new Map<Sale, Attempt[]>();
  for (const sale of [cut, removed, whole]) {
    told.set(sale, await claimAll(sale, people(QUEUED_BEFORE)));
    await until(async () => (await queueOf(sale)).nextOffset === QUEUED_BEFORE, "all are decided");
  }
  const folder = async (sale: Sale): Promise<string> =>
    join(broker.logFolder, `${(await topicOf(sale)).topic}-0`);
  await broker.kill();
  const segment = join(await folder(cut), "00000000000000000000.log");
  truncateSync(segment, Math.floor(statSync(segment).size / 2));
  rmSync(await folder(removed), { recursive: true });
  stage.injected(2);
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
    const stranded = await assertHalts(stage, sale, { reason, sinceMs: upMs });
    const answers = [...told.get(sale)!, ...hasty[n]!, ...stranded];
    // What was decided is kept, and its people are told so; nobody else is told anything final.
    const asked = await askEverybody(sale, told.get(sale)!);
    assert.deepEqual(tally(asked), { replay: QUEUED_BEFORE });
    await judged(stage, sale, [...answers, ...asked], { except: ["S11", "L1", "L2"] });
  }
  const all = [...told.get(whole)!, ...(await others)];
  noteGoodClaim(stage, whole, all, { healedMs });
  await finish(stage, whole, all, { healedMs });
}

async function fillDisk(stage: Stage): Promise<void> {
  const disk = mountSmallDisk(DISK_MB);
  stage.t.after(disk.remove);
  const cluster = await startKafkaCluster(stage.t, {
    nodes: 1,
    settings: { "log.dirs": join(disk.folder, "log") },
  });
  const broker = cluster.nodes[0]!;
  const program = await startProgram(stage.t, { KAFKA_BROKERS: cluster.brokers });
  const sale = await openSale(program, { mechanism: only(stage), limit: FULL_LIMIT });
  const stream = watchStream(stage.t, sale);
  const bystanders = await openBystanders(stage, program, FULL_BYSTANDERS_MS);
  const told = await claimAll(sale, people(QUEUED_BEFORE_FULL.people), QUEUED_BEFORE_FULL.spreadMs);

  disk.fill();
  stage.injected();
  const spreadMs = stage.pick(WAVE_SPREAD_MS.from, WAVE_SPREAD_MS.to);
  const meanwhile = await claimUntilItStops(sale, broker, spreadMs);
  await until(async () => (await readiness(program)).kafka === "down", "readyz names Kafka");
  assert.equal((await readiness(program)).status, 200, "v1 and v2 can take claims");
  const passersBy = await claimAtOnce(sale, people(PASSERS_BY));
  assert.deepEqual(tally(passersBy), { refused: PASSERS_BY }, "NOEFF: nothing is sent");
  const { unknown = 0, refused = 0 } = tally(meanwhile);
  stage.t.diagnostic(`while the disk was full: ${JSON.stringify(tally(meanwhile))}`);
  happened(unknown + refused > 0, "v3 met no fault");
  if (unknown > 0) stage.met(UNKNOWN);

  disk.empty();
  // It reads its log through from the start: Kafka is back when it says so.
  await broker.restart();
  const healedMs = performance.now();
  const left = [...meanwhile, ...passersBy].filter(({ outcome }) => outcome !== "queued");
  const again = await claimAll(sale, [...left.map(({ person }) => person), ...people(FULL_LIMIT)]);
  const all = [...told, ...meanwhile, ...passersBy, ...again];
  noteGoodClaim(stage, sale, all, { healedMs });
  await finish(stage, sale, all, { healedMs, stream });
  await bystanders.end();
}

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
