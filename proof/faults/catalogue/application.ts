// A: what happens to the service itself: it is killed, stopped, paused, crashes, or is two.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import type { Attempt } from "@stampede/lab";
import { isAlive } from "@stampede/launcher";
import { until } from "@stampede/launcher/testing";
import { startProgram } from "../../support/program.ts";
import type { Program } from "../../support/program.ts";
import type { FaultCase, Stage } from "../case.ts";
import { finish, noteGoodClaim } from "../finish.ts";
import { marks } from "../marks.ts";
import {
  decidesInRow,
  KAFKA_MECHANISMS,
  MECHANISMS,
  queues,
  REDIS_MECHANISMS,
  ROW_MECHANISMS,
  only,
} from "../mechanisms.ts";
import type { Mechanism } from "../mechanisms.ts";
import { happened } from "../notes.ts";
import { waitingWriters, withWritesHeld } from "../support/held-row.ts";
import { serversOf } from "../support/processes.ts";
import { redisCommand } from "../support/redis-command.ts";
import { claimAtOnce, openSale, people, readStored, tally } from "../support/sale.ts";
import type { Sale } from "../support/sale.ts";
import { counted } from "../support/service-state.ts";
import { ackedCase } from "./application-acked.ts";
import { buildsCase } from "./application-builds.ts";
import { instanceCases } from "./application-instances.ts";
import { workersCase } from "./application-workers.ts";
import { awaitingCases } from "./lost-replies.ts";

const PEOPLE = 1_500;
const LIMIT = 100;
/**
 * A fast server has answered everybody before a busy crowd has read its thirtieth answer: so some
 * must still be coming when the kill hits.
 */
const SPREAD_MS = 300;
const SERVED_BEFORE = 10;
/** The first kill hits while coupons are given out, the second where most are answered already. */
const KILLED_AT_ANSWERS = [30, 500];

// A2, A4, K11 are red when the reconciler never starts (`new infrastructure.Reconciler` in serve.ts: what
// was reserved and not written leaks), or when the decider starts from anywhere but the mark in PostgreSQL
// (`takeOver` in kafka-queue/decider/decide-batch.ts).
const killedBeforeRows = {
  injects: "SIGKILL of the service while the coupons' table is held before its first row",
  holds: "what was decided and not written is rolled back, or written by the next start",
  runs: "proof",
  place: "shared",
  // It waits for its own writers: nobody else may write then.
  beside: "still",
  run: killWhileWriting,
} as const;

export const applicationCases: readonly FaultCase[] = [
  {
    // It does not find an answer before the COMMIT: the kill would have to hit the millisecond between the
    // two (a mutant stayed green). Cases that hold the COMMIT find it: planted bug B8.
    id: "A1",
    mechanisms: MECHANISMS,
    apart: true,
    injects: "SIGKILL of the service in the middle of a rush, twice",
    holds: "whatever was told before and after both kills is true",
    runs: "proof",
    place: "shared",
    run: killInRush,
  },
  { ...killedBeforeRows, id: "A2", mechanisms: ROW_MECHANISMS, apart: true },
  ...awaitingCases,
  { ...killedBeforeRows, id: "A4", mechanisms: REDIS_MECHANISMS, apart: true },
  {
    // Red when the reconciler never starts (B11), and when `wait` of the script is taken for an end
    // (redis-counter/reservation-line.ts: B12).
    id: "A4",
    mechanisms: REDIS_MECHANISMS,
    apart: true,
    injects: "SIGKILL of the service with all coupons reserved and no row committed",
    holds: "the rows are written within two seconds, and nobody is told sold out before",
    runs: "test",
    expects: [marks.crashReserved, marks.waitedForRows, marks.writtenForAnother],
    place: "shared",
    run: killReserved,
  },
  ackedCase,
  ...instanceCases,
  {
    // Red when the streams are not ended (`preClose` in routes/stream.ts), or when idle connections are
    // cut before what is on its way to them was read (`LISTEN_ON_MS` in shutdown.ts).
    id: "A9",
    mechanisms: MECHANISMS,
    apart: true,
    injects: "SIGTERM after 50 answers of a rush",
    holds: "everybody is answered, streams end with a time to come back, the process ends with 0",
    runs: "proof",
    place: "shared",
    run: async (stage) => stopInRush(stage, 50),
  },
  {
    id: "A9",
    mechanisms: ROW_MECHANISMS,
    apart: true,
    injects: "SIGTERM just before a rush",
    holds: "everybody is told a sure no",
    runs: "proof",
    place: "shared",
    async run(stage) {
      assert.deepEqual(tally(await stopInRush(stage, 0)), { refused: DRAINED });
    },
  },
  ...(["a promise is rejected and nobody catches it", "the heap is full"] as const).map(
    (injects, n): FaultCase => ({
      // Red when the process goes on after a failure that it does not know.
      id: "A10",
      mechanisms: MECHANISMS,
      apart: true,
      injects,
      holds: "the process ends, and the next one serves",
      runs: "all",
      place: "own",
      run: async (stage) => crash(stage, (["SIGUSR2", "SIGWINCH"] as const)[n]!),
    }),
  ),
  buildsCase,
  workersCase,
];

/** The same in the decider's place: what v3 has queued. */
export const killedBeforeRowsCase: FaultCase = {
  ...killedBeforeRows,
  id: "K11",
  mechanisms: KAFKA_MECHANISMS,
  apart: true,
};

type AtProgram = Stage<{ readonly program: Program }>;

async function killInRush(stage: AtProgram): Promise<void> {
  const { program } = stage.at;
  const sale = await openSale(program, { mechanism: only(stage), limit: LIMIT });
  const persons = people(PEOPLE);
  const told: Attempt[] = [];
  for (const answersMax of KILLED_AT_ANSWERS) {
    const kills: Promise<void>[] = [];
    const attempts = await claimAtOnce(sale, persons, {
      spreadMs: SPREAD_MS,
      onAnswer(answers) {
        if (answers === answersMax) kills.push(program.kill());
      },
    });
    await Promise.all(kills);
    const cut = attempts.filter(({ outcome }) => outcome === "unknown").length;
    happened(cut > 0 && cut < PEOPLE, `the kill hit nobody: ${JSON.stringify(tally(attempts))}`);
    stage.injected();
    told.push(...attempts);
    await program.restart();
  }
  await claimAgain(stage, sale, { persons, before: told });
}

/** Kills the program when the sale has decided something that it cannot write. */
async function killWhileWriting(stage: AtProgram): Promise<void> {
  const { program } = stage.at;
  const sale = await openSale(program, { mechanism: only(stage), limit: LIMIT });
  // Some are served before, so that no sale starts over from nothing.
  const first = await claimAtOnce(sale, people(SERVED_BEFORE));
  await until(async () => (await readStored(sale)).issued === SERVED_BEFORE, "the first rows");
  const persons = people(PEOPLE / MECHANISMS.length);
  const told = await withWritesHeld(program, 0, async (holder) => {
    const claims = claimAtOnce(sale, persons);
    await until(async () => (await waitingWriters(holder)).length > 0, "a writer waits");
    // Whoever queues is told a place, whatever becomes of the rows.
    if (queues(sale)) await claims;
    await program.kill();
    return claims;
  });
  stage.injected();
  await program.restart();
  // Nobody can have been told "issued": the table was held from before their claims.
  assert.deepEqual(Object.keys(tally(told)), [queues(sale) ? "queued" : "unknown"]);
  const healedMs = performance.now();
  if (!decidesInRow(sale)) {
    // What was reserved or queued needs nobody to ask again.
    await until(async () => (await readStored(sale)).issued === LIMIT, "L1: the rows are written");
    stage.notes(sale.mechanism).recovered("L1", performance.now() - healedMs);
  }
  await claimAgain(stage, sale, { persons, before: [...first, ...told] });
}

/** Everybody claims again, and asks; then everything that anybody was ever told is judged. */
async function claimAgain(
  stage: AtProgram,
  sale: Sale,
  { persons, before }: { readonly persons: readonly string[]; readonly before: readonly Attempt[] },
): Promise<void> {
  const again = await claimAtOnce(sale, persons);
  assert.deepEqual(
    again.filter(({ outcome }) => outcome === "refused" || outcome === "unknown"),
    [],
  );
  await finish(stage, sale, [...before, ...again]);
}

const RESERVED = { limit: 60, people: 120, late: 20 } as const;
/** The late ones wait in the line this long before the rows may be written. */
const HELD_MS = 1_000;
const WRITTEN_MS_MAX = 2_000;
const WRITTEN = 'stampede_reconciler_repairs_total{kind="rows-written"}';

/** The rows are held back from before the crowd's claims; late people come behind the crowd. */
async function killReserved(stage: AtProgram): Promise<void> {
  const { program } = stage.at;
  const { limit } = RESERVED;
  const sale = await openSale(program, { mechanism: only(stage), limit });
  const told: Attempt[] = [...(await claimAtOnce(sale, people(SERVED_BEFORE)))];
  const crowd = people(RESERVED.people);
  const key = `stampede:{${sale.eventId}}:persons`;
  const { late, healedMs } = await withWritesHeld(program, 0, async (holder) => {
    const claims = claimAtOnce(sale, crowd);
    const reserved = async (): Promise<unknown> => redisCommand(program.redisUrl, "HLEN", key);
    await until(async () => (await reserved()) === limit, "every coupon is reserved");
    await program.kill();
    stage.injected();
    told.push(...(await claims));
    assert.deepEqual(tally(await claims), { unknown: crowd.length });
    stage.met(marks.crashReserved);
    await program.restart();
    const late = claimAtOnce(sale, people(RESERVED.late));
    await pause(HELD_MS);
    const healedMs = performance.now();
    await holder.query("ROLLBACK");
    return { late, healedMs };
  });
  await until(async () => (await readStored(sale)).issued === limit, "L1: the rows are written");
  const writtenMs = performance.now() - healedMs;
  stage.notes(sale.mechanism).recovered("L1", writtenMs);
  assert.ok(writtenMs < WRITTEN_MS_MAX, `${writtenMs} ms`);
  const written = await counted(program, WRITTEN);
  if (written >= limit - SERVED_BEFORE) stage.met(marks.writtenForAnother);
  const lateAnswers = await late;
  const early = lateAnswers.filter(({ returnedMs }) => returnedMs < healedMs);
  assert.equal(tally(early)["sold-out"] ?? 0, 0, "sold out was told before the rows were there");
  if (early.length < RESERVED.late) stage.met(marks.waitedForRows);
  // Whoever was cut off finds their coupon, or hears the end.
  const again = await claimAtOnce(sale, crowd);
  const left = limit - SERVED_BEFORE;
  assert.deepEqual(tally(again), { replay: left, "sold-out": crowd.length - left });
  await finish(stage, sale, [...told, ...lateAnswers, ...again]);
}

const DRAINED = 600;
const DRAIN_MS_MAX = 10_000;

/**
 * Stops the program after so many answers (with 0: once it says that it stops, before any claim is
 * sent); gives what the crowd was told. Then starts it again, and everybody gets what is theirs.
 */
async function stopInRush(stage: AtProgram, answersMax: number): Promise<readonly Attempt[]> {
  const { program } = stage.at;
  const sale = await openSale(program, { mechanism: only(stage), limit: LIMIT });
  const received = await openStream(stage, sale);
  const persons = people(DRAINED);
  const stops: ReturnType<typeof stopTimed>[] = [];
  const told = await claimAtOnce(sale, persons, {
    async beforeSending() {
      if (answersMax > 0) return;
      stops.push(stopTimed(program));
      await until(async () => (await fetch(`${program.url}/healthz`)).status === 503, "it stops");
    },
    onAnswer(answers) {
      if (answers === answersMax) stops.push(stopTimed(program));
    },
  });
  const [stopped] = await Promise.all(stops);
  happened(stopped !== undefined, "the program was not stopped");
  stage.injected();
  assert.equal(stopped.code, 0);
  assert.ok(stopped.ms < DRAIN_MS_MAX, `${stopped.ms} ms`);
  assert.match(received(), /\nretry: \d+\n\n$/);
  assert.equal(tally(told)["unknown"] ?? 0, 0, JSON.stringify(tally(told)));
  await program.restart();
  await finish(stage, sale, [...told, ...(await claimAtOnce(sale, persons))]);
  return told;
}

async function stopTimed(
  program: Program,
): Promise<{ readonly code: number | null; readonly ms: number }> {
  const startMs = performance.now();
  const code = await program.stop();
  return { code, ms: performance.now() - startMs };
}

/** Watches the sale; gives what was received so far. */
async function openStream({ t }: Stage, { eventId, target }: Sale): Promise<() => string> {
  const socket = connect(target.port, target.address);
  t.after(() => socket.destroy());
  let received = "";
  socket.setEncoding("utf8").on("data", (chunk: string) => {
    received += chunk;
  });
  socket.on("error", () => undefined);
  // HTTP/1.0, so that the text is not cut into chunks and its end is the connection's.
  socket.write(`GET /events/${eventId}/stream HTTP/1.0\r\nHost: ${target.authority}\r\n\r\n`);
  const signal = AbortSignal.timeout(5_000);
  while (!received.includes("event: progress")) await once(socket, "data", { signal });
  return () => received;
}

const CRASHING = { people: 600, spreadMs: 500, answersBefore: 30 } as const;

/** Planted from outside, by a module that Node loads before the program, and set off by a signal. */
const planted = `
  process.on("SIGUSR2", () => { Promise.reject(new Error("planted: nobody catches this")); });
  process.on("SIGWINCH", () => { const all = []; for (;;) all.push(Array.from({ length: 1e6 }, Math.random)); });`;
const environment = {
  NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(planted)}`,
};

async function crash(stage: Stage, signal: NodeJS.Signals): Promise<void> {
  const program = await startProgram(stage.t, environment);
  const mechanism: Mechanism = only(stage);
  const sale = await openSale(program, { mechanism, limit: LIMIT });
  const persons = people(CRASHING.people);
  const servers = serversOf(program.pid);
  const told: Attempt[] = await claimAtOnce(sale, persons, {
    spreadMs: CRASHING.spreadMs,
    onAnswer(answers) {
      if (answers !== CRASHING.answersBefore) return;
      for (const pid of servers) process.kill(pid, signal);
    },
  });
  stage.injected();
  // To fill a heap takes a busy machine a while.
  await until(() => !servers.some(isAlive), "the process has ended", { msMax: 40_000 });
  // Workers have a primary, which goes on.
  if (servers.includes(program.pid)) assert.notEqual(await program.stop(), 0);
  // In flight when it died, or on a connection that was gone before they claimed.
  const { unknown = 0, refused = 0 } = tally(told);
  happened(unknown + refused > 0, JSON.stringify(tally(told)));
  const healedMs = performance.now();
  await program.restart();
  const again = await claimAtOnce(sale, persons);
  // A process has to start first.
  noteGoodClaim(stage, sale, again, { healedMs, msMax: 40_000 });
  await finish(stage, sale, [...told, ...again]);
}
