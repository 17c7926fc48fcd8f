import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { TestContext } from "node:test";
import { waitingLine, waitingLines } from "../../../src/engines/postgres/waiting-line.ts";
import type { WaitingLine } from "../../../src/engines/postgres/waiting-line.ts";
import { systemTime } from "../../../src/engines/time.ts";

/** Longer than a millisecond and the line's next look at who is late. */
const BOUND_MS = 3_000;

function open(t: TestContext, waitersMax: number, waitMsMax = 60_000): WaitingLine {
  const line = waitingLine({ permits: 1, waitersMax, waitMsMax, time: systemTime });
  t.after(() => line.close());
  return line;
}

test("gives the permit to the next in line, in the order in which they came", async (t) => {
  const line = open(t, 100);
  assert.equal(await line.enter(), true);
  const order: number[] = [];
  const all = Array.from({ length: 50 }, async (_, n) => {
    assert.equal(await line.enter(), true);
    order.push(n);
    line.leave();
  });
  assert.equal(line.waiting(), 50);
  line.leave();
  await Promise.all(all);
  assert.deepEqual(
    order,
    Array.from({ length: 50 }, (_, n) => n),
  );
  assert.equal(line.waiting(), 0);
});

test("turns away whoever finds the line full", async (t) => {
  const line = open(t, 1);
  await line.enter();
  const waiting = line.enter();
  assert.equal(await line.enter(), false);
  line.leave();
  assert.equal(await waiting, true);
});

test("turns away whoever has waited too long, and serves the others", async (t) => {
  const line = open(t, 10, 1);
  await line.enter();
  // B37. Red when nobody's time is ever up (`sweep`).
  const late = sleep(BOUND_MS, "still waiting", { ref: false });
  assert.equal(await Promise.race([line.enter(), late]), false);
  line.leave();
  assert.equal(await line.enter(), true);
});

test("turns away everybody when it closes", async (t) => {
  const line = open(t, 10);
  await line.enter();
  const waiting = [line.enter(), line.enter()];
  line.close();
  assert.deepEqual(await Promise.all(waiting), [false, false]);
  assert.equal(await line.enter(), false);
});

test("tells for each key how many wait, and nothing of a key that nobody uses", async (t) => {
  const lines = waitingLines({ permits: 1, waitersMax: 10, waitMsMax: 60_000, time: systemTime });
  t.after(() => lines.close());
  await lines.of("held").enter();
  await lines.of("free").enter();
  const waiting = lines.of("held").enter();
  assert.deepEqual(
    [...lines.waitingByKey()],
    [
      ["held", 1],
      ["free", 0],
    ],
  );
  lines.of("free").leave();
  lines.of("held").leave();
  assert.equal(await waiting, true);
  assert.deepEqual([...lines.waitingByKey()], [["held", 0]]);
});
