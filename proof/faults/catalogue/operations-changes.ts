// O1: an operator raises, pauses and goes on, raises against the last coupon, and closes, while people
// claim at all three mechanisms.
//
// Red when `If-Match` is read outside the row's lock (B44: `event.version !== version` in
// rows/event-store.ts), when the door does not look at `paused` or `closesAt` (`doorRefusal` in
// model/claim.ts), and when a limit may rise once all is issued (`soldOut` in model/coupon-event.ts).
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import type { Attempt } from "@stampede/lab";
import { until } from "@stampede/launcher/testing";
import type { FaultCase, Stage } from "../case.ts";
import { finish } from "../finish.ts";
import { marks } from "../marks.ts";
import { decidesInRow, MECHANISMS, queues } from "../mechanisms.ts";
import { happened, NeverHappened } from "../notes.ts";
import type { Places } from "../places.ts";
import { endOf } from "../support/kafka-operator.ts";
import { changeEvent, readEvent } from "../support/operations.ts";
import type { EventSeen, OperatorAnswer } from "../support/operations.ts";
import { queueOf, topicOf } from "../support/queue.ts";
import { claimAtOnce, claimUntilAnswered, openSale, people, readStored } from "../support/sale.ts";
import type { Sale } from "../support/sale.ts";

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
/** A look that takes longer sees less of the last coupons, so the operator begins with more left. */
const LOOK_MS = 60;

const CLOSING_PEOPLE = 150;
const CLOSING_SPREAD_MS = 4_500;
const CLOSES_IN_MS = 2_000;
/** Two clocks' readings and an instant in between (S22). */
const EDGE_MS = 50;

const MET_PAUSE = "a claim met the pause";

export const changeCases: readonly FaultCase[] = [
  {
    id: "O1",
    mechanisms: MECHANISMS,
    beside: "spared",
    injects: "raises, six at one If-Match, a pause, and raises against the last coupon",
    holds: "exactly the final limit is issued, nobody gets in during the pause, sold out is final",
    runs: "test",
    expects: [marks.raiseLost, MET_PAUSE],
    place: "shared",
    run: async (stage) =>
      Promise.all(stage.mechanisms.map(async (mechanism) => sellChanged(stage, mechanism))),
  },
  {
    id: "O1",
    mechanisms: MECHANISMS,
    beside: "spared",
    injects: "the event's close is set into the middle of the sale",
    holds: "who was let in is decided, and nobody comes after",
    runs: "proof",
    place: "shared",
    run: async (stage) =>
      Promise.all(stage.mechanisms.map(async (mechanism) => sellClosed(stage, mechanism))),
  },
];

type Shared = Stage<Places["shared"]>;

async function sellChanged(stage: Shared, mechanism: Sale["mechanism"]): Promise<void> {
  const { program } = stage.at;
  const sale = await openSale(program, { mechanism, limit: LIMIT });
  const options = { spreadMs: SPREAD_MS, deadlineMs: DEADLINE_MS };
  const [told, operated] = await Promise.all([
    claimUntilAnswered(sale, people(PEOPLE), options),
    operate(stage, sale),
  ]);
  told.push(...operated.told);
  assertPaused(stage, sale, told, operated.pause);
  const now = await readEvent(program, sale.eventId);
  assert.equal(now?.limit, operated.limit, "S20: the limit is the last that was accepted");
  assert.equal(now.version, 1 + operated.accepted, "S26: one version for each 200");
  await finish(stage, { ...sale, limit: operated.limit }, told, { limitAtStart: LIMIT });
}

async function sellClosed(stage: Shared, mechanism: Sale["mechanism"]): Promise<void> {
  const sale = await openSale(stage.at.program, { mechanism, limit: CLOSING_PEOPLE });
  const claims = claimAtOnce(sale, people(CLOSING_PEOPLE), { spreadMs: CLOSING_SPREAD_MS });
  await until(async () => (await readStored(sale)).issued > 0, "the sale has begun");
  const { closesAt, closesMs } = await closeSoon(sale);
  stage.notes(mechanism).injected();
  const told = await claims;
  const after = told.filter(({ sentMs }) => sentMs > closesMs + EDGE_MS);
  happened(after.length > 0, "nobody came after the close");
  assert.deepEqual(notRefusedAs(after, "closed"), [], `S22: ${mechanism}`);
  const before = told.filter(({ returnedMs }) => returnedMs < closesMs - EDGE_MS);
  happened(before.length > 0, "nobody came before the close");
  const others = before.filter(({ outcome }) => outcome !== "issued" && outcome !== "queued");
  assert.deepEqual(others, []);
  const out = told.filter(({ outcome }) => outcome === "refused").map(({ person }) => person);
  const rows = told.length - out.length;
  await finish(stage, sale, told, { rows, leftOut: new Set(out), closesAt });
}

/** An operator's change counts within a second, and at once where it is judged under the row's lock. */
function countsMs(sale: Sale): number {
  return decidesInRow(sale) ? 0 : 1_000;
}

type Pause = { readonly fromMs: number; readonly untilMs: number };

type Operated = {
  readonly limit: number;
  readonly accepted: number;
  readonly pause: Pause;
  /** What one person was told who came during the pause, whatever the crowd did, and again after it. */
  readonly told: readonly Attempt[];
};

/** All that the operator does to a sale that has begun. */
async function operate(stage: Pick<Stage, "notes" | "pick">, sale: Sale): Promise<Operated> {
  await until(async () => (await readStored(sale)).issued > 5, "the sale has begun");
  const raised = await raceOfRaises(sale);
  stage.notes(sale.mechanism).injected(RACERS + 1);
  const paused = await change(sale, raised, { paused: true });
  const fromMs = paused.returnedMs + countsMs(sale);
  await pause(fromMs - performance.now() + PAUSED_MS);
  const latecomer = people(1);
  const told = await claimAtOnce(sale, latecomer);
  if (queues(sale)) {
    // The door is shut, not the line: nobody comes any more, and all who came are decided.
    const at = await topicOf(sale);
    await until(
      async () => (await queueOf(sale)).nextOffset === (await endOf(at)),
      "who was queued is decided while the event is paused",
    );
  }
  const resumed = await change(sale, seen(paused), { paused: false });
  const options = { spreadMs: 0, deadlineMs: DEADLINE_MS };
  const [{ limit, accepted }, later] = await Promise.all([
    raiseToTheEnd(stage, sale, seen(resumed)),
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
  { notes, pick }: Pick<Stage, "notes" | "pick">,
  sale: Sale,
  from: EventSeen,
): Promise<{ readonly limit: number; readonly accepted: number }> {
  const { program } = sale;
  let event = from;
  for (let accepted = 0; accepted < RAISES_MAX; accepted += 1) {
    const remaining = await untilNearTheEnd(sale);
    await pause(pick(...NEAR_MS) + accepted * LATER_MS);
    const answer = await changeEvent(program, event, { limit: event.limit + NEAR });
    notes(sale.mechanism).injected();
    if (answer.status === 200) {
      event = seen(answer);
      continue;
    }
    assert.equal(answer.problem, "limit-not-raisable");
    if (remaining > 0) notes(sale.mechanism).met(marks.raiseLost);
    const { limit } = event;
    const ended = await readEvent(program, sale.eventId);
    assert.equal(ended?.issued, limit, "S20: only a sold-out event refuses a raise");
    const again = await changeEvent(program, event, { limit: limit + 1_000 });
    assert.equal(again.problem, "limit-not-raisable", "sold out is final");
    return { limit, accepted };
  }
  throw new NeverHappened(`${sale.mechanism}: ${RAISES_MAX} raises and none met the last coupon`);
}

/** Gives how many coupons were left when it looked last. */
async function untilNearTheEnd({ program, eventId }: Sale): Promise<number> {
  const endMs = performance.now() + DEADLINE_MS;
  for (;;) {
    const sentMs = performance.now();
    const remaining = (await readEvent(program, eventId))?.remaining ?? Number.NaN;
    const looksTaken = Math.max(1, (performance.now() - sentMs) / LOOK_MS);
    if (remaining <= NEAR * looksTaken) return remaining;
    assert.ok(sentMs < endMs, `${remaining} coupons are left and nobody comes`);
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
function assertPaused(
  stage: Pick<Stage, "notes">,
  sale: Sale,
  told: readonly Attempt[],
  at: Pause,
): void {
  const during = told.filter(
    ({ sentMs, returnedMs }) => sentMs >= at.fromMs && returnedMs <= at.untilMs,
  );
  happened(during.length > 0, `${sale.mechanism}: nobody claimed during the pause`);
  stage.notes(sale.mechanism).met(MET_PAUSE);
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
  happened(returnedMs + countsMs(sale) < closesMs, "the change came too late to count");
  return { closesAt, closesMs };
}
