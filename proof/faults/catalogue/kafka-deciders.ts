// K10 and K12: one process at the door, deciders of their own, and the decider is killed or put to
// sleep while people queue.
//
// Red when a decider starts elsewhere than at the mark (`takeOver` in kafka-queue/decider/decide-batch.ts), when the
// epoch is not compared (`isOurs` and `moveMark`), and when rows and mark are committed apart, or the mark first
// (`decideBatch` there).
import assert from "node:assert/strict";
import type { Attempt } from "@stampede/lab";
import { until } from "@stampede/launcher/testing";
import { startProgram } from "../../support/program.ts";
import type { FaultCase, Stage } from "../case.ts";
import { finish } from "../finish.ts";
import type { Ending } from "../finish.ts";
import { marks } from "../marks.ts";
import { KAFKA_MECHANISMS, only } from "../mechanisms.ts";
import { assertAudit, startAudit } from "../support/kafka-audit.ts";
import {
  endLeadership,
  freezeBetween,
  startDecider,
  untilBlocked,
  whileHeld,
} from "../support/kafka-deciders.ts";
import type { DeciderProcess } from "../support/kafka-deciders.ts";
import { readLog } from "../support/kafka-operator.ts";
import { changePace, claimAll, openBystanders, watchStream } from "../support/kafka-sale.ts";
import { queueOf, topicOf } from "../support/queue.ts";
import { openSale, people } from "../support/sale.ts";
import type { Sale } from "../support/sale.ts";

const PEOPLE = 300;
const LIMIT = 150;
const KILLS = 2;
/** No promise is measured here: a successor on a busy machine may take its time. */
const SUCCESSOR_MS_MAX = 30_000;
/** v1's and v2's people come over about as long as deciders start and end. */
const SPREAD_MS = 9_000;
const GROUP_SPREAD_MS = 1_000;
/** Slow enough to have a batch in its hands for seconds. */
const PACE = 10;

const COMMITTED = "a killed decider had committed";

export const killedDeciderCase: FaultCase = {
  id: "K10",
  mechanisms: KAFKA_MECHANISMS,
  apart: true,
  injects: `SIGKILL of the deciding process after a commit, ${KILLS} times while people queue`,
  holds: "its successor goes on from the mark",
  runs: "proof",
  expects: [COMMITTED],
  place: "own",
  run: killDeciders,
};

export const pausedDeciderCase: FaultCase = {
  id: "K12",
  mechanisms: KAFKA_MECHANISMS,
  apart: true,
  injects: "SIGSTOP of decider A with a batch in its hands, B takes over, SIGCONT of A; twice",
  holds: "a paused decider commits nothing after it resumes",
  runs: "test",
  expects: [marks.staleDecider],
  place: "own",
  run: pauseDeciders,
};

async function killDeciders(stage: Stage): Promise<void> {
  // One coupon for each: once it is sold out nobody queues any more, and there is nothing to decide.
  const sale = await openAudited(stage, PEOPLE);
  const stream = watchStream(stage.t, sale);
  const bystanders = await openBystanders(stage, sale.program, SPREAD_MS);
  // Each decider has people of its own to come, however long it took to start.
  const claims: Promise<Attempt[]>[] = [];
  const some = PEOPLE / (KILLS + 1);
  for (let kill = 0; kill < KILLS; kill += 1) {
    const decider = await startDecider(stage.t, sale.program);
    const { nextOffset } = await queueOf(sale);
    claims.push(claimAll(sale, people(some), GROUP_SPREAD_MS));
    const least = nextOffset + stage.pick(1, 30);
    const decided = async (): Promise<boolean> => (await queueOf(sale)).nextOffset >= least;
    await until(decided, "it has decided some", { msMax: SUCCESSOR_MS_MAX });
    await decider.program.kill();
    stage.injected();
    stage.met(COMMITTED);
  }
  const healedMs = performance.now();
  await startDecider(stage.t, sale.program);
  claims.push(claimAll(sale, people(some), GROUP_SPREAD_MS));
  const told = (await Promise.all(claims)).flat();
  await endAudited(stage, sale, told, { healedMs, stream });
  await bystanders.end();
  assert.equal((await queueOf(sale)).epoch, KILLS + 1, "each took the queue over once");
}

async function pauseDeciders(stage: Stage): Promise<void> {
  const sale = await openAudited(stage, LIMIT);
  const bystanders = await openBystanders(stage, sale.program, SPREAD_MS);
  const a = await startDecider(stage.t, sale.program);
  const told = await claimAll(sale, people(20));
  await until(async () => (await queueOf(sale)).nextOffset === 20, "A decides");
  const b = await startDecider(stage.t, sale.program);
  told.push(...(await sleepInTransaction(stage, sale, [a, b])));
  told.push(...(await sleepBetween(stage, sale, [b, a])));
  const healedMs = performance.now();
  told.push(...(await claimAll(sale, people(PEOPLE), 1_000)));
  await endAudited(stage, sale, told, { healedMs });
  await bystanders.end();
}

/** The first one's transaction waits for the event's row; it wakes before the second one's. */
async function sleepInTransaction(
  stage: Stage,
  sale: Sale,
  [first, second]: readonly [DeciderProcess, DeciderProcess],
): Promise<readonly Attempt[]> {
  const { epoch, nextOffset } = await queueOf(sale);
  const told = await whileHeld(sale, async () => {
    const claims = await claimAll(sale, people(30));
    await untilBlocked(sale, first);
    first.freeze();
    stage.injected();
    await endLeadership(sale, first);
    await until(async () => (await queueOf(sale)).epoch > epoch, "the second one takes over");
    await untilBlocked(sale, second);
    assert.equal((await queueOf(sale)).nextOffset, nextOffset, "nothing is decided meanwhile");
    first.thaw();
    return claims;
  });
  // The first one is the next to get the row: only its epoch is stale. The audit tells whose it was.
  await until(async () => (await queueOf(sale)).nextOffset === nextOffset + 30, "all are decided");
  stage.met(marks.staleDecider);
  return told;
}

/** The first one sleeps with a paced batch in its hands; the second one decides beyond it. */
async function sleepBetween(
  stage: Stage,
  sale: Sale,
  [first, second]: readonly [DeciderProcess, DeciderProcess],
): Promise<readonly Attempt[]> {
  const { epoch, nextOffset } = await queueOf(sale);
  await changePace(sale, PACE);
  const told = await claimAll(sale, people(60));
  await until(async () => (await queueOf(sale)).nextOffset > nextOffset, "the first one decides");
  await freezeBetween(sale, first);
  stage.injected();
  assert.ok((await queueOf(sale)).nextOffset < nextOffset + 60, "it has some in its hands");
  await changePace(sale, null);
  const decided = async (): Promise<boolean> =>
    (await queueOf(sale)).nextOffset === nextOffset + 60;
  await until(decided, `${second.user} decides the rest`);
  assert.ok((await queueOf(sale)).epoch > epoch);
  await whileHeld(sale, async () => {
    first.thaw();
    // The second one has nothing to decide: whoever comes for the row now comes too late.
    await untilBlocked(sale, first);
    stage.met(marks.staleDecider);
  });
  return told;
}

/** A door without a decider, and a witness of all that is decided. */
export async function openAudited(stage: Stage, limit: number): Promise<Sale> {
  const program = await startProgram(stage.t, { ROLE: "api" });
  const sale = await openSale(program, { mechanism: only(stage), limit });
  await startAudit(sale);
  return sale;
}

export async function endAudited(
  stage: Stage,
  sale: Sale,
  told: readonly Attempt[],
  ending: Ending,
): Promise<void> {
  await finish(stage, sale, told, ending);
  await assertAudit(sale, await readLog(await topicOf(sale)));
}
