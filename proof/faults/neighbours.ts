// Fifty other events on the program of a case, of all mechanisms, some over and most open: made once for a
// place and kept while it is. While a case runs somebody new claims from one of them ten times a second, each
// of them once. In the end whoever met a fault claims again until they are answered, those in line ask until
// they know, and the referee judges all fifty over everything that was told there since they were made.
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import type { Attempt } from "@stampede/lab";
import { judge } from "@stampede/referee";
import type { Program } from "../support/program.ts";
import { runPartOf } from "./finish.ts";
import { MECHANISMS, queues } from "./mechanisms.ts";
import type { NeighboursReport } from "./notes.ts";
import { openSale, people, readStoredOf, tally, unsettled, visitor } from "./support/sale.ts";
import type { Sale, Visitor } from "./support/sale.ts";

/**
 * "claimed": people come to them all the time. "spared": as that, and the fault is one event's matter, so
 * that nobody beside it may be refused or kept waiting (L7). "still": the fault is aimed at the next message
 * of the case's own sale, so people come to them after it and not before. "lost": what they were told is
 * destroyed with the engine's data.
 */
export type Beside = "claimed" | "spared" | "still" | "lost";

const EVENTS = 50;
/** Of v3: a topic takes as long to make as ten other events. */
const QUEUES = 5;
const MAKERS = 5;
const LIMIT = 1_000;
/** One in seven has one coupon, which somebody gets at once. */
const OVER_EVERY = 7;

/** Together they claim ten times a second. */
const VISITORS = 4;
const CLAIM_EVERY_MS = 400;
const ASK_EVERY_MS = 50;
/** When the fault is gone, as L3 of the slowest engine. */
const ANSWERED_MS_MAX = 15_000;
/** As L3 of PostgreSQL: a held row costs its own people four seconds and more, and nobody else any. */
const SPARED_P99_MS_MAX = 5_000;
const STILL_CLAIMS = 10;

export type Neighbours = {
  /** People come from now on, unless they are to be still. */
  readonly begin: (beside: Beside) => Watch;
};

export type Watch = {
  /** Ends it; after `leave` nobody is judged. */
  readonly end: () => Promise<NeighboursReport>;
  readonly leave: () => Promise<void>;
};

export async function openNeighbours(program: Program): Promise<Neighbours> {
  const sales = await openSales(program);
  const history: Attempt[] = [];
  const over = sales.filter(({ limit }) => limit === 1);
  await byVisitors(over, async (visit, sale) => comeTo(visit, sale, history));
  await settle(sales, history);
  let next = 0;
  const nextSale = (): Sale => sales[next++ % EVENTS]!;
  return {
    begin(beside) {
      const from = history.length;
      const ended = new AbortController();
      const coming = isStill(beside)
        ? Promise.resolve()
        : byVisitors(endless(nextSale, ended.signal), async (visit, sale) => {
            await comeTo(visit, sale, history);
            await pause(CLAIM_EVERY_MS, undefined, { signal: ended.signal }).catch(() => undefined);
          });
      const leave = async (): Promise<void> => {
        ended.abort();
        await coming;
      };
      return {
        leave,
        async end() {
          await leave();
          if (isStill(beside)) {
            const those = Array.from({ length: STILL_CLAIMS }, nextSale);
            await byVisitors(those, async (visit, sale) => comeTo(visit, sale, history));
          }
          const claims = history.slice(from);
          await settle(sales, history);
          const findings = judge(await runOf(program, sales, history));
          assert.deepEqual(findings, [], "the fifty events beside it");
          const { refused = 0, unknown = 0 } = tally(claims);
          const counts = { events: EVENTS, claims: claims.length, faults: refused + unknown };
          const report = { ...counts, p99Ms: p99Of(claims) };
          if (beside === "spared") assertSpared(report, claims);
          return report;
        },
      };
    },
  };
}

function isStill(beside: Beside): boolean {
  return beside === "still" || beside === "lost";
}

async function openSales(program: Program): Promise<readonly Sale[]> {
  const others = MECHANISMS.filter((mechanism) => !queues({ mechanism }));
  const inLine = MECHANISMS.filter((mechanism) => queues({ mechanism }));
  const wanted = Array.from({ length: EVENTS }, (_, n) => {
    const those = n % (EVENTS / QUEUES) === 0 ? inLine : others;
    const limit = n % OVER_EVERY === 0 ? 1 : LIMIT;
    return { mechanism: those[n % those.length]!, limit };
  });
  const sales: Sale[] = [];
  const left = wanted.values();
  const maker = async (): Promise<void> => {
    for (const one of left) sales.push(await openSale(program, one));
  };
  await Promise.all(Array.from({ length: MAKERS }, maker));
  return sales;
}

function* endless(next: () => Sale, signal: AbortSignal): Generator<Sale> {
  while (!signal.aborted) yield next();
}

/** Does it for all, some at a time, each of them on a connection that lasts. */
async function byVisitors<Item>(
  items: Iterable<Item>,
  run: (visit: Visitor, item: Item) => Promise<void>,
): Promise<void> {
  const left = items[Symbol.iterator]();
  const lane = async (): Promise<void> => {
    const visit = visitor();
    for (let item = left.next(); item.done !== true; item = left.next()) {
      await run(visit, item.value);
    }
    visit.leave();
  };
  await Promise.all(Array.from({ length: VISITORS }, lane));
}

async function comeTo(visit: Visitor, sale: Sale, history: Attempt[]): Promise<void> {
  history.push(await visit.send(sale, { kind: "claim", person: people(1)[0]!, ticket: null }));
}

/** Whoever has no final answer claims again, or asks where they wait in line, until they have one. */
async function settle(sales: readonly Sale[], history: Attempt[]): Promise<void> {
  const endMs = performance.now() + ANSWERED_MS_MAX;
  const saleOf = new Map(sales.map((sale) => [sale.eventId, sale]));
  const last = new Map(history.map((attempt) => [attempt.person, attempt]));
  const open = new Set(unsettled(history));
  await byVisitors(open, async (visit, person) => {
    const sale = saleOf.get(last.get(person)!.eventId)!;
    const ticket = history.find((told) => told.person === person && told.ticket !== null)?.ticket;
    for (let inLine = ticket !== undefined; ;) {
      const question = inLine
        ? ({ kind: "status", person, ticket: ticket ?? null } as const)
        : ({ kind: "claim", person, ticket: null } as const);
      const told = await visit.send(sale, question);
      history.push(told);
      if (unsettled([told]).length === 0) return;
      inLine ||= told.outcome === "queued";
      assert.ok(performance.now() < endMs, `L2 of ${sale.mechanism} beside it: ${told.outcome}`);
      await pause(ASK_EVERY_MS);
    }
  });
}

async function runOf(
  program: Program,
  sales: readonly Sale[],
  history: readonly Attempt[],
): Promise<Parameters<typeof judge>[0]> {
  const stored = await readStoredOf(
    program,
    sales.map(({ eventId }) => eventId),
  );
  const parts = await Promise.all(
    sales.map(async (sale) => runPartOf(sale, stored.get(sale.eventId)!)),
  );
  return {
    history: history.map((attempt, id) => ({ ...attempt, id })),
    events: parts.flatMap(({ events }) => events),
    rows: parts.flatMap(({ rows }) => rows),
    log: new Map(parts.flatMap(({ log }) => [...(log ?? [])])),
  };
}

function p99Of(claims: readonly Attempt[]): number | null {
  const ms = claims.map(({ sentMs, returnedMs }) => returnedMs - sentMs).sort((a, b) => a - b);
  const nth = ms[Math.ceil(0.99 * ms.length) - 1];
  return nth === undefined ? null : Math.round(nth);
}

function assertSpared({ p99Ms }: NeighboursReport, claims: readonly Attempt[]): void {
  const faults = claims.filter(({ outcome }) => outcome === "refused" || outcome === "unknown");
  const told = faults.map(({ mechanism, problemType, fault, sentMs, returnedMs }) => {
    const ms = Math.round(returnedMs - sentMs);
    return `${mechanism}: ${problemType ?? fault} after ${ms} ms`;
  });
  assert.deepEqual(told, [], "L7: claims on the events beside it were refused or unknown");
  assert.ok((p99Ms ?? 0) <= SPARED_P99_MS_MAX, `L7: a claim beside it took ${p99Ms} ms (p99)`);
}
