import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";

import {
  htmlReport,
  latencyPlot,
  markdownSummary,
  overTimePlot,
  writeReport,
  written,
  type Comparison,
} from "@stampede/lab/report";
import { compared, line, quiet } from "./support/compared.ts";
import { fixtureComparison, fixtureRun, fullFixture } from "./support/report-fixture.ts";

describe("a figure of the report", () => {
  test("is the median of the rounds, with the lowest and the highest", () => {
    const comparison = compared({ "row-lock": [1_000, 3_000, 1_204] });
    assert.deepEqual(line(comparison, "Answers per second"), ["1,200 (1,000–3,000)"]);
  });

  test("of an even number of rounds is the mean of the two middle ones", () => {
    const comparison = compared({ "row-lock": [100, 400, 200, 900] });
    assert.deepEqual(line(comparison, "Answers per second"), ["300 (100–900)"]);
  });

  test("leaves out what is void, and a twin", () => {
    const comparison = compared({ "row-lock": [1_000, null, 1_200] });
    const twin = fixtureRun("row-lock", 3, { twin: true, answersPerSecond: 9_999 });
    const more = { ...comparison, runs: [...comparison.runs, twin] };
    assert.deepEqual(line(more, "Answers per second"), ["1,100 (1,000–1,200)"]);
  });

  test("of a run that is not right is never used, even where the run carries one", () => {
    const verdict = { kind: "wrong", violations: ["over-issue: 101 of 100"] } as const;
    const wrong = fixtureRun("row-lock", 1, { answersPerSecond: 77_777, verdict });
    const comparison = fixtureComparison({ subjects: ["row-lock"], runs: [wrong] });
    for (const text of [markdownSummary(comparison), htmlReport(comparison)]) {
      assert.ok(!/77,?777|77,?800/.test(text), "no throughput");
      assert.match(text, /over-issue: 101 of 100/);
      assert.match(text, /0 of 1 runs are right/);
    }
  });

  test("that nobody could measure is named and not shown as zero", () => {
    const run = fixtureRun("row-lock", 1, { firingSkewMs: null, listenOverflows: null });
    const html = htmlReport(fixtureComparison({ subjects: ["row-lock"], runs: [run] }));
    assert.match(html, /Not measured here: Firing skew, Listen overflows\./);
  });
});

describe("a number of the report", () => {
  test("has separators, and no more digits than were measured", () => {
    assert.deepEqual(
      [1_234.56, 99_949, 412.4, 8.888, 0.00123].map((n) => written(n, "amount")),
      ["1,230", "99,900", "412", "8.89", "0.00123"],
    );
    assert.deepEqual(
      [0.0177, 0.874, 1.026, 7.84, 12.6].map((n) => written(n, "ratio")),
      ["0.018", "0.87", "1.03", "7.8", "13"],
    );
    assert.deepEqual(
      [0, 1.05 - 1 - 0.05, 0.0031, 0.06, 0.613, 1.04].map((n) => written(n, "share")),
      ["0 %", "0 %", "0.31 %", "6.0 %", "61 %", "104 %"],
    );
    assert.equal(written(10_000, "count"), "10,000");
  });
});

describe("a ratio of the report", () => {
  test("is the median of each round's own, not the ratio of two medians", () => {
    const ofRates = (rates: Parameters<typeof compared>[0]): Comparison => compared(rates, quiet);
    const comparison = ofRates({
      "row-lock": [100, 200, 400],
      "redis-counter": [800, 1_000, 1_600],
    });
    // Rounds: 8, 5 and 4. The medians' ratio is 1,000 / 200, which only looks the same as round 2.
    assert.deepEqual(line(comparison, "… times v1"), ["–", "5.0 (4.0–8.0)"]);
    const shifted = ofRates({ "row-lock": [100, 200, 400], "redis-counter": [1_600, 1_000, 800] });
    assert.deepEqual(line(shifted, "… times v1"), ["–", "5.0 (2.0–16)"]);
    const uneven = ofRates({ "row-lock": [100, 300, 200], "redis-counter": [900, 600, 700] });
    assert.deepEqual(line(uneven, "… times v1"), ["–", "3.5 (2.0–9.0)"]);
    const crossed = ofRates({ "row-lock": [100, 200, 300], "redis-counter": [300, 100, 200] });
    assert.deepEqual(line(crossed, "… times v1"), ["–", "0.67 (0.50–3.0, rounds disagree)"]);
  });

  test("uses only the rounds in which both were right", () => {
    const rates = { "row-lock": [100, null, 100], "redis-counter": [700, 9_000, null] };
    const comparison = compared(rates, quiet);
    assert.deepEqual(line(comparison, "… times v1"), ["–", "7.0"]);
    assert.match(markdownSummary(comparison), /7\.0 times as many answers .*\(7\.0, 1 round\)/);
  });

  test("is marked as noise where it is no larger than the A/A runs' own difference", () => {
    const rates = { "row-lock": [1_000, 1_000], "redis-counter": [1_050, 1_050] };
    assert.match(markdownSummary(compared(rates, quiet)), /1\.05 times .*: within noise \(A\/A: 5/);
    const other = { "row-lock": [1_000], "redis-counter": [952.5] };
    assert.match(markdownSummary(compared(other, quiet)), /v2 gives 0\.95 .*: within noise/);
    const larger = compared({ "row-lock": [1_000], "redis-counter": [1_060] }, quiet);
    assert.match(markdownSummary(larger), /1\.06 times .*: beyond noise/);
    assert.match(htmlReport(compared(rates, quiet)), /class="noise within-noise">within noise/);
  });

  test("is not claimed while rounds disagree on its direction", () => {
    const rates = { "row-lock": [100, 100, 100], "redis-counter": [150, 150, 90] };
    assert.match(markdownSummary(compared(rates, quiet)), /1\.50 times .*: rounds disagree/);
  });

  test("is given of the coupons too, where both issued some", () => {
    const comparison = fixtureComparison({
      ...quiet,
      subjects: ["ceiling", "row-lock", "kafka-queue"],
      runs: [
        fixtureRun("ceiling", 1),
        fixtureRun("row-lock", 1, { issuedPerSecond: 100 }),
        fixtureRun("kafka-queue", 1, { issuedPerSecond: 1_200 }),
      ],
    });
    const text = markdownSummary(comparison);
    assert.match(text, /v3 issues 12 times as many coupons per second as v1/);
    assert.ok(!/coupons per second as the empty handler/.test(text));
  });
});

describe("the summary in Markdown", () => {
  test("says what was run, how it was judged, and every round", () => {
    const text = markdownSummary(fullFixture());
    for (const part of [
      "`npm run lab -- compare rush --rounds 5`",
      "`0123456789abcdef0123456789abcdef01234567`",
      "5, seed 20261201",
      "node 26.10.0, postgres 18.4",
      "**Verdict: wrong.** 24 of 26 runs are right",
      "- **void**: empty handler, round 3",
      "| round 1 | round 2 | round 3 | round 4 | round 5 |",
    ]) {
      assert.ok(text.includes(part), part);
    }
    const raw = text.slice(text.indexOf("Raw values by round"));
    const ceiling = /\| Answers per second +\| +empty handler +\|(.*)\|/.exec(raw)?.[1];
    assert.equal(
      ceiling?.split("|")[2]?.trim(),
      "void",
      "round 3 shows its verdict in place of a figure",
    );
  });

  test("says loudly that files differed from the commit", () => {
    const { environment } = fixtureComparison();
    const dirty = { environment: { ...environment, dirty: true } };
    assert.match(markdownSummary(fixtureComparison(dirty)), /\*\*\(dirty: files differed/);
    assert.match(htmlReport(fixtureComparison(dirty)), /class="dirty">dirty: files differed/);
    assert.ok(!markdownSummary(fixtureComparison()).includes("dirty"));
    assert.ok(!htmlReport(fixtureComparison()).includes('class="dirty"'));
  });

  test("keeps a reason from becoming a column or a tag", () => {
    const verdict = { kind: "void", reasons: ["a | b\n<b>"] } as const;
    const run = fixtureRun("row-lock", 1, { verdict });
    const text = markdownSummary(fixtureComparison({ subjects: ["row-lock"], runs: [run] }));
    assert.ok(text.includes(String.raw`a \| b \<b\>`));
  });

  test("warns of too few rounds and of a missing A/A run", () => {
    const text = markdownSummary(compared({ "row-lock": [1, 2] }));
    assert.match(text, /Only 2 of the 5 rounds/);
    assert.match(text, /No A\/A run was made/);
  });
});

describe("a plot's numbers", () => {
  test("are the share of answers within each latency", () => {
    const run = fixtureRun("row-lock", 1);
    const histogram = [
      { upToMs: 10, count: 0 },
      { upToMs: 100, count: 25 },
      { upToMs: 1_000, count: 100 },
    ];
    const measured = { ...run, latencyMs: { ...run.latencyMs, histogram } };
    const plot = latencyPlot(fixtureComparison({ subjects: ["row-lock"], runs: [measured] }));
    const at = plot!.x.findIndex((ms) => Math.abs(ms - 100) < 1e-9);
    assert.deepEqual([plot!.lines[0]!.middle[at], plot!.lines[0]!.middle.at(-1)], [25, 100]);
  });

  test("are answers per second by slice, with every round inside the band", () => {
    const slow = fixtureRun("row-lock", 1, { sliceMs: 100, answersPerSlice: [10, 10, 10] });
    const fast = fixtureRun("row-lock", 2, { sliceMs: 100, answersPerSlice: [30] });
    const plot = overTimePlot(fixtureComparison({ subjects: ["row-lock"], runs: [slow, fast] }));
    const [line] = plot!.lines;
    assert.deepEqual(plot!.x, [0, 100, 200, 300]);
    assert.deepEqual(line!.low, [100, 0, 0, 0]);
    assert.deepEqual(line!.middle, [200, 50, 50, 0]);
    assert.deepEqual(line!.high, [300, 100, 100, 0]);
  });

  test("end with the run, so that no line is drawn along the bottom", () => {
    const slow = fixtureRun("row-lock", 1, { sliceMs: 100, answersPerSlice: [1, 1, 1, 1] });
    const fast = fixtureRun("ceiling", 1, { sliceMs: 100, answersPerSlice: [4] });
    const subjects = ["row-lock", "ceiling"] as const;
    const plot = overTimePlot(fixtureComparison({ subjects, runs: [slow, fast] }));
    assert.deepEqual(plot!.lines[1]!.middle, [40, 0, null, null, null]);
  });

  test("are absent where no run is right", () => {
    const none = compared({ "row-lock": [null] });
    assert.deepEqual([latencyPlot(none), overTimePlot(none)], [null, null]);
    assert.match(htmlReport(none), /No right run measured it\./);
  });
});

/** Drawn once: it is the largest of all. */
const wholePage = htmlReport(fullFixture());

describe("the page", () => {
  test("holds no script, no request and no number of this process", () => {
    const html = wholePage;
    assert.doesNotMatch(html, /<script|<link rel="stylesheet"|url\((?!#)|@import|href="http/);
    assert.doesNotMatch(html, /\bzr\d|ecmeta/);
    const ids = [...html.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id);
    assert.equal(new Set(ids).size, ids.length, "every id stands for one thing");
  });

  test("cannot be left by a text of the result", () => {
    const evil = '</script><script>alert(1)</script><img src=x onerror="alert(2)">';
    const comparison = fullFixture();
    const html = htmlReport({
      ...comparison,
      scenario: { ...comparison.scenario, name: evil, description: evil },
      environment: { ...comparison.environment, command: evil, commit: evil, cpu: evil },
      target: { name: evil, url: evil },
      // What a server tells of its mechanisms stands in tables and in drawings.
      mechanisms: comparison.mechanisms.map((one) => ({ ...one, title: evil, summary: evil })),
      runs: comparison.runs.map((run) => ({ ...run, eventId: evil })),
    });
    assert.ok(!html.includes("<script") && !html.includes("<img"));
  });

  test("has every plot and bar as a picture at two widths, and its numbers in a table", () => {
    const html = wholePage;
    const figures = [...html.matchAll(/<figure class="(plot|bars)">.*?<\/figure>/gs)];
    const kinds = figures.map(([, kind]) => kind);
    assert.deepEqual(
      kinds.toSorted((one = "", other = "") => one.localeCompare(other)),
      [...Array(7).fill("bars"), "plot", "plot"],
    );
    for (const [figure] of figures) {
      assert.equal(figure.match(/<div class="drawing (?:wide|narrow)" role="img"/g)?.length, 2);
      assert.equal(figure.match(/<svg width/g)?.length, 2);
      assert.equal(figure.match(/<details class="numbers">/g)?.length, 1);
    }
    const [answers = ""] = figures.find(([text]) => text.includes("All answers per second")) ?? [];
    const points = answers
      .split('class="drawing narrow"')[0]
      ?.match(/<path[^>]*var\(--tone-3\)[^>]*var\(--sheet\)|<path[^>]*var\(--sheet\)[^>]*>/g);
    // Five subjects in five rounds, less one void and one wrong run.
    assert.equal(points?.length, 25 - 2);
  });

  test("names a mechanism that the lab has never heard of, and gives it a tone", () => {
    const html = wholePage;
    assert.match(html, /<tr class="tone-4"><th scope="row">v4 Group commit<\/th>/);
  });
});

test("a report is written as two files in a folder that need not be there", async (t) => {
  const root = await mkdtemp(join(tmpdir(), "stampede-report-"));
  t.after(() => rm(root, { recursive: true, force: true }));
  const folder = join(root, "not", "yet");
  const paths = await writeReport(fullFixture(), folder);
  assert.deepEqual(paths, {
    html: join(folder, "report.html"),
    markdown: join(folder, "summary.md"),
  });
  assert.match(await readFile(paths.html, "utf8"), /^<!doctype html>/);
  assert.match(await readFile(paths.markdown, "utf8"), /^### rush/);
});
