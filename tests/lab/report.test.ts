import assert from "node:assert/strict";
import { describe, test } from "node:test";

import {
  descriptorFault,
  figuresOf,
  isRight,
  median,
  parseOptions,
  percentile,
  reportText,
  type Attempt,
  type Round,
  type RushResult,
} from "@stampede/lab";

/** `count` answers, the n-th one n milliseconds after everybody's sending. */
function answers(count: number): Attempt[] {
  return Array.from({ length: count }, (_, id) => ({
    id,
    kind: "claim" as const,
    person: `p-${id}`,
    eventId: "spring",
    mechanism: "row-lock" as const,
    attempt: 1,
    instance: "127.0.0.1:3000",
    sentMs: 1_000,
    returnedMs: 1_001 + id,
    status: 201,
    fault: null,
    problemType: null,
    outcome: "issued" as const,
    seq: id + 1,
    code: `C${id}`,
    issuedAt: "2026-01-01T00:00:00.000Z",
    ticket: null,
    ahead: null,
    guaranteed: null,
    ticketAsked: null,
  }));
}

function result(more: Partial<RushResult> = {}): RushResult {
  return {
    mechanism: "row-lock",
    eventId: "rush-v1-00000000",
    users: 200,
    limit: 200,
    figures: figuresOf(answers(200)),
    finalAfterMs: null,
    issuedRows: 200,
    watchers: null,
    violations: [],
    unclean: [],
    attempts: [],
    stored: { issued: 200, rows: [] },
    ...more,
  };
}

function round(...results: RushResult[]): Round {
  return { ceiling: figuresOf(answers(100)), results, serverResidentMiB: null };
}

test("figures count from the first sending to the last answer", () => {
  const figures = figuresOf(answers(200));
  assert.equal(figures.answers, 200);
  assert.equal(figures.lastAnswerMs, 200);
  assert.equal(Math.round(figures.answersPerSecond), 1_000);
  assert.deepEqual(
    [figures.p50Ms, figures.p95Ms, figures.p99Ms, figures.maxMs],
    [100, 190, 198, 200],
  );
  assert.equal(figures.spreadMs, 0);
});

test("percentiles are values that were measured, medians the middle", () => {
  assert.equal(percentile([1, 2, 3], 50), 2);
  assert.equal(percentile([], 99), 0);
  assert.equal(median([9, 1, 5]), 5);
  assert.equal(median([4, 1, 2, 9]), 3);
});

describe("the report", () => {
  test("shows the rate, its shares and the verdict of a right run", () => {
    const text = reportText([round(result())]);
    assert.match(text, /row-lock +1,000 +100 %/);
    assert.match(text, /row-lock: RIGHT: exactly 200 coupons/);
    assert.ok(isRight([round(result())]));
  });

  test("is void and shows no rate where a rule is broken", () => {
    const violations = [
      { rule: "row-count", person: null, detail: "201 rows where 200 are right" },
    ];
    const rounds = [round(result()), round(result({ violations }))];
    const text = reportText(rounds);
    assert.match(text, /^VOID/);
    assert.match(text, /row-count: 201 rows where 200 are right/);
    assert.doesNotMatch(text.replaceAll(/^ *empty handler.*\n.*\n.*$/gm, ""), /row-lock.*1,000/);
    assert.ok(!isRight(rounds));
  });

  test("names what was not clean and is not right then", () => {
    const rounds = [round(result({ unclean: ["3 x claim: timeout"] }))];
    assert.match(reportText(rounds), /NOT CLEAN\n {2}rush-v1-00000000: 3 x claim: timeout/);
    assert.ok(!isRight(rounds));
  });

  test("prints all raw values beside the medians of several rounds", () => {
    const rounds = [round(result()), round(result()), round(result())];
    assert.match(reportText(rounds), /row-lock +answers\/s +1,000 {2}1,000 {2}1,000/);
  });
});

describe("the command line", () => {
  test("has the defaults of the rush", () => {
    const options = parseOptions([]);
    assert.ok(!("faults" in options));
    assert.deepEqual(options.mechanisms, ["row-lock", "redis-counter", "kafka-queue"]);
    assert.deepEqual([options.users, options.limit, options.repeat], [10_000, 100, 1]);
  });

  test("takes a mechanism by name or version", () => {
    const options = parseOptions(["--mechanism", "v3,row-lock", "--url", "http://127.0.0.1:3000/"]);
    assert.ok(!("faults" in options));
    assert.deepEqual(options.mechanisms, ["kafka-queue", "row-lock"]);
    assert.equal(options.url, "http://127.0.0.1:3000");
  });

  test("tells every fault at once", () => {
    const parsed = parseOptions(["--users", "0", "--limit=1.5", "--mechanism", "v4", "--url", "x"]);
    assert.ok("faults" in parsed);
    assert.equal(parsed.faults.length, 4);
  });
});

test("too few file descriptors are told with the number to set", () => {
  const limits = [
    { process: "this process", limit: 1_024 },
    { process: "the server (pid 7)", limit: 20_000 },
  ];
  assert.match(
    descriptorFault(10_000, limits) ?? "",
    /this process may open 1024.*ulimit -n 12000/,
  );
  assert.equal(descriptorFault(800, limits), null);
  assert.equal(descriptorFault(10_000, [{ process: "unknown", limit: null }]), null);
});
