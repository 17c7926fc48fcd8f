// K7, K8, K13, K14 and K17: strangers write into an event's topic, read it in groups of their own, replace it by
// another one of the same name, let it forget what is not decided, or give it a second partition.
//
// Red when a record that is no claim ends the decider, or is passed by in silence (`recordRejected` in
// kafka-queue/decider/decide-batch.ts), when the topic's id or the number of partitions is not compared (`brokenTopic` in
// kafka-queue/log/topics.ts), when the log's start is not looked at (`brokenRange`), or its settings (`readRetention`),
// and when Produce names another partition than 0.
import assert from "node:assert/strict";
import { until } from "@stampede/launcher/testing";
import type { FaultCase, Stage } from "../case.ts";
import { finish, judged } from "../finish.ts";
import { KAFKA_MECHANISMS, only } from "../mechanisms.ts";
import type { Places } from "../places.ts";
import { assertAudit, startAudit } from "../support/kafka-audit.ts";
import { joinAndLeave } from "../support/kafka-group.ts";
import {
  addPartition,
  appendRaw,
  changeSetting,
  deleteRecords,
  deleteTopic,
  endOf,
  makeTopic,
  readLog,
} from "../support/kafka-operator.ts";
import type { RawRecord } from "../support/kafka-records.ts";
import {
  assertHalts,
  changePace,
  claimAll,
  HALTED,
  openBystanders,
  statusesOf,
  voidSale,
  watchStream,
} from "../support/kafka-sale.ts";
import { queueOf, topicOf } from "../support/queue.ts";
import { askEverybody, claimAtOnce, openSale, people, tally } from "../support/sale.ts";

const LIMIT = 60;
// A broker lets a new group wait for three seconds for more members.
const GROUPS = 4;
const BYSTANDERS_MS = 4_000;
const LOST = ["S11", "S23", "L1", "L2"] as const;

const MORE = 100;
const PEOPLE = 200;
/** Just below what a broker takes in one message. */
const HUGE_BYTES = 1_000_000;

const REJECTED = "a foreign record was rejected";

const onTopic = { mechanisms: KAFKA_MECHANISMS, apart: true, place: "shared" } as const;
/** The alarm of an event that another case has halted must not be taken for this one's. */
const halting = { ...onTopic, fresh: true, expects: [HALTED] } as const;

export const replacedTopicCase: FaultCase = {
  ...halting,
  id: "K7",
  injects: "the topic is deleted and made again under its name in the middle of a sale",
  beside: "spared",
  holds: "the event is halted, and the others go on",
  runs: "all",
  run: replaceTopic,
};

export const forgettingTopicCases: readonly FaultCase[] = [
  {
    ...halting,
    id: "K8",
    injects: "DeleteRecords beyond the mark of a paced line",
    beside: "spared",
    holds:
      "the event is halted, nothing of what is left is decided, and all who wait are told so until an operator voids it, and then that",
    runs: "all",
    run: deleteUndecided,
  },
  {
    ...halting,
    id: "K8",
    injects: "a finite retention, in the middle of a sale and while the service is stopped",
    holds: "the event is halted",
    runs: "all",
    run: limitRetention,
  },
];

export const strangersReadCase: FaultCase = {
  ...onTopic,
  id: "K13",
  beside: "spared",
  injects: `consumer groups join, commit offset 0 or one far off, and leave, ${GROUPS} times`,
  holds: "the event goes on as before",
  runs: "all",
  run: readByGroups,
};

export const strangersWriteCase: FaultCase = {
  ...onTopic,
  id: "K14",
  beside: "spared",
  injects: "bad JSON, null, 1 MB and another event's claim written between people's claims",
  holds: "each is rejected in its place, and people go on",
  runs: "proof",
  expects: [REJECTED],
  run: writeForeign,
};

export const secondPartitionCase: FaultCase = {
  ...halting,
  id: "K17",
  injects: "a second partition, in the middle of a sale and while the service is stopped",
  holds: "the event is not served",
  runs: "proof",
  run: addPartitions,
};

type Shared = Stage<Places["shared"]>;

async function replaceTopic(stage: Shared): Promise<void> {
  const { program } = stage.at;
  const sale = await openSale(program, { mechanism: only(stage), limit: LIMIT });
  const other = await openSale(program, { mechanism: only(stage), limit: LIMIT });
  const bystanders = await openBystanders(stage, program, BYSTANDERS_MS);
  const others = claimAll(other, people(LIMIT), BYSTANDERS_MS);
  const told = await claimAll(sale, people(LIMIT / 2));
  const asked = await askEverybody(sale, told);
  const at = await topicOf(sale);
  const sinceMs = performance.now();
  await deleteTopic(at);
  await makeTopic(at);
  stage.injected();
  const hasty = await claimAtOnce(sale, people(LIMIT));
  assert.equal(tally(hasty)["queued"], undefined, "a place in somebody else's log");
  const reason = /was replaced|does not exist/;
  const stranded = await assertHalts(stage, sale, { reason, sinceMs });
  assert.equal(await endOf(at), 0, "nothing is written into the topic that is not its own");
  const all = [...told, ...hasty, ...stranded];
  await judged(stage, sale, [...all, ...asked], { except: LOST });
  await finish(stage, other, await others);
  await bystanders.end();
}

async function deleteUndecided(stage: Shared): Promise<void> {
  const { program } = stage.at;
  const sale = await openSale(program, { mechanism: only(stage), limit: LIMIT });
  const bystanders = await openBystanders(stage, program, BYSTANDERS_MS);
  const stream = watchStream(stage.t, sale);
  await changePace(sale, 1);
  const told = await claimAll(sale, people(LIMIT));
  const at = await topicOf(sale);
  const sinceMs = performance.now();
  await deleteRecords(at, LIMIT / 2);
  stage.injected();
  const reason = /the log lost records: it starts at 30/;
  const stranded = await assertHalts(stage, sale, { reason, sinceMs });
  assert.ok((await queueOf(sale)).nextOffset < LIMIT / 2);
  const stalled = stream();
  assert.deepEqual([stalled["stalled"], stalled["voided"]], [true, false]);
  const waiting = await statusesOf(sale, told);
  assert.ok((waiting["stalled"] ?? 0) > LIMIT / 2, "who waits is told that the line stands");
  const first = await voidSale(sale);
  await program.restart();
  assert.deepEqual(await voidSale(sale, first.tag), first, "the answer to whoever asks again");
  assert.deepEqual(await statusesOf(sale, told), {
    issued: waiting["issued"],
    voided: waiting["stalled"],
  });
  const asked = await askEverybody(sale, told);
  // Nothing is owed to them any more: only what was lost before they were told is excepted.
  await judged(stage, sale, [...told, ...stranded, ...asked], { except: ["S11"] });
  await bystanders.end();
}

async function limitRetention(stage: Shared): Promise<void> {
  const { program } = stage.at;
  const running = await openSale(program, { mechanism: only(stage), limit: LIMIT });
  const stopped = await openSale(program, { mechanism: only(stage), limit: LIMIT });
  const reason = /retention\.(?:ms|bytes) is 3600000/;
  for (const [sale, name] of [
    [running, "retention.ms"],
    [stopped, "retention.bytes"],
  ] as const) {
    const told = await claimAll(sale, people(LIMIT / 2));
    const asked = await askEverybody(sale, told);
    if (sale === stopped) await program.stop();
    await changeSetting(await topicOf(sale), { name, value: "3600000" });
    stage.injected();
    if (sale === stopped) await program.restart();
    const after = { reason, sinceMs: performance.now() };
    const stranded = await assertHalts(stage, sale, after);
    await judged(stage, sale, [...told, ...stranded, ...asked]);
  }
}

async function readByGroups(stage: Shared): Promise<void> {
  const { program } = stage.at;
  const sale = await openSale(program, { mechanism: only(stage), limit: LIMIT });
  const bystanders = await openBystanders(stage, program, BYSTANDERS_MS);
  const claims = claimAll(sale, people(LIMIT * 2), GROUPS * 3_000);
  const at = await topicOf(sale);
  for (let round = 0; round < GROUPS; round += 1) {
    // Also under the names that somebody might think the decider has.
    const group = ["strangers", "stampede", at.topic][round % 3]!;
    await joinAndLeave(at, { group, offset: round % 2 === 0 ? 0 : LIMIT * 100 });
    stage.injected();
  }
  const told = await claims;
  await finish(stage, sale, told);
  assert.equal((await queueOf(sale)).epoch, 1, "nobody took the queue over");
  await bystanders.end();
}

async function writeForeign(stage: Shared): Promise<void> {
  const { program } = stage.at;
  const sale = await openSale(program, { mechanism: only(stage), limit: MORE });
  await startAudit(sale);
  const stream = watchStream(stage.t, sale);
  const bystanders = await openBystanders(stage, program, BYSTANDERS_MS);
  const at = await topicOf(sale);
  const claims = claimAll(sale, people(PEOPLE), BYSTANDERS_MS);
  const foreign = foreignRecords(sale.eventId);
  const places: number[] = [];
  for (const record of [...foreign, ...foreign]) {
    const end = await endOf(at);
    await until(async () => (await endOf(at)) > end, "somebody came in between");
    places.push(await appendRaw(at, [record]));
    stage.injected();
  }
  const told = await claims;
  await finish(stage, sale, told, { stream });
  const { rejected } = await queueOf(sale);
  assert.deepEqual(
    rejected.map(({ ticket }) => ticket),
    places,
  );
  assert.ok(rejected.every(({ reason }) => reason !== ""));
  for (const _ of rejected) stage.met(REJECTED);
  const log = await readLog(at);
  const queued = told.filter(({ outcome }) => outcome === "queued").length;
  assert.equal(log.length, queued + places.length, "every place is a claim's or a stranger's");
  await assertAudit(sale, log);
  await bystanders.end();
}

async function addPartitions(stage: Shared): Promise<void> {
  const { program } = stage.at;
  const [running, stopped, whole] = [
    await openSale(program, { mechanism: only(stage), limit: MORE }),
    await openSale(program, { mechanism: only(stage), limit: MORE }),
    await openSale(program, { mechanism: only(stage), limit: MORE }),
  ];
  const before = await claimAll(stopped, people(20));
  const settled = await askEverybody(stopped, before);
  // People come all the time, also while the partition is added.
  const claims = claimAtOnce(running, people(MORE / 2), { spreadMs: 1_000 });
  await until(async () => (await queueOf(running)).nextOffset > 5, "the sale has begun");
  await addPartition(await topicOf(running));
  stage.injected();
  const sinceMs = performance.now();
  const reason = /has 2 partitions/;
  const stranded = await assertHalts(stage, running, { reason, sinceMs });
  const once = await claims;
  await program.stop();
  await addPartition(await topicOf(stopped));
  stage.injected();
  await program.restart();
  const bystanders = await openBystanders(stage, program, BYSTANDERS_MS);
  const after = { reason, sinceMs: performance.now() };
  const unserved = await assertHalts(stage, stopped, after);
  await judged(stage, stopped, [...before, ...unserved, ...settled]);
  const told = [...once, ...stranded];
  await judged(stage, running, told, { except: ["S23", "L1", "L2"] });
  for (const sale of [running, stopped]) {
    assert.equal(await endOf(await topicOf(sale), 1), 0, "Produce names partition 0");
  }
  const others = await claimAll(whole, people(PEOPLE));
  await finish(stage, whole, others);
  await bystanders.end();
}

function foreignRecords(eventId: string): readonly RawRecord[] {
  const claim = { schema: 2, eventId: `not-${eventId}`, userId: "ana" };
  const key = Buffer.from("ana");
  return [
    { key, value: Buffer.from('{"schema":1,"eventId":') },
    { key, value: null },
    { key: null, value: Buffer.alloc(HUGE_BYTES, "x") },
    { key, value: Buffer.from(JSON.stringify(claim)) },
  ];
}
