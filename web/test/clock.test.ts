import assert from "node:assert/strict";
import { test } from "node:test";

import { narrow, serverClock } from "../public/clock.js";

/** The `Date` header that a server `aheadMs` before our clock sends for a short exchange. */
function sampleAt(localMs: number, aheadMs: number) {
  const serverMs = Math.floor((localMs + aheadMs) / 1000) * 1000;
  return { sentMs: localMs - 10, receivedMs: localMs + 10, serverMs };
}

test("answers at different fractions of a second narrow the difference down", () => {
  const aheadMs = 7_350;
  let now = 0;
  const clock = serverClock(() => now);
  for (let answer = 0; answer < 20; answer += 1) {
    now = 100_000 + answer * 1_137;
    clock.sample(sampleAt(now, aheadMs));
  }
  assert.ok(Math.abs(clock.nowMs() - (now + aheadMs)) < 50, `${clock.nowMs() - now}`);
});

test("one slow answer says little but nothing wrong", () => {
  const bounds = narrow(null, { sentMs: 0, receivedMs: 5_000, serverMs: 10_000 });
  assert.deepEqual(bounds, { lowMs: 5_000, highMs: 11_000 });
});

test("after a server's clock was set the newest answer alone counts", () => {
  let now = 100_000;
  const clock = serverClock(() => now);
  clock.sample(sampleAt(now, 0));
  now = 110_000;
  clock.sample(sampleAt(now, 3_600_000));
  assert.ok(Math.abs(clock.nowMs() - now - 3_600_000) < 1_100);
});
