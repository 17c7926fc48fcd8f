// The lab's pure parts, each against a slow and plain version of itself or against figures by hand.
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import type { Attempt } from "@stampede/lab";
import {
  claimFigures,
  fairnessOf,
  generatorFaults,
  inversions,
  latencyOf,
  orderOf,
  sameAgainstSame,
  type Effort,
  type Run,
} from "@stampede/lab/compare";
import fc from "fast-check";

import { madeRun } from "./support/made-run.ts";

describe("inversions", () => {
  test("are as many as looking at every pair finds", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 40 }), (values) => {
        const wrong = values.flatMap((a, i) => values.slice(i + 1).filter((b) => a > b));
        assert.equal(inversions(values), wrong.length);
      }),
    );
  });

  test("of a reversed order of ten thousand are all pairs, in no time", () => {
    const reversed = Array.from({ length: 10_000 }, (_, index) => 10_000 - index);
    const startMs = performance.now();
    assert.equal(inversions(reversed), (10_000 * 9_999) / 2);
    assert.ok(performance.now() - startMs < 2_000);
  });
});

describe("fairness", () => {
  test("is the same as a look at every pair and every person finds", () => {
    const people = fc.integer({ min: 1, max: 25 }).chain((count) => {
      const names = Array.from({ length: count }, (_, index) => `p${index}`);
      return fc.record({
        names: fc.constant(names),
        order: fc.shuffledSubarray(names),
        limit: fc.integer({ min: 1, max: 25 }),
      });
    });
    fc.assert(
      fc.property(people, ({ names, order, limit }) => {
        const seqs = new Map(order.map((person, index) => [person, index + 1]));
        const found = fairnessOf(names, seqs, limit);
        if (order.length === 0) return assert.equal(found, null);
        let [pairs, wrong] = [0, 0];
        for (const [place, first] of names.entries()) {
          for (const second of names.slice(place + 1)) {
            const [one, other] = [seqs.get(first) ?? Infinity, seqs.get(second) ?? Infinity];
            if (one === Infinity && other === Infinity) continue;
            pairs += 1;
            if (one > other) wrong += 1;
          }
        }
        assert.equal(found?.inversions, pairs === 0 ? 0 : wrong / pairs);
        const places = order.map((person, index) => Math.abs(names.indexOf(person) - index));
        assert.equal(found?.displacement.max, Math.max(...places));
        const late = order.filter((person) => names.indexOf(person) >= limit);
        assert.equal(found?.changedHands, late.length);
      }),
    );
  });

  test("says nothing where nobody got a coupon", () => {
    assert.equal(fairnessOf(["ana", "ben"], new Map(), 10), null);
  });

  test("sees a coupon that went to the one who came last", () => {
    const fairness = fairnessOf(["ana", "ben", "cem", "dora"], new Map([["dora", 1]]), 1);
    assert.deepEqual(fairness, {
      inversions: 1,
      displacement: { p50: 3, p99: 3, max: 3 },
      changedHands: 1,
      limit: 1,
    });
  });
});

describe("latency", () => {
  test("has a distribution that counts everything up to each edge", () => {
    const latencies = fc.array(fc.double({ min: 0, max: 90_000, noNaN: true }), { maxLength: 60 });
    fc.assert(
      fc.property(latencies, (values) => {
        const { histogram, max } = latencyOf(values);
        for (const { upToMs, count } of histogram) {
          assert.equal(count, values.filter((value) => value <= upToMs).length);
        }
        assert.equal(histogram.at(-1)?.count ?? 0, values.length);
        assert.ok(values.length === 0 || Number(histogram.at(-1)?.upToMs) >= max);
        const edges = histogram.map(({ upToMs }) => upToMs);
        assert.deepEqual(
          edges,
          edges.toSorted((a, b) => a - b),
        );
      }),
    );
  });

  test("has the same edges in every run, so that distributions can be added", () => {
    const edges = new Set(latencyOf([0.5, 20_000]).histogram.map(({ upToMs }) => upToMs));
    for (const { upToMs } of latencyOf([3, 700, 701]).histogram) assert.ok(edges.has(upToMs));
  });

  test("counts from when somebody was due, not from when the crowd got round to it", () => {
    const claims = [
      claim({ sentMs: 150, returnedMs: 250 }),
      claim({ sentMs: 200, returnedMs: 210 }),
    ];
    const figures = claimFigures({ claims, dueMs: [100, 200] }, false);
    assert.equal(figures.latencyMs.max, 150);
    assert.deepEqual(figures.lateMs, { p99: 50, max: 50 });
  });
});

describe("the figures of a crowd", () => {
  const first = claim({ sentMs: 100, returnedMs: 400 });
  const second = claim({ sentMs: 120, returnedMs: 300, outcome: "sold-out", status: 409 });
  const silent = claim({ sentMs: 130, returnedMs: 9_000, status: null, outcome: "unknown" });

  test("count answers only: who got none has no latency and does not stretch the run", () => {
    const claims = [first, second, silent];
    const figures = claimFigures({ claims, dueMs: [100, 100, 100] }, true);
    assert.equal(figures.lastAnswerMs, 300);
    assert.equal(figures.answersPerSecond, 2 / 0.3);
    assert.equal(figures.latencyMs.max, 300);
    assert.equal(figures.outcomes.unknown, 1);
    assert.equal(
      figures.answersPerSlice.reduce((sum, count) => sum + count, 0),
      2,
    );
  });

  test("have a firing skew at one instant, made of everybody's first claim", () => {
    const again = claim({ sentMs: 400, returnedMs: 410, attempt: 2 });
    const crowd = { claims: [first, second, again], dueMs: [100, 100, 400] };
    assert.equal(claimFigures(crowd, true).firingSkewMs, 20);
    assert.equal(claimFigures(crowd, false).firingSkewMs, null);
  });

  test("put every answer into its slice, in at most two hundred of them", () => {
    const times = fc.array(fc.integer({ min: 0, max: 400_000 }), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(times, (returned) => {
        const claims = returned.map((returnedMs) => claim({ sentMs: 0, returnedMs }));
        const figures = claimFigures({ claims, dueMs: returned.map(() => 0) }, true);
        assert.ok(figures.answersPerSlice.length <= 201);
        for (const [index, count] of figures.answersPerSlice.entries()) {
          const within = returned.filter((ms) => Math.floor(ms / figures.sliceMs) === index);
          assert.equal(count, within.length);
        }
      }),
    );
  });
});

describe("a run is void for the generator's sake", () => {
  const fine: Effort = {
    firingSkewMs: 90,
    lastAnswerMs: 300,
    lateMsP99: 90,
    latencyMsP99: 290,
    wallMs: 300,
    crowdCpuShare: 0.97,
    serverCpuShare: 0.98,
  };
  const cases: readonly (readonly [string, Partial<Effort>, RegExp | null])[] = [
    ["never when both sides are busy to the end", {}, null],
    [
      "when its sending takes most of the time",
      { firingSkewMs: 160 },
      /sending took 160 ms of 300/,
    ],
    [
      "not when a small crowd is over within milliseconds",
      { firingSkewMs: 9, lastAnswerMs: 10 },
      null,
    ],
    ["when its thread is full while the server idles", { serverCpuShare: 0.5 }, /97 % of a core/],
    [
      "when its thread is full and nothing is known of the server",
      { serverCpuShare: null },
      /unknown/,
    ],
    [
      "not by CPU when the run is shorter than CPU can be counted",
      { wallMs: 50, serverCpuShare: 0 },
      null,
    ],
    ["not when it idles too", { crowdCpuShare: 0.5, serverCpuShare: 0.5 }, null],
    [
      "not when a spread arrival is late by a timer",
      { firingSkewMs: null, lateMsP99: 4, latencyMsP99: 6 },
      null,
    ],
    [
      "when spread arrivals are late for a tenth of what they measure",
      { firingSkewMs: null, lateMsP99: 30, latencyMsP99: 200 },
      /30 ms late/,
    ],
    [
      "not when the server is so slow that lateness is lost in it",
      { firingSkewMs: null, lateMsP99: 30, latencyMsP99: 2_000 },
      null,
    ],
  ];
  for (const [title, more, expected] of cases) {
    test(title, () => {
      const faults = generatorFaults({ ...fine, ...more });
      if (expected === null) assert.deepEqual(faults, []);
      else assert.match(faults.join("; "), expected);
    });
  }
});

describe("the order of a round", () => {
  const subjects = ["ceiling", "row-lock", "redis-counter"] as const;

  test("is reversed in every second round, twins included", () => {
    const first = orderOf(subjects, ["ceiling"], 1);
    assert.deepEqual(
      first.map(({ subject, twin }) => (twin ? `${subject} again` : subject)),
      ["ceiling", "row-lock", "redis-counter", "ceiling again"],
    );
    assert.deepEqual(orderOf(subjects, ["ceiling"], 2), first.toReversed());
    assert.deepEqual(orderOf(subjects, ["ceiling"], 3), first);
  });
});

describe("an A/A pair", () => {
  const pair = (round: number, first: number | null, second: number | null): Run[] => [
    madeRun({ subject: "ceiling", round, twin: false, answersPerSecond: first }),
    madeRun({ subject: "ceiling", round, twin: true, answersPerSecond: second }),
  ];

  test("of few rounds allows claims beyond the widest of its ratios, whichever half was faster", () => {
    const [found] = sameAgainstSame([...pair(1, 110, 100), ...pair(2, 80, 100)]);
    const measured = { measure: "answers", ratios: [1.1, 0.8], smallestClaim: 0.25 };
    assert.deepEqual(found, { subject: "ceiling", ...measured });
  });

  const claimOf = (ratios: readonly number[]): number => {
    const [found] = sameAgainstSame(
      ratios.flatMap((ratio, round) => pair(round, ratio * 100, 100)),
    );
    return found?.smallestClaim ?? Number.NaN;
  };

  test("tells how far the median of the rounds is noise, which one disturbed round hardly moves", () => {
    const quiet = [0.98, 1.02, 1, 0.99, 1.01, 1.02, 0.98, 1, 1.01];
    assert.ok(claimOf([...quiet, 2.5, 0.4]) < 0.025);
    assert.ok(claimOf(quiet) > 0);
    // In a few rounds, or in all of them, it is no disturbance.
    assert.equal(claimOf([1, 1, 2.5]), 1.5);
    assert.ok(claimOf(quiet.map((ratio) => ratio * 1.3)) > 0.29);
  });

  test("tells the noise of the server's CPU apart from that of the answers", () => {
    const server = (micros: number): Partial<Run> => {
      return { subject: "ceiling", cpuMicrosPerClaim: { server: { user: micros, system: 5 } } };
    };
    const found = sameAgainstSame([
      madeRun({ ...server(45), twin: false }),
      madeRun({ ...server(35), twin: true }),
    ]);
    assert.deepEqual(
      found.map(({ measure, smallestClaim }) => [measure, smallestClaim]),
      [
        ["answers", 0],
        ["server-cpu", 0.25],
      ],
    );
  });

  test("leaves out a round in which one half was not right", () => {
    const [found] = sameAgainstSame([...pair(1, null, 100), ...pair(2, 101, 100)]);
    assert.deepEqual(found?.ratios, [1.01]);
    assert.deepEqual(sameAgainstSame(pair(1, null, 100)), []);
  });
});

function claim(more: Partial<Attempt>): Attempt {
  return {
    id: 0,
    kind: "claim",
    person: "ana",
    eventId: "spring",
    mechanism: "row-lock",
    attempt: 1,
    instance: "127.0.0.1:3000",
    sentMs: 0,
    returnedMs: 100,
    status: 201,
    fault: null,
    problemType: null,
    outcome: "issued",
    seq: null,
    code: null,
    issuedAt: null,
    ticket: null,
    ahead: null,
    guaranteed: null,
    ticketAsked: null,
    ...more,
  };
}
