// K2, K3, K16 and K19 on three brokers: the leader dies in the middle of a sale, too few replicas are
// left, none is left, and a topic is deleted where brokers make topics by themselves.
//
// K2 is red with acks=1 (`ACKS_ALL` in kafka-queue/log/log-writer.ts) or one replica (`createLog`). K3 is red when
// an error that names too few replicas after the append is told as certain (`NOT_APPENDED` in
// engines/kafka/faults.ts). K19 is red when asking for metadata may make a topic (`askMetadata`).
import assert from "node:assert/strict";
import { until } from "@stampede/launcher/testing";
import type { FaultCase, Stage } from "../case.ts";
import { finish, judged, noteGoodClaim } from "../finish.ts";
import { marksOfAllCases } from "../marks.ts";
import { KAFKA_MECHANISMS, only } from "../mechanisms.ts";
import type { Places } from "../places.ts";
import type { KafkaCluster, KafkaNode } from "../support/kafka-cluster.ts";
import { appendRaw, changeSetting, deleteTopic, topicState } from "../support/kafka-operator.ts";
import type { TopicState } from "../support/kafka-operator.ts";
import {
  assertHalts,
  claimAll,
  HALTED,
  inFlightAt,
  isAvailable,
  openBystanders,
  readiness,
  UNKNOWN,
  watchStream,
} from "../support/kafka-sale.ts";
import { WireError } from "../support/kafka-wire.ts";
import { queueOf, topicOf } from "../support/queue.ts";
import { askEverybody, claimAtOnce, openSale, people, tally } from "../support/sale.ts";
import type { Sale } from "../support/sale.ts";

const BURST = 600;
const BURST_SPREAD_MS = 300;
const SOME = 40;
/** The people of v1 and v2 come over about as long as the fault lasts. */
const BYSTANDERS_MS = 8_000;
/** NOT_ENOUGH_REPLICAS: nothing was appended. */
const TOO_FEW = 19;

const IN_FLIGHT = "a leader died with a produce in flight";
const OTHER_LED = "another broker led";

const onBrokers = {
  mechanisms: KAFKA_MECHANISMS,
  apart: true,
  runs: "all",
  place: "brokers",
} as const;

export const deadLeaderCase: FaultCase = {
  ...onBrokers,
  id: "K2",
  injects: "SIGKILL of the leader of three brokers with batches on their way; it returns later",
  holds: "no ticket that was told is lost or moved",
  expects: [IN_FLIGHT, OTHER_LED],
  run: leaderDies,
};

export const tooFewReplicasCase: FaultCase = {
  ...onBrokers,
  id: "K3",
  injects: "SIGSTOP of a follower where all three replicas have to be in sync",
  holds: "nobody is told a place, and what is certain is told so",
  expects: [marksOfAllCases.notEnoughReplicas, UNKNOWN],
  run: tooFewReplicas,
};

export const allBrokersDownCase: FaultCase = {
  ...onBrokers,
  id: "K16",
  injects: "SIGKILL of all brokers, then all of them started again",
  holds: "claims are refused, and the others go on",
  run: allDown,
};

export const deletedTopicCase: FaultCase = {
  ...onBrokers,
  id: "K19",
  injects: "the topic is deleted where brokers make the topics that somebody asks for",
  holds: "a claim brings no deleted topic back",
  expects: [HALTED],
  run: deletedTopic,
};

type AtBrokers = Stage<Places["brokers"]>;

async function leaderDies(stage: AtBrokers): Promise<void> {
  const { program, cluster } = stage.at;
  const sale = await openSale(program, { mechanism: only(stage), limit: BURST });
  const stream = watchStream(stage.t, sale);
  const bystanders = await openBystanders(stage, program, BYSTANDERS_MS);
  const told = await claimAll(sale, people(SOME));
  const leader = await leaderOf(cluster, sale);
  const answers = stage.pick(20, 200);
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
  stage.injected();
  told.push(...(await burst));
  if (inFlightAt(told, killedMs).length > 0) stage.met(IN_FLIGHT);
  told.push(...(await claimAll(sale, persons)));
  noteGoodClaim(stage, sale, told, { healedMs: killedMs });
  assert.notEqual((await leaderOf(cluster, sale)).id, leader.id);
  stage.met(OTHER_LED);
  await leader.restart();
  await untilInSync(sale, 3);
  await finish(stage, sale, told, { healedMs: killedMs, stream });
  await bystanders.end();
}

async function tooFewReplicas(stage: AtBrokers): Promise<void> {
  const { program, cluster } = stage.at;
  const sale = await openSale(program, { mechanism: only(stage), limit: SOME * 3 });
  const at = await topicOf(sale);
  // One may go and the controllers keep their majority, without which no replica leaves the ISR.
  await changeSetting(at, { name: "min.insync.replicas", value: "3" });
  const bystanders = await openBystanders(stage, program, BYSTANDERS_MS);
  const told = await claimAll(sale, people(SOME));
  const leader = await leaderOf(cluster, sale);
  const follower = cluster.nodes.find(({ id }) => id !== leader.id)!;
  const persons = people(SOME);
  follower.freeze();
  stage.injected();
  // The leader still counts it in: it appends, and waits for it in vain.
  const waiting = await claimAtOnce(sale, persons);
  const { unknown = 0, refused = 0 } = tally(waiting);
  // A second batch may have waited in front of the log until it was too late, or certainly refused.
  assert.equal(unknown + refused, SOME, "202 without the replicas that are wanted");
  assert.ok(unknown > 0, "appended, and perhaps not replicated");
  stage.met(UNKNOWN);
  const shrunk = async (): Promise<boolean> => (await stateOf(sale)).inSync.length < 3;
  await until(shrunk, "the follower is out of the in-sync replicas");
  const record = { key: null, value: Buffer.from("nobody's") };
  const tooFew = (error: unknown): boolean => error instanceof WireError && error.code === TOO_FEW;
  await assert.rejects(appendRaw(at, [record]), tooFew);
  stage.met(marksOfAllCases.notEnoughReplicas);
  const later = await claimAtOnce(sale, people(SOME));
  assert.deepEqual(tally(later), { refused: SOME }, "certainly not appended");
  const healedMs = performance.now();
  follower.thaw();
  const again = await claimAll(sale, [...persons, ...people(SOME * 2)]);
  const all = [...told, ...waiting, ...later, ...again];
  noteGoodClaim(stage, sale, all, { healedMs });
  // Those who were refused for certain never came again: nobody may find a record of theirs (S19).
  await finish(stage, sale, all, { healedMs });
  await bystanders.end();
}

async function allDown(stage: AtBrokers): Promise<void> {
  const { program, cluster } = stage.at;
  const sale = await openSale(program, { mechanism: only(stage), limit: SOME });
  const stream = watchStream(stage.t, sale);
  const bystanders = await openBystanders(stage, program, BYSTANDERS_MS);
  const told = await claimAll(sale, people(SOME / 2));
  await Promise.all(cluster.nodes.map(async (node) => node.kill()));
  stage.injected();
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
  noteGoodClaim(stage, sale, all, { healedMs });
  await finish(stage, sale, all, { healedMs, stream });
  await bystanders.end();
}

async function deletedTopic(stage: AtBrokers): Promise<void> {
  const { program } = stage.at;
  const sale = await openSale(program, { mechanism: only(stage), limit: SOME });
  const told = await claimAll(sale, people(SOME / 2));
  const asked = await askEverybody(sale, told);
  const at = await topicOf(sale);
  await deleteTopic(at);
  stage.injected();
  const sinceMs = performance.now();
  const hasty = await claimAtOnce(sale, people(SOME));
  assert.deepEqual(tally(hasty), { refused: SOME }, "NOEFF");
  const stranded = await assertHalts(stage, sale, { reason: /does not exist/, sinceMs });
  assert.equal(await topicState(at), null, "nobody made the topic again");
  assert.equal((await queueOf(sale)).nextOffset, SOME / 2);
  const all = [...told, ...hasty, ...stranded];
  await judged(stage, sale, [...all, ...asked], { except: ["S11", "L1", "L2"] });
}

async function stateOf(sale: Sale): Promise<TopicState> {
  const state = await topicState(await topicOf(sale));
  assert.ok(state !== null, "the topic is gone");
  return state;
}

async function leaderOf(cluster: KafkaCluster, sale: Sale): Promise<KafkaNode> {
  const { leader } = await stateOf(sale);
  assert.ok(leader !== null, "the topic has no leader");
  return cluster.node(leader.nodeId);
}

async function untilInSync(sale: Sale, replicas: number): Promise<void> {
  await until(
    async () => (await stateOf(sale)).inSync.length >= replicas,
    `${replicas} replicas are in sync`,
  );
}
