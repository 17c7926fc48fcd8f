// O1: an operator raises, pauses and goes on, raises against the last coupon, and closes, while people
// claim at all three mechanisms.
//
// Red when `If-Match` is read outside the row's lock (B44: `event.version !== version` in
// postgres/event-store.ts), when the door does not look at `paused` or `closesAt` (`doorRefusal` in
// model/claim.ts), and when a limit may rise once all is issued (`soldOut` in model/coupon-event.ts).
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { test } from "node:test";
import { testEngine } from "@stampede/infrastructure/embedded";
import type { Attempt } from "@stampede/lab";
import { startProgram } from "../support/program.ts";
import { marks } from "./marks.ts";
import { endOf } from "./support/kafka-operator.ts";
import { queueOf, topicOf } from "./support/kafka-sale.ts";
import { changeEvent, endSale, readEvent } from "./support/operations.ts";
import type { EventSeen, OperatorAnswer } from "./support/operations.ts";
import { faultRow } from "./support/row.ts";
import type { Row } from "./support/row.ts";
import {
  claimAtOnce,
  claimUntilAnswered,
  engineMissing,
  MECHANISMS,
  openSale,
  people,
  readStored,
  until,
} from "./support/sale.ts";
import type { Sale } from "./support/sale.ts";

const PEOPLE = 400;
const SPREAD_MS = 8_000;
const DEADLINE_MS = 40_000;
/** So many that those who waited for the end of the pause, and come at once then, do not take them all. */
const LIMIT = 250;
const RACERS = 6;
const PAUSED_MS = 600;
/**
 * A raise is sent when so few are left that the crowd takes them all in a quarter of a second, and
 * adds so few that the end comes again at once. Each comes a bit later than the last: one is too late.
 */
const NEAR = 12;
const NEAR_MS = [0, 120] as const;
const LATER_MS = 40;
const RAISES_MAX = 11;
const LOOK_EVERY_MS = 2;
/** v2 and v3 count an operator's change within a second; v1 judges under the row's lock. */
const COUNTS_MS = { "row-lock": 0, "redis-counter": 1_000, "kafka-queue": 1_000 } as const;

const CLOSING_PEOPLE = 150;
const CLOSING_SPREAD_MS = 4_500;
const CLOSES_IN_MS = 2_000;
/** Two clocks' readings and an instant in between (S22). */
const EDGE_MS = 50;

test("an operator changes events while people claim", { skip: engineMissing }, async (t) => {
  const program = await startProgram(t);
  const brokers = testEngine("kafka");
  await t.test("raises, pauses, and raises against the last coupon", async (t) => {
    const fault = "raises, six at one If-Match, a pause, and raises against the last coupon";
    const expects = [marks.raiseLost, "a claim met the pause"];
    const sales = MECHANISMS.map((mechanism) => {
      return { mechanism, row: faultRow(t, { row: "O1", mechanism, fault, expects }) };
    });
    await Promise.all(
      sales.map(async ({ mechanism, row }) => {
        const sale = await openSale(program, { mechanism, limit: LIMIT });
        const options = { spreadMs: SPREAD_MS, deadlineMs: DEADLINE_MS };
        const [told, operated] = await Promise.all([
          claimUntilAnswered(sale, people(PEOPLE), options),
          operate(sale, row, brokers),
        ]);
        told.push(...operated.told);
        assertPaused(sale, row, told, operated.pause);
        const now = await readEvent(program, sale.eventId);
        assert.equal(now?.limit, operated.limit, "S20: the limit is the last that was accepted");
        assert.equal(now.version, 1 + operated.accepted, "S26: one version for each 200");
        const ended = { ...sale, limit: operated.limit };
        const rows = await endSale(ended, { row, told, brokers, limitAtStart: LIMIT });
        assert.equal(rows, operated.limit, `${mechanism}: exactly the final limit`);
      }),
    );
  });

  await t.test("closes: who was let in is decided, and nobody comes after", async (t) => {
    const fault = "the event's close is set into the middle of the sale";
    const sales = MECHANISMS.map((mechanism) => {
      return { mechanism, row: faultRow(t, { row: "O1", mechanism, fault }) };
    });
    await Promise.all(
      sales.map(async ({ mechanism, row }) => {
        const sale = await openSale(program, { mechanism, limit: CLOSING_PEOPLE });
        const claims = claimAtOnce(sale, people(CLOSING_PEOPLE), { spreadMs: CLOSING_SPREAD_MS });
        await until(async () => (await readStored(sale)).issued > 0, "the sale has begun");
        const { closesAt, closesMs } = await closeSoon(sale);
        row.injected();
        const told = await claims;
        const after = told.filter(({ sentMs }) => sentMs > closesMs + EDGE_MS);
        assert.ok(after.length > 0, "nobody came after the close");
        assert.deepEqual(notRefusedAs(after, "closed"), [], `S22: ${mechanism}`);
        const before = told.filter(({ returnedMs }) => returnedMs < closesMs - EDGE_MS);
        assert.ok(before.length > 0, "nobody came before the close");
        assert.deepEqual(
          before.filter(({ outcome }) => outcome !== "issued" && outcome !== "queued"),
          [],
        );
        const out = told.filter(({ outcome }) => outcome === "refused");
        const leftOut = new Set(out.map(({ person }) => person));
        const rows = await endSale(sale, { row, told, brokers, leftOut, closesAt });
        assert.equal(rows, told.length - out.length, `${mechanism}: all who were let in`);
      }),
    );
  });
});

type Pause = { readonly fromMs: number; readonly untilMs: number };

type Operated = {
  readonly limit: number;
  readonly accepted: number;
  readonly pause: Pause;
  /** What one person was told who came during the pause, whatever the crowd did, and again after it. */
  readonly told: readonly Attempt[];
};

/** All that the operator does to a sale that has begun. */
async function operate(sale: Sale, row: Row, brokers: string): Promise<Operated> {
  await until(async () => (await readStored(sale)).issued > 5, "the sale has begun");
  const raised = await raceOfRaises(sale);
  row.injected(RACERS);
  const paused = await change(sale, raised, { paused: true });
  row.injected();
  const fromMs = paused.returnedMs + COUNTS_MS[sale.mechanism];
  await pause(fromMs - performance.now() + PAUSED_MS);
  const latecomer = people(1);
  const told = await claimAtOnce(sale, latecomer);
  if (sale.mechanism === "kafka-queue") {
    // The door is shut, not the line: nobody comes any more, and all who came are decided.
    const at = await topicOf({ sale, brokers });
    await until(
      async () => (await queueOf(sale)).nextOffset === (await endOf(at)),
      "who was queued is decided while the event is paused",
    );
  }
  const resumed = await change(sale, seen(paused), { paused: false });
  const options = { spreadMs: 0, deadlineMs: DEADLINE_MS };
  const [{ limit, accepted }, later] = await Promise.all([
    raiseToTheEnd(sale, row, seen(resumed)),
    claimUntilAnswered(sale, latecomer, options),
  ]);
  told.push(...later);
  const untilMs = resumed.sentMs;
  return { limit, accepted: accepted + 3, pause: { fromMs, untilMs }, told };
}

/** Several raises by operators who have all read the same version: one of them wins. */
async function raceOfRaises(sale: Sale): Promise<EventSeen> {
  const { program, eventId } = sale;
  const read = await readEvent(program, eventId);
  assert.ok(read !== null);
  const answers = await Promise.all(
    Array.from({ length: RACERS }, async (_, n) =>
      changeEvent(program, read, { limit: LIMIT + 1 + n }),
    ),
  );
  const [won, ...more] = answers.filter(({ status }) => status === 200);
  assert.ok(won !== undefined && more.length === 0, "S26: one of them gets 200");
  const lost = answers.filter((answer) => answer !== won);
  assert.ok(lost.every(({ problem }) => problem === "stale-version"));
  const now = await readEvent(program, eventId);
  assert.equal(now?.limit, won.event?.limit);
  assert.equal(now?.version, read.version + 1);
  return seen(won);
}

/**
 * Raises a little whenever the last coupon is about to go, until it has gone first. Then the event
 * is sold out for good: whoever was told so is never overtaken by a later raise (S20).
 */
async function raiseToTheEnd(
  sale: Sale,
  row: Row,
  from: EventSeen,
): Promise<{ readonly limit: number; readonly accepted: number }> {
  const { program } = sale;
  let event = from;
  for (let accepted = 0; accepted < RAISES_MAX; accepted += 1) {
    const remaining = await untilNearTheEnd(sale);
    await pause(row.pick(...NEAR_MS) + accepted * LATER_MS);
    const answer = await changeEvent(program, event, { limit: event.limit + NEAR });
    row.injected();
    if (answer.status === 200) {
      event = seen(answer);
      continue;
    }
    assert.equal(answer.problem, "limit-not-raisable");
    if (remaining > 0) row.met(marks.raiseLost);
    const { limit } = event;
    const ended = await readEvent(program, sale.eventId);
    assert.equal(ended?.issued, limit, "S20: only a sold-out event refuses a raise");
    const again = await changeEvent(program, event, { limit: limit + 1_000 });
    assert.equal(again.problem, "limit-not-raisable", "sold out is final");
    return { limit, accepted };
  }
  throw new Error(`${sale.mechanism}: ${RAISES_MAX} raises and none met the last coupon`);
}

/** Gives how many coupons were left when it looked last. */
async function untilNearTheEnd({ program, eventId }: Sale): Promise<number> {
  const endMs = performance.now() + DEADLINE_MS;
  for (;;) {
    const remaining = (await readEvent(program, eventId))?.remaining ?? Number.NaN;
    if (remaining <= NEAR) return remaining;
    assert.ok(performance.now() < endMs, `${remaining} coupons are left and nobody comes`);
    await pause(LOOK_EVERY_MS);
  }
}

async function change(
  { program }: Sale,
  read: EventSeen,
  wanted: Readonly<Record<string, unknown>>,
): Promise<OperatorAnswer> {
  const answer = await changeEvent(program, read, wanted);
  assert.equal(answer.status, 200, `${JSON.stringify(wanted)}: ${answer.problem}`);
  return answer;
}

function seen({ event }: OperatorAnswer): EventSeen {
  assert.ok(event !== null);
  return event;
}

/** S22: from when the pause counts until it ends, nobody is let in; holders are told their coupon. */
function assertPaused(sale: Sale, row: Row, told: readonly Attempt[], at: Pause): void {
  const during = told.filter(
    ({ sentMs, returnedMs }) => sentMs >= at.fromMs && returnedMs <= at.untilMs,
  );
  assert.ok(during.length > 0, `${sale.mechanism}: nobody claimed during the pause`);
  row.met("a claim met the pause");
  const others = notRefusedAs(during, "paused").filter(({ outcome }) => outcome !== "replay");
  assert.deepEqual(others, [], `S22: ${sale.mechanism}`);
}

function notRefusedAs(told: readonly Attempt[], problem: string): readonly Attempt[] {
  return told.filter(({ problemType }) => problemType !== `/problems/${problem}`);
}

/** Sets a close that lies behind the moment from which the change counts everywhere. */
async function closeSoon(sale: Sale): Promise<{ closesAt: string; closesMs: number }> {
  const read = await readEvent(sale.program, sale.eventId);
  assert.ok(read !== null);
  const closesMs = performance.now() + CLOSES_IN_MS;
  const closesAt = new Date(Date.now() + CLOSES_IN_MS).toISOString();
  const { returnedMs } = await change(sale, read, { closesAt });
  assert.ok(returnedMs + COUNTS_MS[sale.mechanism] < closesMs, "the change came too late to count");
  return { closesAt, closesMs };
}
