// T1, T3: the wall clock of the service is an hour ahead, an hour behind, or steps back in mid-sale,
// in the only process or in one of two, the one that leads. Windows, deadlines, estimates, the pace,
// `issuedAt` and the date of every answer stay where the database's clock and the monotonic one have them.
//
// Red when a door judges by this machine's clock (`nowMs` of postgres/database-clock.ts), when a
// deadline or a rate is counted by it (`performance.now` in postgres/waiting-line.ts, kafka/pace.ts),
// and when answers carry Node's own date (`registerDate` in api/src/app.ts).
import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { testEngine } from "@stampede/infrastructure/embedded";
import type { Attempt, Mechanism } from "@stampede/lab";
import { startProgram } from "../support/program.ts";
import type { Program } from "../support/program.ts";
import { whileRowHeld } from "./support/held-row.ts";
import { changePace, endQueueSale, watchStream } from "./support/kafka-sale.ts";
import { finishRow } from "./support/proxy-program.ts";
import { faultRow } from "./support/row.ts";
import type { Row } from "./support/row.ts";
import {
  claimAtOnce,
  engineMissing,
  MECHANISMS,
  openSale,
  people,
  readStored,
  throughInstance,
} from "./support/sale.ts";
import type { Sale } from "./support/sale.ts";
import {
  assertInOrder,
  assertInTime,
  claimAround,
  judgeWindow,
  readClock,
  scheduleSale,
  untilAllPlaces,
  windowOf,
} from "./support/window-edges.ts";
import type { Edge, EdgeName, Scheduled } from "./support/window-edges.ts";
import { faketimeMissing, secondsAhead, startWrongClock } from "./support/wrong-clock.ts";
import type { WrongClock } from "./support/wrong-clock.ts";

const HOUR_S = 3_600;
/** A busy machine takes its time for a line in the log; an hour it does not take. */
const SEEN_S_APART_MAX = 5;
/** `Date` has whole seconds. */
const DATE_MS_APART_MAX = 2_000;
/** S22 for the door, and roundings. */
const ISSUED_MS_APART_MAX = 60;
const PACE = 20;
const PEOPLE_PACED = 60;
/** An estimate has one decimal. */
const ESTIMATE_S_APART_MAX = 0.11;
const WAIT_S_APART_MAX = 3;
/** Whoever cannot be served is told so within ten seconds, and not at once. */
const TOLD_MS = { from: 1_000, to: 10_000 };

const skip = engineMissing || faketimeMissing;

type Place = {
  readonly row: "T1" | "T3";
  readonly fault: string;
  readonly program: Program;
  readonly clock: WrongClock;
  /** Another instance, whose clock is right. */
  readonly other?: Program;
  /** What the clock is set to in the middle of things, one after the other. */
  readonly steps: readonly number[];
};

const wrongs = [
  { row: "T1", starts: HOUR_S, steps: [], fault: "the service's clock is an hour ahead" },
  { row: "T1", starts: -HOUR_S, steps: [], fault: "the service's clock is an hour behind" },
  {
    row: "T3",
    starts: 0,
    steps: [-HOUR_S, -2 * HOUR_S],
    fault: "the service's clock steps back by an hour in mid-sale, and again",
  },
] as const;

for (const { row, starts, steps, fault } of wrongs) {
  test(`${row}: ${fault}`, { skip }, async (t) => {
    const clock = startWrongClock(t, starts);
    const program = await startProgram(t, clock.environment);
    await trySales(t, { row, fault, program, clock, steps });
  });
}

test("T1, T3: of two instances the leading one's clock is wrong", { skip }, async (t) => {
  const clock = startWrongClock(t, HOUR_S);
  const program = await startProgram(t, clock.environment);
  const other = await startProgram(t, { DATABASE_URL: program.databaseUrl });
  const at = { program, clock, other };
  const ahead = "the clock of one of two instances is an hour ahead";
  await trySales(t, { ...at, row: "T1", fault: ahead, steps: [] });
  const back = "the clock of one of two instances steps back by an hour, and again";
  await trySales(t, { ...at, row: "T3", fault: back, steps: [0, -HOUR_S] });
});

async function trySales(t: TestContext, place: Place): Promise<void> {
  for (const mechanism of MECHANISMS) {
    await t.test(`${place.fault}: ${mechanism}: both edges of the window`, async (t) => {
      const row = faultRow(t, { ...place, mechanism });
      await untilAllPlaces(async () => sellAtEdges(row, place, mechanism));
    });
  }
  if (place.other !== undefined) return;
  await t.test(`${place.fault}: who cannot be served is told in time`, async (t) => {
    await keepDeadlines(faultRow(t, { ...place, mechanism: "all" }), place);
  });
  await t.test(`${place.fault}: pace, estimate and stream`, async (t) => {
    await queueAtPace(t, faultRow(t, { ...place, mechanism: "kafka-queue" }), place);
  });
}

/** T2's claims and T2's judge; the clock steps just before each edge. */
async function sellAtEdges(row: Row, place: Place, mechanism: Mechanism): Promise<Attempt[]> {
  const { clock, other, steps } = place;
  clock.step(clock.startsAt);
  const scheduled = await scheduleSale(place.program, mechanism);
  const otherDoor = other === undefined ? undefined : throughInstance(scheduled.sale, other);
  const around = async (edge: EdgeName, step: number | undefined): Promise<Edge> =>
    claimAround(scheduled, edge, {
      ...(otherDoor === undefined ? {} : { otherDoor }),
      beforeEdge: () => {
        if (step !== undefined) clock.step(step);
      },
    });
  await assertWrong(place, 0);
  const opening = await around("opensAt", steps[0]);
  await assertWrong(place, 1);
  const closing = await around("closesAt", steps[1]);
  await assertWrong(place, 2);
  row.injected(Math.max(1, steps.length));
  const told = [...opening.told, ...closing.told];
  const timed = { ...scheduled, window: windowOf(opening, closing) };
  assertInOrder(timed, told);
  assertInTime(timed, told);
  await assertDates(scheduled);
  clock.step(0);
  const healedMs = performance.now();
  await judgeWindow(timed, told, row);
  row.recovered("L2", Math.round(performance.now() - healedMs));
  await assertIssuedAt(timed, told);
  return told;
}

/** The fault is there: the process's own log tells the wrong time, as it was last set. */
async function assertWrong({ row, program, clock, steps }: Place, taken: number): Promise<void> {
  const wanted = steps[Math.min(taken, steps.length) - 1] ?? clock.startsAt;
  const seen = await secondsAhead(program);
  assert.ok(
    Math.abs(seen - wanted) <= SEEN_S_APART_MAX,
    `${row}: the clock is ${seen} s ahead, not ${wanted}`,
  );
}

/** No row is dated outside the time in which its person asked and had not yet been told. */
async function assertIssuedAt({ sale, clock }: Scheduled, told: readonly Attempt[]): Promise<void> {
  const nowMs = performance.now() + clock.offsetMs;
  const { rows } = await readStored(sale);
  const claims = new Map(told.map((attempt) => [attempt.person, attempt]));
  for (const { userId, issuedAt } of rows) {
    const { sentMs, returnedMs } = claims.get(userId)!;
    const fromMs = sentMs + clock.offsetMs - ISSUED_MS_APART_MAX;
    // In v3 the row comes after the answer.
    const toMs = sale.mechanism === "kafka-queue" ? nowMs : returnedMs + clock.offsetMs;
    const issuedAtMs = Date.parse(issuedAt);
    assert.ok(
      issuedAtMs >= fromMs && issuedAtMs <= toMs + ISSUED_MS_APART_MAX,
      `${userId}: issued at ${issuedAt}, ${issuedAtMs - fromMs} ms after the claim`,
    );
  }
}

/** The page counts down to an opening by it. */
async function assertDates({ sale, clock }: Scheduled): Promise<void> {
  for (const path of ["/healthz", `/events/${sale.eventId}`]) {
    const answer = await fetch(`${sale.program.url}${path}`);
    const nowMs = performance.now() + clock.offsetMs;
    const apartMs = Date.parse(answer.headers.get("date") ?? "") - nowMs;
    assert.ok(Math.abs(apartMs) <= DATE_MS_APART_MAX, `${path} is dated ${apartMs} ms off`);
    await answer.body?.cancel();
  }
}

/** Another session holds the rows of v1 and v2: one is told no, one that nobody knows, v3 queues. */
async function keepDeadlines(row: Row, place: Place): Promise<void> {
  const { program, clock, steps } = place;
  clock.step(clock.startsAt);
  const sales = await Promise.all(
    MECHANISMS.map(async (mechanism) => openSale(program, { mechanism, limit: 1 })),
  );
  const [rowLock, counter] = sales as [Sale, Sale, Sale];
  const told = await whileRowHeld(rowLock, async (untilWaited) =>
    whileRowHeld(counter, async () => {
      const claims = Promise.all(sales.map(async (sale) => claimAtOnce(sale, people(1))));
      // Awaited below; if nobody waits for the row, the test ends before that.
      claims.catch(() => undefined);
      await untilWaited();
      if (steps[0] !== undefined) clock.step(steps[0]);
      return claims;
    }),
  );
  const healedMs = performance.now();
  await assertWrong(place, 1);
  row.injected();
  const outcomes = told.map(([attempt]) => attempt?.outcome);
  assert.deepEqual(outcomes, ["refused", "unknown", "queued"]);
  for (const attempts of told.slice(0, 2)) {
    const ms = attempts[0]!.returnedMs - attempts[0]!.sentMs;
    assert.ok(ms > TOLD_MS.from && ms < TOLD_MS.to, `${attempts[0]!.mechanism}: after ${ms} ms`);
  }
  for (const [n, sale] of sales.entries()) {
    if (n === 0) told[0]!.push(...(await claimAtOnce(sale, people(1))));
    await finishRow(row, sale, told[n]!, healedMs);
  }
}

type Told = {
  readonly status: string;
  readonly ahead: number;
  readonly estimate: { readonly seconds: number } | null;
};

/** A line that is decided at a pace: each estimate is the arithmetic of the pace, and comes true. */
async function queueAtPace(t: TestContext, row: Row, place: Place): Promise<void> {
  const { program, clock, steps } = place;
  clock.step(clock.startsAt);
  const sale = await openSale(program, { mechanism: "kafka-queue", limit: PEOPLE_PACED + 1 });
  const stream = watchStream(t, sale);
  await changePace(sale, PACE);
  const told = await claimAtOnce(sale, people(PEOPLE_PACED));
  const askedMs = performance.now();
  const [last] = await claimAtOnce(sale, people(1));
  told.push(last!);
  const path = `/events/${sale.eventId}/issues/me?ticket=${last!.ticket}`;
  const ask = async (): Promise<Told> => {
    const headers = { "x-user-id": last!.person };
    return (await (await fetch(`${program.url}${path}`, { headers })).json()) as Told;
  };
  const first = await ask();
  assert.equal(first.status, "queued");
  if (steps[0] !== undefined) clock.step(steps[0]);
  let answer = first;
  while (answer.status === "queued") {
    const seconds = answer.estimate?.seconds ?? Number.NaN;
    const wanted = (answer.ahead + 1) / PACE;
    assert.ok(Math.abs(seconds - wanted) <= ESTIMATE_S_APART_MAX, `${seconds} s for ${wanted} s`);
    const late = performance.now() - askedMs > TOLD_MS.to;
    assert.ok(!late, "the line stands still");
    answer = await ask();
  }
  const waitedS = (performance.now() - askedMs) / 1_000;
  await assertWrong(place, 1);
  row.injected();
  assert.equal(answer.status, "issued");
  const estimateS = first.estimate!.seconds;
  assert.ok(Math.abs(waitedS - estimateS) <= WAIT_S_APART_MAX, `${estimateS} s became ${waitedS}`);
  const healedMs = performance.now();
  await endQueueSale({ sale, brokers: testEngine("kafka"), row, told, healedMs, stream });
  const { offsetMs } = await readClock(program);
  for (const { issuedAt } of (await readStored(sale)).rows) {
    const agoMs = performance.now() + offsetMs - Date.parse(issuedAt);
    assert.ok(agoMs > -ISSUED_MS_APART_MAX && agoMs < 2 * TOLD_MS.to, `issued ${agoMs} ms ago`);
  }
}
