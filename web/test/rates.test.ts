import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { openRing } from "../public/points.js";
import { changeBetween, quantile } from "../public/rates.js";
import type { Bucket } from "../public/reading.js";
import { aReading } from "./desk-examples.ts";

const V1 = "row-lock";

describe("between two readings", () => {
  test("answers are counted by mechanism and outcome", () => {
    const before = aReading(0, { [V1]: { outcomes: { issued: 5, "sold-out": 1 } } });
    const after = aReading(2_000, { [V1]: { outcomes: { issued: 8, "sold-out": 8 } } });
    const change = changeBetween(before, after);
    assert.equal(change?.seconds, 2);
    const happened = change.byMechanism.get(V1);
    assert.deepEqual([happened?.answers, happened?.outcomes.issued], [10, 3]);
    assert.equal(happened?.outcomes["sold-out"], 7);
  });

  test("the first claims of a mechanism count: its series began at 0", () => {
    const after = aReading(1_000, { "kafka-queue": { outcomes: { queued: 4 }, took: [4] } });
    const happened = changeBetween(aReading(0), after)?.byMechanism.get("kafka-queue");
    assert.equal(happened?.answers, 4);
    assert.ok(happened.latency !== null);
  });

  test("every outcome that the service knows has its group, and an unknown one is a refusal", () => {
    const outcomes = {
      replayed: 1,
      unavailable: 1,
      "outcome-unknown": 1,
      error: 1,
      paused: 1,
      new: 1,
    };
    const after = aReading(1_000, { [V1]: { outcomes } });
    assert.deepEqual(changeBetween(aReading(0), after)?.byMechanism.get(V1)?.outcomes, {
      issued: 0,
      queued: 0,
      replayed: 1,
      "sold-out": 0,
      refused: 2,
      failed: 3,
    });
  });

  test("counters that went back are a restart: no rates, and none below zero", () => {
    const before = aReading(0, { [V1]: { outcomes: { issued: 50 } } });
    const after = aReading(1_000, { [V1]: { outcomes: { issued: 3 } } });
    assert.equal(changeBetween(before, after), null);
    assert.equal(changeBetween(before, aReading(1_000)), null, "and so are counters that vanished");
  });

  test("another start time is a restart also where the counters grew meanwhile", () => {
    const before = aReading(0, { [V1]: { outcomes: { issued: 5 } } });
    const busy = { [V1]: { outcomes: { issued: 900 } } };
    assert.equal(changeBetween(before, aReading(1_000, busy, { startedAt: 2 })), null);
  });

  test("without the claims' metric, or without time between, there are no rates", () => {
    assert.equal(changeBetween(aReading(0), aReading(1_000, {}, { claims: null })), null);
    assert.equal(changeBetween(aReading(5), aReading(5)), null);
  });

  test("only what was answered since counts for the latency", () => {
    const slow = aReading(0, { [V1]: { outcomes: { issued: 100 }, took: [0, 0, 100] } });
    const fast = aReading(1_000, { [V1]: { outcomes: { issued: 110 }, took: [10, 0, 100] } });
    const latency = changeBetween(slow, fast)?.byMechanism.get(V1)?.latency;
    assert.ok(latency !== undefined && latency !== null);
    assert.ok(latency.p99 <= 0.01, `${latency.p99}`);
    const idle = aReading(2_000, { [V1]: { outcomes: { issued: 110 }, took: [10, 0, 100] } });
    assert.equal(changeBetween(fast, idle)?.byMechanism.get(V1)?.latency, null);
  });
});

describe("a quantile of a histogram", () => {
  const buckets = (...counts: number[]): Bucket[] =>
    counts.map((count, index) => ({ bound: [0.1, 0.2, 0.4, Infinity][index] ?? 0, count }));
  const near = (actual: number | null, expected: number): void =>
    assert.ok(actual !== null && Math.abs(actual - expected) < 1e-9, `${actual} for ${expected}`);

  test("lies where an even spread within its bucket puts it", () => {
    near(quantile(0.5, buckets(0, 100, 100, 100)), 0.15);
    near(quantile(0.75, buckets(50, 50, 100, 100)), 0.3);
    near(quantile(0.5, buckets(100, 100, 100, 100)), 0.05);
    near(quantile(1, buckets(1, 2, 3, 3)), 0.4);
  });

  test("beyond the last bound is that bound: more is not known", () => {
    near(quantile(0.99, buckets(1, 1, 1, 100)), 0.4);
  });

  test("is null without values, and without a whole histogram", () => {
    assert.equal(quantile(0.5, buckets(0, 0, 0, 0)), null);
    assert.equal(quantile(0.5, []), null);
    assert.equal(quantile(0.5, [{ bound: Infinity, count: 4 }]), null);
    assert.equal(quantile(0.5, [{ bound: 1, count: 4 }]), null);
  });
});

describe("the ring of points", () => {
  test("keeps the last five minutes, and never more points than it may", () => {
    const ring = openRing({ spanMs: 300_000, pointsMax: 330 });
    for (let second = 0; second < 1_000; second += 1) ring.add(aReading(second * 1_000));
    const kept = ring.points();
    assert.equal(kept.length, 301);
    assert.deepEqual([kept[0]?.atMs, kept.at(-1)?.atMs], [699_000, 999_000]);
    for (let at = 0; at < 1_000; at += 1) ring.add(aReading(1_000_000 + at));
    assert.equal(ring.points().length, 330);
  });

  test("has no rates in its first point, nor after a gap, but the state in both", () => {
    const ring = openRing({ spanMs: 300_000, pointsMax: 330 });
    ring.add(aReading(0, { [V1]: { outcomes: { issued: 5 } } }));
    ring.add(aReading(1_000, { [V1]: { outcomes: { issued: 6 } } }));
    ring.addGap(2_000);
    ring.add(aReading(9_000, { [V1]: { outcomes: { issued: 90 } } }));
    ring.add(aReading(10_000, { [V1]: { outcomes: { issued: 91 } } }));
    const answers = ring.points().map(({ change }) => change?.byMechanism.get(V1)?.answers ?? null);
    assert.deepEqual(answers, [null, 1, null, null, 1]);
    const states = ring.points().map(({ reading }) => reading !== null);
    assert.deepEqual(states, [true, true, false, true, true]);
  });

  test("gives points that stand still while it goes on", () => {
    const ring = openRing({ spanMs: 300_000, pointsMax: 330 });
    ring.add(aReading(0));
    const frozen = ring.points();
    ring.add(aReading(1_000));
    assert.equal(frozen.length, 1);
  });
});
