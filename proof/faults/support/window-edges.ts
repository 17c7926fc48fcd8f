// An event with a window, people who claim every millisecond around one of its edges, and the judge of
// what they were told: the database's clock alone says who was in time.
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import type { Attempt } from "@stampede/lab";
import type { Program } from "../../support/program.ts";
import type { Stage } from "../case.ts";
import { finish } from "../finish.ts";
import { decidesInRow } from "../mechanisms.ts";
import type { Mechanism } from "../mechanisms.ts";
import { happened } from "../notes.ts";
import { claimAtOnce, openSale, people, withDatabase } from "./sale.ts";
import type { Sale } from "./sale.ts";

/** Claims come every millisecond from so long before an edge until so long after it. */
export const AROUND_MS = 150;
/** Beyond everybody who comes: nobody may be refused for want of coupons. */
const LIMIT = 2_000;
/** Long enough for all preparations, and near enough for v3 to get ready when somebody looks. */
const OPENS_AT_FIRST_IN_MS = 50_000;
const CLOSES_AT_FIRST_IN_MS = 3_600_000;
/** An edge is moved when all stand ready; an operator's change counts within 1 s. */
const EDGE_IN_MS = 1_800;
/** S22: how far the clock at the door of v2 and v3 may be off the database's. */
const DOOR_CLOCK_MS_MAX = 50;
/** Readings are rounded to milliseconds, on both sides. */
const ROUNDING_MS_MAX = 2;
const SAMPLES = 20;
const WARMING_UP = 40;
const TRIES_MAX = 3;

/** The database's clock, as an offset to `performance.now()`. */
export type Clock = { readonly offsetMs: number; readonly errorMs: number };

export type Window = { readonly opensAtMs: number; readonly closesAtMs: number };

export type EdgeName = "opensAt" | "closesAt";

const PLACES = ["before", "in", "after"];

export type Scheduled = { readonly sale: Sale; readonly clock: Clock };

export type Timed = Scheduled & { readonly window: Window };

export type Edge = { readonly edgeMs: number; readonly told: readonly Attempt[] };

export async function scheduleSale(program: Program, mechanism: Mechanism): Promise<Scheduled> {
  const clock = await readClock(program);
  const nowMs = performance.now() + clock.offsetMs;
  const opensAt = new Date(nowMs + OPENS_AT_FIRST_IN_MS).toISOString();
  const closesAt = new Date(nowMs + CLOSES_AT_FIRST_IN_MS).toISOString();
  const window = { opensAt, closesAt };
  const sale = await openSale(program, { mechanism, limit: LIMIT, window });
  // The first claims of a process open its connections: they would come to the lock after the edge.
  const early = await claimAtOnce(sale, people(WARMING_UP));
  assert.deepEqual(new Set(early.map(placeOf)), new Set([0]), "the event is not open yet");
  return { sale, clock };
}

/**
 * Moves an edge to so many milliseconds from now. It looks at the event first, as people do: v3 gets
 * ready then, and its first Produce does not take so long that an early door would not show.
 */
export async function moveEdge(
  { sale: { program, eventId }, clock }: Scheduled,
  edge: EdgeName,
  inMs: number,
): Promise<number> {
  const url = `${program.url}/events/${eventId}`;
  const looked = await fetch(url);
  assert.equal(looked.status, 200, await looked.text());
  const edgeMs = Math.ceil(performance.now() + clock.offsetMs + inMs);
  const changed = await fetch(url, {
    method: "PATCH",
    headers: {
      authorization: `Bearer ${program.adminToken}`,
      "content-type": "application/json",
      "if-match": looked.headers.get("etag") ?? "",
    },
    body: JSON.stringify({ [edge]: new Date(edgeMs).toISOString() }),
  });
  assert.equal(changed.status, 200, await changed.text());
  return edgeMs;
}

export function windowOf(opening: Edge, closing: Edge): Window {
  return { opensAtMs: opening.edgeMs, closesAtMs: closing.edgeMs };
}

/** A reading is true at some moment between question and answer: the quickest one is the most exact. */
export async function readClock(program: Program): Promise<Clock> {
  return withDatabase(program, async (client) => {
    let best: Clock = { offsetMs: Number.NaN, errorMs: Infinity };
    for (let sample = 0; sample < SAMPLES; sample += 1) {
      const askedMs = performance.now();
      const { rows } = await client.query<{ ms: number }>(
        "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS ms",
      );
      const errorMs = (performance.now() - askedMs) / 2;
      if (errorMs < best.errorMs) best = { offsetMs: rows[0]!.ms - askedMs - errorMs, errorMs };
    }
    return best;
  });
}

/** A claim every millisecond at each door; the first is the sale's own. */
export async function claimAround(
  scheduled: Scheduled,
  edge: EdgeName,
  options: {
    /** The same sale in another instance. */
    readonly otherDoor?: Sale;
    /** Runs when the edge is set and the first claim is still to come. */
    readonly beforeEdge?: () => void;
  } = {},
): Promise<Edge> {
  const { sale, clock } = scheduled;
  const count = 2 * AROUND_MS + 1;
  const doors = options.otherDoor === undefined ? [sale] : [sale, options.otherDoor];
  const ready = doors.map(() => Promise.withResolvers<void>());
  const moved = Promise.all(ready.map(async ({ promise }) => promise)).then(async () => {
    const edgeMs = await moveEdge(scheduled, edge, EDGE_IN_MS);
    options.beforeEdge?.();
    return edgeMs;
  });
  const crowds = doors.map(async (door, n) =>
    claimAtOnce(door, people(count), {
      spreadMs: count,
      async beforeSending() {
        ready[n]!.resolve();
        await reach(clock, (await moved) - AROUND_MS);
      },
    }),
  );
  const told = (await Promise.all(crowds)).flat();
  return { edgeMs: await moved, told };
}

/** Waits for a moment of the database's clock, which must not be past: the fault would not happen. */
export async function reach({ offsetMs }: Clock, atMs: number): Promise<void> {
  const leftMs = (): number => atMs - offsetMs - performance.now();
  happened(leftMs() > 0, `${-leftMs()} ms too late for an edge: this machine is too busy`);
  while (leftMs() > 0) await pause(leftMs());
}

/** 0 before the window, 1 in it, 2 after it; NaN for an answer that says nothing of it. */
export function placeOf({ outcome, problemType }: Attempt): number {
  if (outcome === "issued" || outcome === "queued") return 1;
  if (problemType === "/problems/not-open") return 0;
  return problemType === "/problems/closed" ? 2 : Number.NaN;
}

/** Whoever claims after another was answered is never judged by an earlier time. */
export function assertInOrder({ sale }: Timed, told: readonly Attempt[]): void {
  const clockMs = decidesInRow(sale) ? 0 : DOOR_CLOCK_MS_MAX;
  for (const later of told) {
    const before = told.filter(({ returnedMs }) => returnedMs + clockMs < later.sentMs);
    const latest = Math.max(0, ...before.map(placeOf));
    assert.ok(placeOf(later) >= latest, `${later.person}: ${later.problemType ?? later.outcome}`);
  }
}

/**
 * Sells until somebody claimed before the window, in it and after it. Where the machine stood still at
 * an edge for as long as people come around it, nothing was tried there, and a new sale is needed.
 * What `sell` gives was judged in any case.
 */
export async function untilAllPlaces(sell: () => Promise<readonly Attempt[]>): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    const places = new Set((await sell()).map(placeOf));
    const missing = PLACES.filter((_, place) => !places.has(place));
    if (missing.length === 0) return;
    happened(tries < TRIES_MAX, `nobody claimed ${missing.join(", ")} the window, ${tries} times`);
  }
}

/** Each was judged at some moment between sending and answer, and that moment fits the answer. */
export function assertInTime({ sale, clock, window }: Timed, told: readonly Attempt[]): void {
  const doorMs = decidesInRow(sale) ? 0 : DOOR_CLOCK_MS_MAX;
  const errorMs = clock.errorMs + ROUNDING_MS_MAX + doorMs;
  const bounds = [-Infinity, window.opensAtMs, window.closesAtMs, Infinity];
  for (const attempt of told) {
    const { person, outcome, problemType, sentMs, returnedMs } = attempt;
    const place = placeOf(attempt);
    const [fromMs, toMs] = [bounds[place], bounds[place + 1]];
    assert.ok(fromMs !== undefined && toMs !== undefined, `${person}: ${problemType ?? outcome}`);
    const [sentAtMs, returnedAtMs] = [sentMs + clock.offsetMs, returnedMs + clock.offsetMs];
    assert.ok(
      returnedAtMs >= fromMs - errorMs && sentAtMs < toMs + errorMs,
      `${person} was told ${problemType ?? outcome}, asked ${sentAtMs - window.opensAtMs} ms and ` +
        `answered ${returnedAtMs - window.opensAtMs} ms after the opening (+-${errorMs} ms)`,
    );
  }
}

/** S22 by the rows: whoever got in has one, nobody else, and none is dated outside the window. */
export async function judgeWindow(
  stage: Pick<Stage, "notes">,
  { sale, window }: Timed,
  told: readonly Attempt[],
): Promise<void> {
  const entered = told.filter((attempt) => placeOf(attempt) === 1).map(({ person }) => person);
  const outside = told.filter((attempt) => placeOf(attempt) !== 1).map(({ person }) => person);
  const leftOut = new Set(outside);
  const stored = await finish(stage, sale, told, { rows: entered.length, leftOut });
  const owners = stored.rows.map(({ userId }) => userId);
  assert.deepEqual(owners.toSorted(), entered.toSorted());
  for (const { userId, issuedAt } of stored.rows) {
    const issuedAtMs = Date.parse(issuedAt);
    assert.ok(issuedAtMs >= window.opensAtMs, `${userId} has a row of before the opening`);
    // In v2 and v3 whoever was in time at the door stays in time, however long the row then takes.
    if (!decidesInRow(sale)) continue;
    assert.ok(issuedAtMs < window.closesAtMs, `${userId} has a row of after the close`);
  }
}
