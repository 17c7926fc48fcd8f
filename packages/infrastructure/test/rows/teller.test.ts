// How watchers are told: what it costs slows it down, and nobody else.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openTeller } from "../../src/rows/teller.ts";

/** A time in which only telling and resting pass, and whoever sleeps wakes so much too late. */
function madeTime(lateMs = 0) {
  let nowMs = 0;
  const rests: number[] = [];
  return {
    rests,
    nowMs: () => nowMs,
    pass: (ms: number) => (nowMs += ms),
    async sleep(ms: number) {
      rests.push(ms);
      nowMs += ms + lateMs;
    },
    endOfTurn: (run: () => void) => void setImmediate(run),
  };
}

type MadeTime = ReturnType<typeof madeTime>;

/** So many watchers, each of whom costs so much; notes when each was told. */
function crowd(time: MadeTime, count: number, eachMs: number) {
  const toldMs: number[] = [];
  const watcher = (): void => {
    time.pass(eachMs);
    toldMs.push(time.nowMs());
  };
  return { toldMs, watchers: Array.from({ length: count }, () => watcher) };
}

const told = async (tell: ReturnType<typeof openTeller>, watchers: Iterable<() => void>) =>
  new Promise<void>((done) => {
    tell({ watchers, done });
  });

// Red when it rests once after all instead of after each slice, or not at all.
test("telling a crowd takes a quarter of the time, never more than 2 ms in one go", async () => {
  const time = madeTime();
  const { toldMs, watchers } = crowd(time, 1_000, 0.125);
  await told(openTeller(time), watchers);
  assert.equal(toldMs.length, 1_000);
  assert.ok(time.rests.every((ms) => ms <= 6));
  const restedMs = time.rests.reduce((sum, ms) => sum + ms, 0);
  assert.ok(restedMs >= 125 * 3 - 6, `rested ${restedMs} ms for 125 ms of telling`);
});

// Red when an event's telling is finished before the next one's begins.
test("a few watchers of one event are told between the slices of a crowd at another", async () => {
  const time = madeTime();
  const tell = openTeller(time);
  const many = crowd(time, 1_000, 0.125);
  const few = crowd(time, 3, 0.125);
  await Promise.all([told(tell, many.watchers), told(tell, few.watchers)]);
  assert.ok(few.toldMs.at(-1)! < 20, `told after ${few.toldMs.at(-1)} ms`);
  assert.ok(many.toldMs.at(-1)! > 450);
});

// Red when each event rests for itself alone.
test("a thousand events with a watcher each take a quarter of the time together", async () => {
  const time = madeTime();
  const tell = openTeller(time);
  const all = Array.from({ length: 1_000 }, () => crowd(time, 1, 0.25));
  await Promise.all(all.map(async ({ watchers }) => told(tell, watchers)));
  assert.ok(time.nowMs() >= 1_000, `all told within ${time.nowMs()} ms for 250 ms of telling`);
});

// Red when what it overslept is forgotten: a busy machine would hardly tell anybody.
test("telling takes no less than that where whoever sleeps wakes late", async () => {
  const time = madeTime(15);
  const { watchers } = crowd(time, 1_000, 0.125);
  await told(openTeller(time), watchers);
  assert.ok(time.nowMs() >= 125 * 4 - 30 && time.nowMs() < 700, `took ${time.nowMs()} ms`);
});
