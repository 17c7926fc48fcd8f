// What leads the report: the verdict, what a claim costs, and whether anything may be published.
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { htmlReport, markdownSummary } from "@stampede/lab/report";
import { compared, line, noisy, quiet, type Run, type Subject } from "./support/compared.ts";
import { fixtureComparison, fixtureRun, pairsOf } from "./support/report-fixture.ts";

describe("what a claim costs", () => {
  const cpu = (subject: Subject, micros: readonly number[]): Run[] =>
    micros.map((own, index) =>
      fixtureRun(subject, index + 1, {
        cpuMicrosPerClaim: {
          server: { user: own * 0.75, system: own * 0.25 },
          postgres: { user: 2, system: 1 },
          redis: { user: 0.5, system: 0.5 },
        },
      }),
    );
  const subjects = ["ceiling", "redis-counter"];
  const runs = [...cpu("ceiling", [20, 40]), ...cpu("redis-counter", [30, 48])];

  test("is the server's CPU, with the engines' apart, and a ratio of the same rounds", () => {
    const comparison = fixtureComparison({ ...quiet, subjects, runs });
    assert.deepEqual(line(comparison, "Server CPU, µs"), ["39 (30–48)", "30 (20–40)"]);
    assert.deepEqual(line(comparison, "Server CPU, kernel, µs"), ["9.75 (7.5–12)", "7.5 (5–10)"]);
    assert.deepEqual(line(comparison, "Engines' CPU, µs"), ["4", "4"]);
    assert.deepEqual(line(comparison, "… of the empty handler's"), ["1.35 (1.20–1.50)", "–"]);
    const sentence =
      /v2 costs the server 1\.35 times the empty handler's CPU for a claim \(1\.20–1\.50/;
    assert.match(markdownSummary(comparison), sentence);
  });

  test("leads the summary, one line for each subject", () => {
    const comparison = fixtureComparison({ ...quiet, subjects, runs });
    const heads = markdownSummary(comparison)
      .split("\n")
      .find((text) => text.includes("issued (SQL)"));
    assert.match(heads ?? "", /server CPU, µs a claim .* of the empty handler's .* answers\/s/);
    const [right, , ratio] = line(comparison, "v2 Redis counter");
    assert.deepEqual([right, ratio], ["2 of 2", "1.35 (1.20–1.50)"]);
  });
});

describe("a comparison whose noise is above a quarter", () => {
  const rates = { "row-lock": [100, 110], "redis-counter": [700, 770], ceiling: [900, 990] };

  for (const [why, change, words] of [
    ["of answers or CPU", noisy, /Not publishable: the A\/A noise of server CPU per claim is 55 %/],
    ["that nobody measured", {}, /Not publishable: no A\/A run tells/],
  ] as const) {
    test(`${why} is not published, and tells no ratio`, () => {
      const comparison = compared(rates, change);
      for (const text of [markdownSummary(comparison), htmlReport(comparison)]) {
        assert.match(text, words);
        assert.doesNotMatch(text, /times v1|of the empty handler's|× v1|× empty/);
        assert.doesNotMatch(text, /times as many|beyond noise/);
      }
      // Each subject's own figures stand.
      assert.deepEqual(line(comparison, "Answers per second")[1], "735 (700–770)");
    });
  }

  test("is published as soon as it is at a quarter or below", () => {
    const text = markdownSummary(compared(rates, { sameAgainstSame: pairsOf("ceiling", [0.8]) }));
    assert.match(text, /Publishable: /);
    assert.match(text, /v2 gives 7\.0 times as many answers per second as v1/);
  });
});

describe("the verdict of a comparison", () => {
  test("is right, with what that means, where every run is", () => {
    const text = markdownSummary(compared({ "row-lock": [100], ceiling: [900] }, quiet));
    assert.match(text, /\*\*Verdict: right\.\*\* 2 of 2 runs are right: no coupon too many/);
  });

  test("is void where a subject has no right run and none is wrong", () => {
    const text = markdownSummary(compared({ "row-lock": [100, 100], ceiling: [null, null] }));
    assert.match(text, /\*\*Verdict: void\.\*\* 2 of 4 runs are right\. The others/);
  });

  test("tells how many of those who watched saw the end", () => {
    const watching = { streams: 9, sawEnd: 8, reconnects: 1 };
    const runs = [fixtureRun("row-lock", 1, { watching })];
    const text = markdownSummary(fixtureComparison({ subjects: ["row-lock"], runs }));
    assert.match(text, /8 of 9 watchers saw the end, 1 reconnects/);
  });
});
