// T2: people claim every millisecond around the moment at which an event opens and the one at which it
// closes. The database's clock alone judges: by the lock in v1, at the door in v2 and v3, whose clock is
// carried from the database's with an error that S22 bounds.
//
// Red when a door does not look at the window (`doorRefusal` in row-lock-issuer.ts, redis-counter-issuer.ts
// or kafka-queue-issuer.ts), when v1 asks for the time before it has the lock (`clock_timestamp()` in
// `readUnderLock`; `now()` is the transaction's start, before the wait), or when a row is dated before
// the opening.
import assert from "node:assert/strict";
import { test } from "node:test";
import { startProgram } from "../support/program.ts";
import { whileRowHeld } from "./support/held-row.ts";
import { faultRow } from "./support/row.ts";
import { claimAtOnce, engineMissing, MECHANISMS, people } from "./support/sale.ts";
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
} from "./support/window-edges.ts";
import type { Edge, EdgeName, Scheduled } from "./support/window-edges.ts";

/** Within the 4 s for which v1 waits for a row. */
const HELD_EDGE_IN_MS = 2_500;
const PEOPLE_IN_LINE = 20;
/** How long the row is held after an edge. */
const HELD_AFTER_MS = 50;

test("claims at both edges of an event's window", { skip: engineMissing }, async (t) => {
  const program = await startProgram(t);
  for (const mechanism of MECHANISMS) {
    await t.test(
      `${mechanism}: nobody gets in before the opening or after the close`,
      async (t) => {
        const fault = `a claim every millisecond for ${AROUND_MS} ms on both sides of both edges`;
        const row = faultRow(t, { row: "T2", mechanism, fault });
        await untilAllPlaces(async () => {
          const scheduled = await scheduleSale(program, mechanism);
          const opening = await claimAround(scheduled, "opensAt");
          const closing = await claimAround(scheduled, "closesAt");
          const timed = { ...scheduled, window: windowOf(opening, closing) };
          const told = [...opening.told, ...closing.told];
          row.injected(told.length);
          assertInOrder(timed, told);
          assertInTime(timed, told);
          await judgeWindow(timed, told, row);
          return told;
        });
      },
    );
  }

  await t.test(
    "row-lock: who waits for the lock over an edge is judged after the wait",
    async (t) => {
      const fault = "another session holds the event's row over both edges, with claims in line";
      const row = faultRow(t, { row: "T2", mechanism: "row-lock", fault });
      const scheduled = await scheduleSale(program, "row-lock");
      const opening = await claimHeldOver(scheduled, "opensAt");
      const closing = await claimHeldOver(scheduled, "closesAt");
      const timed = { ...scheduled, window: windowOf(opening, closing) };
      row.injected(2);
      assert.deepEqual(
        new Set(opening.told.map(placeOf)),
        new Set([1]),
        "all are in after the opening",
      );
      assert.deepEqual(
        new Set(closing.told.map(placeOf)),
        new Set([2]),
        "nobody is in after the close",
      );
      await judgeWindow(timed, [...opening.told, ...closing.told], row);
    },
  );
});

/** They claim before the edge, wait for the row, and get it after the edge. */
async function claimHeldOver(scheduled: Scheduled, edge: EdgeName): Promise<Edge> {
  const { sale, clock } = scheduled;
  const edgeMs = await moveEdge(scheduled, edge, HELD_EDGE_IN_MS);
  const { claims } = await whileRowHeld(sale, async (untilWaited) => {
    const claims = claimAtOnce(sale, people(PEOPLE_IN_LINE));
    // Awaited below; if the fault cannot be injected, the test ends before that.
    claims.catch(() => undefined);
    await untilWaited();
    assert.ok(performance.now() + clock.offsetMs < edgeMs, "the wait began too late for the edge");
    await reach(clock, edgeMs + HELD_AFTER_MS);
    return { claims };
  });
  return { edgeMs, told: await claims };
}
