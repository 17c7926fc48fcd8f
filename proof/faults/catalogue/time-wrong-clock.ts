// T1, T3: the wall clock of the service is an hour ahead, an hour behind, or steps back in mid-sale,
// in the only process or in one of two, the one that leads. Windows, deadlines, estimates, the pace,
// `issuedAt` and the date of every answer stay where the database's clock and the monotonic one have them.
//
// Red when a door judges by this machine's clock (`nowMs` of engines/postgres/database-clock.ts), when a
// deadline or a rate is counted by it (`performance.now` in engines/postgres/waiting-line.ts, kafka-queue/decider/pace.ts),
// and when answers carry Node's own date (`registerAnswerHeaders` in api/src/app.ts).
import assert from "node:assert/strict";
import type { Attempt } from "@stampede/lab";
import { until } from "@stampede/launcher/testing";
import { startProgram } from "../../support/program.ts";
import type { Program } from "../../support/program.ts";
import type { FaultCase, Stage } from "../case.ts";
import { finish } from "../finish.ts";
import { KAFKA_MECHANISMS, MECHANISMS, queues, reserves, only } from "../mechanisms.ts";
import type { Mechanism } from "../mechanisms.ts";
import { happened } from "../notes.ts";
import { blockedSessions } from "../support/held-row.ts";
import { changePace, watchStream } from "../support/kafka-sale.ts";
import {
  claimAtOnce,
  openSale,
  people,
  readStored,
  throughInstance,
  withDatabase,
} from "../support/sale.ts";
import {
  assertInOrder,
  assertInTime,
  claimAround,
  judgeWindow,
  readClock,
  scheduleSale,
  untilAllPlaces,
  windowOf,
} from "../support/window-edges.ts";
import type { Edge, EdgeName, Scheduled } from "../support/window-edges.ts";
import { secondsAhead, startWrongClock } from "../support/wrong-clock.ts";
import type { WrongClock } from "../support/wrong-clock.ts";

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

type Place = {
  readonly program: Program;
  readonly clock: WrongClock;
  /** Another instance, whose clock is right. */
  readonly other?: Program;
  /** What the clock is set to in the middle of things, one after the other. */
  readonly steps: readonly number[];
};

type Wrong = Pick<FaultCase, "id" | "injects"> & {
  /** What the clock is set to before the process begins, seconds. */
  readonly starts: number;
  readonly steps: readonly number[];
};

const wrongs: readonly Wrong[] = [
  { id: "T1", injects: "the service's clock is an hour ahead", starts: HOUR_S, steps: [] },
  { id: "T1", injects: "the service's clock is an hour behind", starts: -HOUR_S, steps: [] },
  {
    id: "T3",
    injects: "the service's clock steps back by an hour in mid-sale, and again",
    starts: 0,
    steps: [-HOUR_S, -2 * HOUR_S],
  },
];

const wrongsOfTwo: readonly Wrong[] = [
  {
    id: "T1",
    injects: "the clock of one of two instances is an hour ahead",
    starts: HOUR_S,
    steps: [],
  },
  {
    id: "T3",
    injects: "the clock of one of two instances steps back by an hour, and again",
    starts: HOUR_S,
    steps: [0, -HOUR_S],
  },
];

const wrongClock = { runs: "all", needs: ["faketime"] } as const;

export const wrongClockCases: readonly FaultCase[] = [
  ...wrongs.flatMap(({ starts, steps, ...wrong }): FaultCase[] => {
    const about = { ...wrong, ...wrongClock };
    const at = async ({ t }: Stage): Promise<Place> => {
      const clock = startWrongClock(t, starts);
      return { program: await startProgram(t, clock.environment), clock, steps };
    };
    return [
      {
        ...about,
        place: "own",
        mechanisms: MECHANISMS,
        holds: "both edges of the window are where the database's clock has them",
        run: async (stage) => sellAllAtEdges(stage, await at(stage)),
      },
      {
        ...about,
        place: "own",
        mechanisms: MECHANISMS,
        holds: "who cannot be served is told so in time",
        run: async (stage) => keepDeadlines(stage, await at(stage)),
      },
      {
        ...about,
        place: "own",
        mechanisms: KAFKA_MECHANISMS,
        apart: true,
        holds: "pace, estimate and stream are right",
        run: async (stage) => queueAtPace(stage, await at(stage)),
      },
    ];
  }),
  ...wrongsOfTwo.map(({ starts, steps, ...wrong }): FaultCase => ({
    ...wrong,
    ...wrongClock,
    place: "own",
    mechanisms: MECHANISMS,
    holds: "both edges of the window are where the database's clock has them, at both doors",
    async run(stage) {
      const clock = startWrongClock(stage.t, starts);
      const program = await startProgram(stage.t, clock.environment);
      const other = await startProgram(stage.t, { DATABASE_URL: program.databaseUrl });
      await sellAllAtEdges(stage, { program, clock, other, steps });
    },
  })),
];

/** One mechanism after the other: they share the clock that steps. */
async function sellAllAtEdges(stage: Stage, place: Place): Promise<void> {
  for (const mechanism of stage.mechanisms) {
    await untilAllPlaces(async () => sellAtEdges(stage, place, mechanism));
  }
}

/** T2's claims and T2's judge; the clock steps just before each edge. */
async function sellAtEdges(stage: Stage, place: Place, mechanism: Mechanism): Promise<Attempt[]> {
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
  stage.notes(mechanism).injected(Math.max(1, steps.length));
  const told = [...opening.told, ...closing.told];
  const timed = { ...scheduled, window: windowOf(opening, closing) };
  assertInOrder(timed, told);
  assertInTime(timed, told);
  await assertDates(scheduled);
  clock.step(0);
  await judgeWindow(stage, timed, told);
  await assertIssuedAt(timed, told);
  return told;
}

/** The fault is there: the process's own log tells the wrong time, as it was last set. */
async function assertWrong({ program, clock, steps }: Place, taken: number): Promise<void> {
  const wanted = steps[Math.min(taken, steps.length) - 1] ?? clock.startsAt;
  const seen = await secondsAhead(program);
  const isWrong = Math.abs(seen - wanted) <= SEEN_S_APART_MAX;
  happened(isWrong, `the clock is ${seen} s ahead, not ${wanted}`);
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
    const toMs = queues(sale) ? nowMs : returnedMs + clock.offsetMs;
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

/** Another session holds the rows: who waits is told no, or that nobody knows; who queues is queued. */
async function keepDeadlines(stage: Stage, place: Place): Promise<void> {
  const { program, clock, steps } = place;
  clock.step(clock.startsAt);
  const sales = await Promise.all(
    stage.mechanisms.map(async (mechanism) => openSale(program, { mechanism, limit: 1 })),
  );
  const waiting = sales.filter((sale) => !queues(sale));
  const told = await withDatabase(program, async (holder) => {
    await holder.query("BEGIN");
    await holder.query("SELECT 1 FROM events WHERE id = ANY ($1) FOR UPDATE", [
      waiting.map(({ eventId }) => eventId),
    ]);
    const claims = Promise.all(sales.map(async (sale) => claimAtOnce(sale, people(1))));
    // Awaited below; if nobody waits for the row, the case ends before that.
    claims.catch(() => undefined);
    await until(async () => (await blockedSessions(program)) > 0, "a claim waits for its row");
    if (steps[0] !== undefined) clock.step(steps[0]);
    const attempts = await claims;
    await holder.query("ROLLBACK");
    return attempts;
  });
  const healedMs = performance.now();
  await assertWrong(place, 1);
  stage.injected();
  for (const [n, sale] of sales.entries()) {
    const [{ outcome, returnedMs, sentMs }] = told[n] as [Attempt];
    const wanted = queues(sale) ? "queued" : reserves(sale) ? "unknown" : "refused";
    assert.equal(outcome, wanted, sale.mechanism);
    const ms = returnedMs - sentMs;
    const inTime = ms > TOLD_MS.from && ms < TOLD_MS.to;
    assert.ok(queues(sale) || inTime, `${sale.mechanism}: after ${ms} ms`);
    if (outcome === "refused") told[n]!.push(...(await claimAtOnce(sale, people(1))));
    await finish(stage, sale, told[n]!, { healedMs });
  }
}

type Told = {
  readonly status: string;
  readonly ahead: number;
  readonly estimate: { readonly seconds: number } | null;
};

/** A line that is decided at a pace: each estimate is the arithmetic of the pace, and comes true. */
async function queueAtPace(stage: Stage, place: Place): Promise<void> {
  const { program, clock, steps } = place;
  clock.step(clock.startsAt);
  const mechanism = only(stage);
  const sale = await openSale(program, { mechanism, limit: PEOPLE_PACED + 1 });
  const stream = watchStream(stage.t, sale);
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
  stage.injected();
  assert.equal(answer.status, "issued");
  const estimateS = first.estimate!.seconds;
  assert.ok(Math.abs(waitedS - estimateS) <= WAIT_S_APART_MAX, `${estimateS} s became ${waitedS}`);
  await finish(stage, sale, told, { stream });
  const { offsetMs } = await readClock(program);
  for (const { issuedAt } of (await readStored(sale)).rows) {
    const agoMs = performance.now() + offsetMs - Date.parse(issuedAt);
    assert.ok(agoMs > -ISSUED_MS_APART_MAX && agoMs < 2 * TOLD_MS.to, `issued ${agoMs} ms ago`);
  }
}
