// K2, K3, K16 and K19 on three brokers: the leader dies in the middle of a sale, too few replicas are
// left, none is left, and a topic is deleted where brokers make topics by themselves.
//
// K2 is red with acks=1 (`ACKS_ALL` in kafka/log-writer.ts) or one replica (`createLog`). K3 is red when
// an error that names too few replicas after the append is told as certain (`NOT_APPENDED` in
// kafka/faults.ts). K19 is red when asking for metadata may make a topic (`askMetadata`).
import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { startProgram } from "../support/program.ts";
import type { Program } from "../support/program.ts";
import { marksOfAllRows } from "./marks.ts";
import { startKafkaCluster } from "./support/kafka-cluster.ts";
import type { KafkaCluster, KafkaNode } from "./support/kafka-cluster.ts";
import { appendRaw, changeSetting, deleteTopic, topicState } from "./support/kafka-operator.ts";
import type { TopicState } from "./support/kafka-operator.ts";
import { WireError } from "./support/kafka-wire.ts";
import {
  assertHalts,
  claimAll,
  endQueueSale,
  inFlightAt,
  isAvailable,
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
const BURST_SPREAD_MS = 300;
const SOME = 40;
/** The people of v1 and v2 come over about as long as the fault lasts. */
const BYSTANDERS_MS = 8_000;
/** NOT_ENOUGH_REPLICAS: nothing was appended. */
const TOO_FEW = 19;

type Place = { readonly program: Program; readonly cluster: KafkaCluster };
type Open = () => Promise<Place>;

test("three brokers", { skip: engineMissing }, async (t) => {
  let started: Promise<Place> | null = null;
  // Not before a row has said that it is wanted.
  const open: Open = async () => (started ??= openPlace(t));
  await t.test(
    "lose their leader in mid-sale: no ticket that was told is lost or moved",
    async (inner) => leaderDies(inner, open),
  );
  await t.test(
    "of which one is left: nobody is told a place, and what is certain is told so",
    async (inner) => tooFewReplicas(inner, open),
  );
  await t.test("that are all down: claims are refused, and v1 and v2 go on", async (inner) =>
    allDown(inner, open),
  );
  await t.test(
    "that make topics by themselves: a claim brings no deleted topic back",
    async (inner) => deletedTopic(inner, open),
  );
});

async function openPlace(t: TestContext): Promise<Place> {
  const settings = { "auto.create.topics.enable": "true" };
  const cluster = await startKafkaCluster(t, { nodes: 3, settings });
  t.diagnostic(`three brokers were ready after ${Math.round(cluster.startMs)} ms`);
  return { cluster, program: await startProgram(t, { KAFKA_BROKERS: cluster.brokers }) };
}

async function leaderDies(t: TestContext, open: Open): Promise<void> {
  const row = faultRow(t, {
    row: "K2",
    mechanism: "kafka-queue",
    fault: "SIGKILL of the leader of three brokers with batches on their way; it returns later",
    expects: ["a leader died with a produce in flight", "another broker led"],
  });
  const { program, cluster } = await open();
  const { brokers } = cluster;
  const sale = await openSale(program, { mechanism: "kafka-queue", limit: BURST });
  const stream = watchStream(t, sale);
  const bystanders = await openBystanders(program, BYSTANDERS_MS);
  const told = await claimAll(sale, people(SOME));
  const leader = await leaderOf(cluster, sale);
  const answers = row.pick(20, 200);
  const killed = Promise.withResolvers<number>();
  const persons = people(BURST);
  const burst = claimAtOnce(sale, persons, {
    spreadMs: BURST_SPREAD_MS,
    onAnswer(count) {
      if (count !== answers) return;
      const nowMs = performance.now();
      leader.kill().then(() => killed.resolve(nowMs), killed.reject);
    },
  });
  // With two brokers left the sale heals by itself: the clock of the deadlines starts at the kill.
  const killedMs = await killed.promise;
  row.injected();
  told.push(...(await burst));
  if (inFlightAt(told, killedMs).length > 0) row.met("a leader died with a produce in flight");
  told.push(...(await claimAll(sale, persons)));
  noteGoodClaim(row, told, killedMs);
  assert.notEqual((await leaderOf(cluster, sale)).id, leader.id);
  row.met("another broker led");
  await leader.restart();
  await untilInSync(cluster, sale, 3);
  await endQueueSale({ sale, brokers, row, told, healedMs: killedMs, stream });
  await bystanders.end(row);
}

async function tooFewReplicas(t: TestContext, open: Open): Promise<void> {
  const row = faultRow(t, {
    row: "K3",
    mechanism: "kafka-queue",
    fault: "SIGSTOP of a follower where all three replicas have to be in sync",
    expects: [marksOfAllRows.notEnoughReplicas, "a claim's outcome was unknown"],
  });
  const { program, cluster } = await open();
  const { brokers } = cluster;
  const sale = await openSale(program, { mechanism: "kafka-queue", limit: SOME * 3 });
  const at = await topicOf({ sale, brokers });
  // One may go and the controllers keep their majority, without which no replica leaves the ISR.
  await changeSetting(at, { name: "min.insync.replicas", value: "3" });
  const bystanders = await openBystanders(program, BYSTANDERS_MS);
  const told = await claimAll(sale, people(SOME));
  const leader = await leaderOf(cluster, sale);
  const follower = cluster.nodes.find(({ id }) => id !== leader.id)!;
  const persons = people(SOME);
  follower.freeze();
  row.injected();
  // The leader still counts it in: it appends, and waits for it in vain.
  const waiting = await claimAtOnce(sale, persons);
  const { unknown = 0, refused = 0 } = tally(waiting);
  // A second batch may have waited in front of the log until it was too late, or certainly refused.
  assert.equal(unknown + refused, SOME, "202 without the replicas that are wanted");
  assert.ok(unknown > 0, "appended, and perhaps not replicated");
  const shrunk = async (): Promise<boolean> => (await stateOf(cluster, sale)).inSync.length < 3;
  await until(shrunk, "the follower is out of the in-sync replicas");
  const record = { key: null, value: Buffer.from("nobody's") };
  const tooFew = (error: unknown): boolean => error instanceof WireError && error.code === TOO_FEW;
  await assert.rejects(appendRaw(at, [record]), tooFew);
  row.met(marksOfAllRows.notEnoughReplicas);
  const later = await claimAtOnce(sale, people(SOME));
  assert.deepEqual(tally(later), { refused: SOME }, "certainly not appended");
  const healedMs = performance.now();
  follower.thaw();
  const again = await claimAll(sale, [...persons, ...people(SOME * 2)]);
  const all = [...told, ...waiting, ...later, ...again];
  noteGoodClaim(row, all, healedMs);
  // Those who were refused for certain never came again: nobody may find a record of theirs (S19).
  await endQueueSale({ sale, brokers, row, told: all, healedMs });
  await bystanders.end(row);
}

async function allDown(t: TestContext, open: Open): Promise<void> {
  const row = faultRow(t, {
    row: "K16",
    mechanism: "kafka-queue",
    fault: "SIGKILL of all brokers, then all of them started again",
  });
  const { program, cluster } = await open();
  const { brokers } = cluster;
  const sale = await openSale(program, { mechanism: "kafka-queue", limit: SOME });
  const stream = watchStream(t, sale);
  const bystanders = await openBystanders(program, BYSTANDERS_MS);
  const told = await claimAll(sale, people(SOME / 2));
  await Promise.all(cluster.nodes.map(async (node) => node.kill()));
  row.injected();
  await until(async () => (await readiness(program)).kafka === "down", "readyz names Kafka");
  assert.equal((await readiness(program)).status, 200, "v1 and v2 can take claims");
  assert.equal(await isAvailable(sale), false);
  const refused = await claimAtOnce(sale, people(SOME));
  assert.deepEqual(tally(refused), { refused: SOME }, "NOEFF");
  const again = claimAll(sale, [...refused.map(({ person }) => person), ...people(SOME)]);
  const restarts = cluster.nodes.map(async (node) => node.restart());
  // Three Javas start on this machine at once: Kafka is back when the first one says so.
  await Promise.any(restarts);
  const healedMs = performance.now();
  await Promise.all(restarts);
  const all = [...told, ...refused, ...(await again)];
  noteGoodClaim(row, all, healedMs);
  await endQueueSale({ sale, brokers, row, told: all, healedMs, stream });
  await bystanders.end(row);
}

async function deletedTopic(t: TestContext, open: Open): Promise<void> {
  const row = faultRow(t, {
    row: "K19",
    mechanism: "kafka-queue",
    fault: "the topic is deleted where brokers make the topics that somebody asks for",
    expects: ["an event was halted"],
  });
  const { program, cluster } = await open();
  const { brokers } = cluster;
  const sale = await openSale(program, { mechanism: "kafka-queue", limit: SOME });
  const told = await claimAll(sale, people(SOME / 2));
  const asked = await askEverybody(sale, told);
  const at = await topicOf({ sale, brokers });
  await deleteTopic(at);
  row.injected();
  const sinceMs = performance.now();
  const hasty = await claimAtOnce(sale, people(SOME));
  assert.deepEqual(tally(hasty), { refused: SOME }, "NOEFF");
  const stranded = await assertHalts({ sale, row }, { reason: /does not exist/, sinceMs });
  assert.equal(await topicState(at), null, "nobody made the topic again");
  assert.equal((await queueOf(sale)).nextOffset, SOME / 2);
  const all = [...told, ...hasty, ...stranded];
  await judgeQueue({ sale, brokers, row, told: all }, asked, ["S11", "L1", "L2"]);
}

async function stateOf(cluster: KafkaCluster, sale: Sale): Promise<TopicState> {
  const state = await topicState(await topicOf({ sale, brokers: cluster.brokers }));
  assert.ok(state !== null, "the topic is gone");
  return state;
}

async function leaderOf(cluster: KafkaCluster, sale: Sale): Promise<KafkaNode> {
  const { leader } = await stateOf(cluster, sale);
  assert.ok(leader !== null, "the topic has no leader");
  return cluster.node(leader.nodeId);
}

async function untilInSync(cluster: KafkaCluster, sale: Sale, replicas: number): Promise<void> {
  await until(
    async () => (await stateOf(cluster, sale)).inSync.length >= replicas,
    `${replicas} replicas are in sync`,
  );
}
