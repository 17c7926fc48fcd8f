// What many events beside each other once cost (docs/guarantees.md, "Faults that many sales showed"), on the
// whole program and at the size that showed it. A time is compared with one of the same run, or with none:
// nothing here fails on a slow day.
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { median, openConnections } from "@stampede/lab";
import type { Attempt } from "@stampede/lab";
import { startProxy, until } from "@stampede/launcher/testing";
import { judge } from "@stampede/referee";
import { runPartOf } from "../faults/finish.ts";
import { changePace } from "../faults/support/kafka-sale.ts";
import {
  claimAtOnce,
  engineMissing,
  openSale,
  people,
  readStored,
  tally,
  throughInstance,
  visitor,
  withDatabase,
} from "../faults/support/sale.ts";
import type { Sale } from "../faults/support/sale.ts";
import { startProgram } from "../support/program.ts";
import type { Program } from "../support/program.ts";
import type { BesideWork } from "./beside.ts";

const skip = engineMissing();

// Red when reads of events stand in a line before COMMITs (`decisions` in foundation.ts), or when each of them
// is a query of its own.
test("500 readers leave a sale of v2 its outcomes and its time", { skip }, async (t) => {
  const program = await startProgram(t);
  await addEvents(program, "shop", 300);
  const sell = async (beforeSending = async (): Promise<void> => undefined): Promise<number> => {
    const sale = await openSale(program, { mechanism: "redis-counter", limit: READ_SALE });
    const told = await claimAtOnce(sale, people(READ_SALE), { beforeSending });
    assert.deepEqual(tally(told), { issued: READ_SALE });
    return lengthOf(told);
  };
  await sell();
  const quietMs = await sell();
  const paths = ["/events?limit=500", "/events/shop-1", "/events/shop-2", "/events/shop-3"];
  const besideMs = await sell(async () => {
    const readers = await beside(t, program, { do: "read", count: 500, paths });
    await until(async () => (await readers.seen()) > 500, "everybody reads", { msMax: 60_000 });
  });
  t.diagnostic(`quiet ${quietMs} ms, beside readers ${besideMs} ms`);
  // Before: five times as long.
  assert.ok(besideMs <= 3 * quietMs + 1_000, `${besideMs} ms beside readers, ${quietMs} without`);
});

// Red when a telling to all watchers is one step of the event loop (progress-feed.ts, stream.ts).
test("5,000 watchers of a paced sale hold up nobody elsewhere", { skip }, async (t) => {
  const program = await startProgram(t);
  const paced = await openSale(program, { mechanism: "kafka-queue", limit: 2_000 });
  await changePace(paced, 20);
  await claimAtOnce(paced, people(1_800));
  const other = await openSale(program, { mechanism: "group-commit", limit: 1_000 });
  const path = `/events/${paced.eventId}/stream`;
  await claimsMs(other, 60);
  const quiet = await claimsMs(other, 60);
  const crowd = await beside(t, program, { do: "watch", count: 5_000, paths: [path] });
  await until(async () => (await crowd.seen()) > 5_000, "everybody watches", { msMax: 60_000 });
  const besideMs = await claimsMs(other, 60);
  t.diagnostic(`p50 ${median(quiet)} ms alone, ${median(besideMs)} ms beside 5,000`);
  assert.ok((await readStored(paced)).issued < 1_800, "the sale went on all the time");
  // Before: 440 ms after 3 ms.
  assert.ok(median(besideMs) <= 10 * Math.max(5, median(quiet)), "a claim elsewhere waits");
});

// Red when questions about events of which this process knows nothing yet are queries each of its own
// (`lookUp` in event-directory.ts).
test("200 cold events asked at one instant hold up no hot one", { skip }, async (t) => {
  const program = await startProgram(t);
  await addEvents(program, "cold", ROUNDS * 200);
  const hot = await openSale(program, { mechanism: "group-commit", limit: 1_000 });
  const connections = await openConnections(hot.target, 200);
  t.after(() => connections.forEach((connection) => connection.close()));
  /** Each about one of these events, all at one instant; the longest that a claim on the hot one took. */
  const ask = async (round: number): Promise<number> => {
    const claims = claimsMs(hot, 15);
    await pause(50);
    const asked = connections.map(async (connection, n) => {
      const path = `/events/cold-${round * 200 + n + 1}/issues/me`;
      const head = `GET ${path} HTTP/1.1\r\nHost: ${hot.target.authority}\r\nX-User-Id: ana\r\n`;
      const request = Buffer.from(`${head}Content-Length: 0\r\n\r\n`);
      return new Promise<void>((resolve) => connection.send(request, () => resolve()));
    });
    await Promise.all(asked);
    return Math.max(...(await claims));
  };
  await claimsMs(hot, 60);
  const cold: number[] = [];
  const warm: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    cold.push(await ask(round));
    warm.push(await ask(round));
  }
  const rounded = (values: readonly number[]): string => values.map(Math.round).join(", ");
  t.diagnostic(`the longest claim: cold ${rounded(cold)} ms, warm ${rounded(warm)} ms`);
  // Two hundred questions cost something by themselves; before, cold ones cost 520 ms after 5.
  assert.ok(median(cold) <= 5 * Math.max(20, median(warm)), "cold events cost a hot one its time");
});

// Red when an instance without a fresh reading guesses (`queueStatus` in kafka-queue/status.ts).
test("no place grows where one of two databases is slow", { skip }, async (t) => {
  const program = await startProgram(t);
  const proxy = await startProxy(t, { port: Number(new URL(program.databaseUrl).port) });
  const slow = await startProgram(
    t,
    { DATABASE_URL: proxy.through(program.databaseUrl), ROLE: "api" },
    { direct: { databaseUrl: program.databaseUrl } },
  );
  proxy.set({ latencyMs: 225, jitterMs: 75 });
  const sale = await openSale(program, { mechanism: "kafka-queue", limit: 400 });
  await changePace(sale, 20);
  const told = await claimAtOnce(sale, people(300));
  const doors = [sale, throughInstance(sale, slow)];
  const asked: Attempt[] = [];
  const endMs = performance.now() + ASKED_MS;
  const ask = async (door: Sale, { person, ticket }: Attempt): Promise<void> => {
    const visit = visitor();
    while (performance.now() < endMs) {
      asked.push(await visit.send(door, { kind: "status", person, ticket }));
    }
    visit.leave();
  };
  const askers = told.filter((_, n) => n % 30 === 29);
  await Promise.all(askers.flatMap((one) => doors.map(async (door) => ask(door, one))));
  const places = asked.filter(({ ahead }) => ahead !== null);
  for (const { target } of doors) {
    const here = places.filter(({ instance }) => instance === target.authority);
    t.diagnostic(`${target.authority} told ${here.length} places`);
  }
  assert.ok(places.length > 20, `${places.length} were told a place`);
  const findings = judge({
    ...(await runPartOf(sale, await readStored(sale))),
    history: [...told, ...asked].map((attempt, id) => ({ ...attempt, id })),
  });
  // The line moves on while its rows and its log are read: the rest is judged where a sale has ended.
  const grown = findings.filter(({ invariant }) => invariant === "S12");
  assert.deepEqual(grown, []);
});

// Red when all of a crowd reserve at once, however slowly their rows are written
// (redis-counter/reservation-line.ts). 50,000 people on a worn server were that slow; here each row is.
test("v2 tells for sure where rows take longer than people wait", { skip }, async (t) => {
  const program = await startProgram(t);
  await withDatabase(program, async (client) => client.query(SLOW_ROWS));
  const sale = await openSale(program, { mechanism: "redis-counter", limit: CROWD });
  let left = people(CROWD);
  for (let times = 0; left.length > 0; times += 1) {
    const told = await claimAtOnce(sale, left);
    // Somebody's own patience may end before their turn: then there is no status.
    const unknown = told.filter(({ outcome, status }) => outcome === "unknown" && status !== null);
    assert.equal(unknown.length, 0, "with healthy engines nobody is told outcome-unknown");
    const served = told.filter(({ outcome }) => outcome === "issued" || outcome === "replay");
    t.diagnostic(`${served.length} of ${left.length} served after ${lengthOf(told)} ms`);
    assert.ok(served.length > 0, "some are served each time");
    if (times === 0) assert.ok(served.length < CROWD, "its rows take longer than people wait");
    left = told.filter((one) => !served.includes(one)).map(({ person }) => person);
  }
  assert.equal((await readStored(sale)).issued, CROWD);
});

const READ_SALE = 1_000;
const ASKED_MS = 6_000;
const ROUNDS = 5;
const CROWD = 6_000;
/**
 * Three milliseconds and more a row, that cost no processor: some twenty seconds for all, where a claim waits ten; and
 * a batch of five hundred is still within a statement's deadline.
 */
const SLOW_ROWS = `
  CREATE FUNCTION write_slowly() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_sleep(0.003); RETURN NEW; END $$;
  CREATE TRIGGER slow_rows BEFORE INSERT ON coupon_issues
    FOR EACH ROW EXECUTE FUNCTION write_slowly()`;

/** So many open events of v4 of which no process knows anything yet. */
async function addEvents(program: Program, name: string, count: number): Promise<void> {
  await withDatabase(program, async (client) => {
    await client.query(
      `INSERT INTO events (id, name, mechanism, limit_quantity, listed, opens_at)
       SELECT $1 || '-' || n, 'One of many', 'group-commit', 100, true, now()
         FROM generate_series(1, $2) n`,
      [name, count],
    );
  });
}

type Beside = { readonly seen: () => Promise<number> };

/** They come at once and stay until the test is over. */
async function beside(
  t: TestContext,
  { url }: Program,
  work: Omit<BesideWork, "url">,
): Promise<Beside> {
  const worker = new Worker(new URL("beside.ts", import.meta.url), {
    workerData: { ...work, url } satisfies BesideWork,
  });
  t.after(async () => worker.terminate());
  return {
    async seen() {
      const answer = once(worker, "message");
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, no window
      worker.postMessage("seen?");
      return Number((await answer)[0]);
    },
  };
}

/** How long so many claims took, one after the other, each of somebody new. */
async function claimsMs(sale: Sale, count: number): Promise<number[]> {
  const visit = visitor();
  const took: number[] = [];
  for (const person of people(count)) {
    const told = await visit.send(sale, { kind: "claim", person, ticket: null });
    // On a starved machine a connection may not come about: nothing was sent, and nothing is told of it.
    if (told.fault === "unsent") continue;
    assert.equal(told.outcome, "issued", `${told.status} ${told.problemType} ${told.fault}`);
    took.push(told.returnedMs - told.sentMs);
    await pause(10);
  }
  visit.leave();
  assert.ok(took.length > count / 2, `only ${took.length} of ${count} claims were sent`);
  return took;
}

function lengthOf(told: readonly Attempt[]): number {
  const sent = Math.min(...told.map(({ sentMs }) => sentMs));
  return Math.round(Math.max(...told.map(({ returnedMs }) => returnedMs)) - sent);
}
