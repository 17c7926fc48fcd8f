import assert from "node:assert/strict";
import { test } from "node:test";

import { openApi } from "../public/api.js";
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

test("time is taken from the service's answers, never from what a proxy says by itself", async (t) => {
  const sampled: number[] = [];
  const api = openApi({ sample: ({ serverMs }) => sampled.push(serverMs) });
  const serverMs = Date.parse("2026-12-01T00:00:00.000Z");
  for (const [status, times] of [
    [200, 1],
    [409, 1],
    [429, 0],
    [502, 0],
    [503, 0],
    [504, 0],
  ] as const) {
    sampled.length = 0;
    const headers = { date: new Date(serverMs).toUTCString() };
    t.mock.method(globalThis, "fetch", async () => new Response("{}", { status, headers }));
    await api.claim({ path: "/v1/events/spring/issues", userId: "ana" });
    assert.deepEqual(sampled, Array(times).fill(serverMs), String(status));
  }
});
