// T: clocks and times. The database's clock alone judges a window, by the lock in v1, at the door in v2 and v3,
// whose clock is carried from the database's with an error that S22 bounds.
//
// Red when a door does not look at the window (`doorRefusal`), when v1 asks for the time before it has the
// lock (`clock_timestamp()` in `readUnderLock`; `now()` is the transaction's start, before the wait), or when a
// row is dated before the opening.
import assert from "node:assert/strict";
import type { FaultCase } from "../case.ts";
import { MECHANISMS, ROW_MECHANISMS, only } from "../mechanisms.ts";
import { happened } from "../notes.ts";
import { whileRowHeld } from "../support/held-row.ts";
import { claimAtOnce, people } from "../support/sale.ts";
import {
  AROUND_MS,
  assertInOrder,
  assertInTime,
  claimAround,
  judgeWindow,
  moveEdge,
  placeOf,
  reach,
  scheduleSale,
  untilAllPlaces,
  windowOf,
} from "../support/window-edges.ts";
import type { Edge, EdgeName, Scheduled } from "../support/window-edges.ts";
import { wrongClockCases } from "./time-wrong-clock.ts";
import { expiredTokenCase } from "./time-token.ts";

/** Within the 4 s for which v1 waits for a row. */
const HELD_EDGE_IN_MS = 2_500;
const PEOPLE_IN_LINE = 20;
/** How long the row is held after an edge. */
const HELD_AFTER_MS = 50;

export const timeCases: readonly FaultCase[] = [
  {
    // People claim every millisecond around the moment at which an event opens and the one at which it closes.
    id: "T2",
    mechanisms: MECHANISMS,
    apart: true,
    injects: `a claim every millisecond for ${AROUND_MS} ms on both sides of both edges`,
    holds: "nobody gets in before the opening or after the close",
    runs: "proof",
    place: "shared",
    run: async (stage) =>
      untilAllPlaces(async () => {
        const scheduled = await scheduleSale(stage.at.program, only(stage));
        const opening = await claimAround(scheduled, "opensAt");
        const closing = await claimAround(scheduled, "closesAt");
        const timed = { ...scheduled, window: windowOf(opening, closing) };
        const told = [...opening.told, ...closing.told];
        stage.injected(told.length);
        assertInOrder(timed, told);
        assertInTime(timed, told);
        await judgeWindow(stage, timed, told);
        return told;
      }),
  },
  {
    id: "T2",
    mechanisms: ROW_MECHANISMS,
    apart: true,
    injects: "another session holds the event's row over both edges, with claims in line",
    holds: "who waits for the lock over an edge is judged after the wait",
    runs: "proof",
    place: "shared",
    async run(stage) {
      const scheduled = await scheduleSale(stage.at.program, only(stage));
      const opening = await claimHeldOver(scheduled, "opensAt");
      const closing = await claimHeldOver(scheduled, "closesAt");
      const timed = { ...scheduled, window: windowOf(opening, closing) };
      stage.injected(2);
      const places = [opening, closing].map(({ told }) => [...new Set(told.map(placeOf))]);
      assert.deepEqual(places, [[1], [2]], "all are in after the opening, nobody after the close");
      await judgeWindow(stage, timed, [...opening.told, ...closing.told]);
    },
  },
  ...wrongClockCases,
  expiredTokenCase,
];

/** They claim before the edge, wait for the row, and get it after the edge. */
async function claimHeldOver(scheduled: Scheduled, edge: EdgeName): Promise<Edge> {
  const { sale, clock } = scheduled;
  const edgeMs = await moveEdge(scheduled, edge, HELD_EDGE_IN_MS);
  const { claims } = await whileRowHeld(sale, async (untilWaited) => {
    const claims = claimAtOnce(sale, people(PEOPLE_IN_LINE));
    // Awaited below; if the fault cannot be injected, the case ends before that.
    claims.catch(() => undefined);
    await untilWaited();
    const isEarly = performance.now() + clock.offsetMs < edgeMs;
    happened(isEarly, "the wait began too late for the edge");
    await reach(clock, edgeMs + HELD_AFTER_MS);
    return { claims };
  });
  return { edgeMs, told: await claims };
}
