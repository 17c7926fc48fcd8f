// K10 and K12: one process at the door, deciders of their own, and the decider is killed or put to
// sleep while people queue.
//
// Red when a decider starts elsewhere than at the mark (`takeOver` in kafka/decide-batch.ts), when the
// epoch is not compared (`isOurs` and `moveMark`), and when the mark is committed before its rows.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { testEngine } from "@stampede/infrastructure/embedded";
import type { Attempt } from "@stampede/lab";
import { startProgram } from "../support/program.ts";
import { marks } from "./marks.ts";
import { assertAudit, startAudit } from "./support/kafka-audit.ts";
import {
  endLeadership,
  freezeBetween,
  startDecider,
  untilBlocked,
  whileHeld,
} from "./support/kafka-deciders.ts";
import type { DeciderProcess } from "./support/kafka-deciders.ts";
import { readLog } from "./support/kafka-operator.ts";
import {
  changePace,
  claimAll,
  endQueueSale,
  openBystanders,
  queueOf,
  topicOf,
  watchStream,
} from "./support/kafka-sale.ts";
import { faultRow } from "./support/row.ts";
import type { Row } from "./support/row.ts";
import { engineMissing, openSale, people, until } from "./support/sale.ts";
import type { Sale } from "./support/sale.ts";

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

describe("a decider beside the door", { skip: engineMissing }, () => {
  test("that is killed after its commits is followed by one that goes on from the mark", async (t) => {
    const row = faultRow(t, {
      row: "K10",
      mechanism: "kafka-queue",
      fault: `SIGKILL of the deciding process after a commit, ${KILLS} times while people queue`,
      expects: ["a killed decider had committed"],
    });
    // One coupon for each: once it is sold out nobody queues any more, and there is nothing to decide.
    const sale = await openAudited(t, PEOPLE);
    const stream = watchStream(t, sale);
    const bystanders = await openBystanders(sale.program, SPREAD_MS);
    // Each decider has people of its own to come, however long it took to start.
    const claims: Promise<Attempt[]>[] = [];
    const some = PEOPLE / (KILLS + 1);
    for (let kill = 0; kill < KILLS; kill += 1) {
      const decider = await startDecider(t, sale.program);
      const { nextOffset } = await queueOf(sale);
      claims.push(claimAll(sale, people(some), GROUP_SPREAD_MS));
      const least = nextOffset + row.pick(1, 30);
      const decided = async (): Promise<boolean> => (await queueOf(sale)).nextOffset >= least;
      await until(decided, "it has decided some", SUCCESSOR_MS_MAX);
      await decider.program.kill();
      row.injected();
      row.met("a killed decider had committed");
    }
    const healedMs = performance.now();
    await startDecider(t, sale.program);
    claims.push(claimAll(sale, people(some), GROUP_SPREAD_MS));
    const told = (await Promise.all(claims)).flat();
    await end(sale, { row, told, healedMs, stream });
    await bystanders.end(row);
    assert.equal((await queueOf(sale)).epoch, KILLS + 1, "each took the queue over once");
  });

  test("that slept is refused when it wakes, whether or not its successor has decided", async (t) => {
    const row = faultRow(t, {
      row: "K12",
      mechanism: "kafka-queue",
      fault: "SIGSTOP of decider A with a batch in its hands, B takes over, SIGCONT of A; twice",
      expects: [marks.staleDecider],
    });
    const sale = await openAudited(t, LIMIT);
    const bystanders = await openBystanders(sale.program, SPREAD_MS);
    const a = await startDecider(t, sale.program);
    const told = await claimAll(sale, people(20));
    await until(async () => (await queueOf(sale)).nextOffset === 20, "A decides");
    const b = await startDecider(t, sale.program);
    told.push(...(await sleepInTransaction(sale, row, [a, b])));
    told.push(...(await sleepBetween(sale, row, [b, a])));
    const healedMs = performance.now();
    told.push(...(await claimAll(sale, people(PEOPLE), 1_000)));
    await end(sale, { row, told, healedMs });
    await bystanders.end(row);
  });
});

/** The first one's transaction waits for the event's row; it wakes before the second one's. */
async function sleepInTransaction(
  sale: Sale,
  row: Row,
  [first, second]: readonly [DeciderProcess, DeciderProcess],
): Promise<readonly Attempt[]> {
  const { epoch, nextOffset } = await queueOf(sale);
  const told = await whileHeld(sale, async () => {
    const claims = await claimAll(sale, people(30));
    await untilBlocked(sale, first);
    first.freeze();
    row.injected();
    await endLeadership(sale, first);
    await until(async () => (await queueOf(sale)).epoch > epoch, "the second one takes over");
    await untilBlocked(sale, second);
    assert.equal((await queueOf(sale)).nextOffset, nextOffset, "nothing is decided meanwhile");
    first.thaw();
    return claims;
  });
  // The first one is the next to get the row: only its epoch is stale. The audit tells whose it was.
  await until(async () => (await queueOf(sale)).nextOffset === nextOffset + 30, "all are decided");
  row.met(marks.staleDecider);
  return told;
}

/** The first one sleeps with a paced batch in its hands; the second one decides beyond it. */
async function sleepBetween(
  sale: Sale,
  row: Row,
  [first, second]: readonly [DeciderProcess, DeciderProcess],
): Promise<readonly Attempt[]> {
  const { epoch, nextOffset } = await queueOf(sale);
  await changePace(sale, PACE);
  const told = await claimAll(sale, people(60));
  await until(async () => (await queueOf(sale)).nextOffset > nextOffset, "the first one decides");
  await freezeBetween(sale, first);
  row.injected();
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
    row.met(marks.staleDecider);
  });
  return told;
}

async function openAudited(t: TestContext, limit: number): Promise<Sale> {
  const program = await startProgram(t, { ROLE: "api" });
  const sale = await openSale(program, { mechanism: "kafka-queue", limit });
  await startAudit(sale);
  return sale;
}

async function end(
  sale: Sale,
  about: {
    readonly row: Row;
    readonly told: readonly Attempt[];
    readonly healedMs: number;
    readonly stream?: () => Record<string, unknown>;
  },
): Promise<void> {
  const brokers = testEngine("kafka");
  await endQueueSale({ sale, brokers, ...about });
  await assertAudit(sale, await readLog(await topicOf({ sale, brokers })));
}
