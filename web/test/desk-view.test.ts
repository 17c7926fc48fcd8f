import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { speakDesk } from "../public/desk-language.js";
import { DESK_ENGLISH, DESK_KOREAN, isDeskKey } from "../public/desk-messages.js";
import { deskState } from "../public/desk-state.js";
import { lineOf, stateOf, stockOf } from "../public/desk-stock.js";
import { answersOf, latencyOf, outcomesOf } from "../public/desk-view.js";
import type { Choice } from "../public/desk-view.js";
import { openRing } from "../public/points.js";
import type { Point } from "../public/points.js";
import type { Reading } from "../public/reading.js";
import { aReading } from "./desk-examples.ts";
import { myIdea, ROW_LOCK } from "./examples.ts";

const V1 = "row-lock";
const V3 = "kafka-queue";
const PICTURES = [answersOf, outcomesOf, latencyOf, stockOf, lineOf];

function aChoice(changes: Partial<Choice> = {}): Choice {
  const names = new Map([["spring", "Spring coupon"]]);
  const language = speakDesk("en");
  const mechanisms = new Map([[V1, ROW_LOCK]]);
  return {
    eventId: null,
    mechanism: null,
    stock: "remaining",
    names,
    mechanisms,
    language,
    ...changes,
  };
}

/** One point a second; a null is a second in which the server did not answer. */
function pointsOf(...readings: (((atMs: number) => Reading) | null)[]): readonly Point[] {
  const ring = openRing({ spanMs: 300_000, pointsMax: 330 });
  for (const [second, reading] of readings.entries()) {
    if (reading === null) ring.addGap(second * 1_000);
    else ring.add(reading(second * 1_000));
  }
  return ring.points();
}

function stock(mechanism: string, issued: number, remaining: number) {
  return { mechanism, issued, remaining };
}

function holes(text: string): string[] {
  return [...text.matchAll(/\{\w+\}/g)].map(String).sort();
}

describe("the charts", () => {
  const sale = pointsOf(
    (atMs) => aReading(atMs, { [V1]: { outcomes: { issued: 10 }, took: [10] } }),
    (atMs) => aReading(atMs, { [V1]: { outcomes: { issued: 40, "sold-out": 10 }, took: [50] } }),
    null,
    (atMs) => aReading(atMs, { [V1]: { outcomes: { issued: 40, "sold-out": 60 }, took: [100] } }),
    (atMs) => aReading(atMs, { [V1]: { outcomes: { issued: 40, "sold-out": 80 }, took: [120] } }),
  );

  test("draw answers, with a gap where the server was away", () => {
    const { lines, summary } = answersOf(sale, aChoice());
    assert.deepEqual(
      lines.map(({ key, values }) => [key, values]),
      [[V1, [null, 40, null, null, 20]]],
    );
    assert.equal(summary, "20 answers a second now, 40 at most, 60 in all.");
  });

  test("tell the mix of outcomes by share and count, and leave out what did not happen", () => {
    const { lines, summary } = outcomesOf(sale, aChoice());
    assert.deepEqual(
      lines.map(({ key }) => key),
      ["issued", "sold-out"],
    );
    assert.equal(summary, "In all: 50% issued (30), 50% sold out (30).");
  });

  test("tell the latency of the latest second that had any", () => {
    const { lines, summary } = latencyOf(sale, aChoice());
    assert.deepEqual(
      lines.map(({ label }) => label),
      ["v1 p50", "v1 p95", "v1 p99"],
    );
    assert.equal(summary, "v1: half within 5 ms, 95 % within 9.5 ms, 99 % within 9.9 ms.");
  });

  test("of a chosen event show its mechanism, and say that it is all of that", () => {
    const spring = { stocks: new Map([["spring", stock(V3, 0, 9)]]) };
    const counted = { [V1]: { outcomes: { issued: 9 } }, [V3]: { outcomes: { queued: 5 } } };
    const points = pointsOf(
      (atMs) => aReading(atMs, {}, spring),
      (atMs) => aReading(atMs, counted, spring),
    );
    const chosen = aChoice({ eventId: "spring", mechanism: V3 });
    const { lines, note } = answersOf(points, chosen);
    assert.deepEqual(
      lines.map(({ key }) => key),
      [V3],
    );
    assert.match(note, /all claims of kafka-queue,/);
  });

  const novel = pointsOf(
    (atMs) => aReading(atMs, { "my-idea": { outcomes: { issued: 0 } } }),
    (atMs) => aReading(atMs, { "my-idea": { outcomes: { issued: 5 }, took: [5] } }),
  );

  test("draw a mechanism that only the server has words for", () => {
    const mechanisms = new Map([ROW_LOCK, myIdea()].map((one) => [one.name, one]));
    const { lines } = answersOf(novel, aChoice({ mechanisms }));
    assert.deepEqual(
      lines.map(({ label, color, values }) => [label, color, values]),
      [["v9 · My idea", "mechanism-2", [null, 5]]],
    );
    assert.match(latencyOf(novel, aChoice({ mechanisms })).summary, /^v9: half within/);
  });

  test("draw a mechanism that nobody has words for by its name, after those with words", () => {
    const { lines } = answersOf(novel, aChoice());
    assert.deepEqual(
      lines.map(({ label, color }) => [label, color]),
      [["my-idea", "mechanism-2"]],
    );
  });

  test("draw every mechanism that the server tells while none is in use", () => {
    const mechanisms = new Map([ROW_LOCK, myIdea()].map((one) => [one.name, one]));
    const quiet = pointsOf((atMs) => aReading(atMs));
    const { lines } = answersOf(quiet, aChoice({ mechanisms }));
    assert.deepEqual(
      lines.map(({ key }) => key),
      [V1, "my-idea"],
    );
  });

  test("say what is missing instead of drawing it, and never a NaN", () => {
    const nothing = { claims: null, durations: null, stocks: null, lines: null, lag: null };
    const points = pointsOf(
      (atMs) => aReading(atMs, {}, nothing),
      (atMs) => aReading(atMs, {}, nothing),
    );
    for (const pictureOf of PICTURES) {
      const picture = pictureOf(points, aChoice());
      assert.deepEqual(picture.lines, []);
      assert.match(picture.note, /does not publish stampede_/);
      assert.doesNotMatch(JSON.stringify(picture), /NaN|undefined/);
    }
    const { remaining, waiting } = stateOf(points, aChoice());
    assert.deepEqual([remaining, waiting], [null, null]);
  });

  test("say so while there is no reading", () => {
    for (const points of [[], pointsOf(null, null)]) {
      for (const pictureOf of PICTURES) {
        assert.equal(pictureOf(points, aChoice()).summary, "No reading yet.");
      }
    }
  });
});

describe("coupons and lines", () => {
  test("remaining goes down by event, and issued up", () => {
    const at = (issued: number) => (atMs: number) =>
      aReading(atMs, {}, { stocks: new Map([["spring", stock(V1, issued, 9 - issued)]]) });
    const points = pointsOf(at(0), at(4), null, at(9));
    const remaining = stockOf(points, aChoice());
    assert.deepEqual(remaining.lines[0]?.values, [9, 5, null, 0]);
    assert.equal(remaining.lines[0].label, "Spring coupon");
    assert.equal(remaining.summary, "Spring coupon: 0 of 9 left.");
    assert.deepEqual(stockOf(points, aChoice({ stock: "issued" })).lines[0]?.values, [
      0,
      4,
      null,
      9,
    ]);
  });

  test("of many events those that moved last are drawn, each in one colour of its own", () => {
    const many = (moved: string) => (atMs: number) =>
      aReading(
        atMs,
        {},
        {
          stocks: new Map(
            Array.from({ length: 20 }, (_, index) => `event-${index}`).map((id) => [
              id,
              stock(V1, id === moved ? 1 : 0, 9),
            ]),
          ),
        },
      );
    const choice = aChoice({ stock: "issued" });
    const { lines, note } = stockOf(pointsOf(many(""), many("event-18")), choice);
    assert.equal(lines.length, 6);
    assert.ok(lines.some(({ key }) => key === "event-18"));
    assert.equal(new Set(lines.map(({ color }) => color)).size, 6);
    assert.match(note, /^6 of 20 events/);
  });

  test("a line that has emptied is 0, and its peak is remembered", () => {
    const waiting = (count: number | null) => (atMs: number) =>
      aReading(atMs, {}, { lines: new Map(count === null ? [] : [["spring", count]]) });
    const { lines, summary } = lineOf(pointsOf(waiting(4), waiting(2), waiting(null)), aChoice());
    assert.deepEqual(lines[0]?.values, [4, 2, 0]);
    assert.equal(summary, "Spring coupon: 0 waiting, 4 at most.");
  });

  test("where lines are not told apart their sum is drawn, and said to be one", () => {
    const lag = (count: number) => (atMs: number) =>
      aReading(atMs, {}, { lines: null, lag: count });
    const points = pointsOf(lag(7), lag(3));
    const { lines, note } = lineOf(points, aChoice());
    assert.deepEqual(lines[0]?.values, [7, 3]);
    assert.equal(note, "This server tells all lines together only.");
    assert.equal(stateOf(points, aChoice()).waiting, 3);
  });

  test("of an event that no line is told of, nothing is drawn, whatever its mechanism", () => {
    for (const mechanism of [V1, V3, "my-idea", null]) {
      const points = pointsOf((atMs) => aReading(atMs, {}, { lines: new Map([["other", 3]]) }));
      const chosen = aChoice({ eventId: "spring", mechanism });
      const { lines, summary } = lineOf(points, chosen);
      assert.deepEqual(
        [lines.length, summary],
        [0, "This process knows of no line of this event."],
      );
      assert.equal(stateOf(points, chosen).waiting, null);
    }
  });

  test("of an event whose line was told in view, the line is drawn, whatever its mechanism", () => {
    const at = (lines: [string, number][]) => (atMs: number) =>
      aReading(atMs, {}, { lines: new Map(lines) });
    const points = pointsOf(at([["spring", 3]]), at([]));
    const chosen = aChoice({ eventId: "spring", mechanism: "my-idea" });
    assert.deepEqual(lineOf(points, chosen).lines[0]?.values, [3, 0]);
    assert.equal(stateOf(points, chosen).waiting, 0);
  });
});

describe("how the desk is doing", () => {
  const now = { atMs: 0, isPaused: false };

  test("a lost server is told with the time since when, and afterwards the gap", () => {
    const state = deskState();
    assert.equal(state.now(now).name, "starting");
    state.answered({ atMs: 1_000, startedAt: 1 });
    assert.equal(state.now(now).key, "status.live");
    state.failed({ atMs: 2_000, status: null });
    state.failed({ atMs: 3_000, status: null });
    assert.deepEqual(state.now(now), {
      name: "away",
      key: "status.away",
      values: { timeMs: 2_000 },
    });
    state.answered({ atMs: 9_000, startedAt: 2 });
    const told = state.now({ atMs: 9_000, isPaused: false });
    assert.equal(told.key, "status.liveAfterGap");
    assert.deepEqual(told.values, { fromMs: 2_000, toMs: 9_000 });
  });

  test("an answer without metrics is told as such, and a late one as late", () => {
    const state = deskState();
    state.failed({ atMs: 0, status: 502 });
    assert.deepEqual(state.now(now).values, { timeMs: 0, status: 502 });
    state.answered({ atMs: 0, startedAt: 1 });
    state.asked(0);
    assert.equal(state.now({ atMs: 3_001, isPaused: false }).name, "slow");
  });

  test("a restart is one process after another; an old one that comes back is a second", () => {
    const state = deskState();
    for (const startedAt of [1, 2]) state.answered({ atMs: 0, startedAt });
    assert.equal(state.now(now).name, "live");
    state.answered({ atMs: 0, startedAt: 1 });
    assert.equal(state.now(now).name, "several");
  });
});

describe("the desk's words", () => {
  test("every sentence has the same holes in both languages", () => {
    for (const key of Object.keys(DESK_ENGLISH)) {
      assert.ok(isDeskKey(key));
      assert.notEqual(DESK_KOREAN[key], "");
      assert.deepEqual(holes(DESK_KOREAN[key]), holes(DESK_ENGLISH[key]), key);
    }
  });

  test("durations have two digits, since buckets know no more", () => {
    const language = speakDesk("en");
    const told = [0.0005, 0.0123, 0.2486, 1.234, 29.6].map((seconds) => language.duration(seconds));
    assert.deepEqual(told, ["0.5 ms", "12 ms", "250 ms", "1.2 s", "30 s"]);
  });
});
