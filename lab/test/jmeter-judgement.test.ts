// JMeter's results read and judged without JMeter: hand-written ones, right and doctored.
import assert from "node:assert/strict";
import { test } from "node:test";

import type { StoredRow, StoredSale } from "@stampede/lab";
import {
  compare,
  comparisonMarkdown,
  comparisonText,
  judgeSamples,
  mavenListener,
  readJtl,
  type JudgedJmeterRun,
} from "@stampede/lab/jmeter";

const head =
  "timeStamp,elapsed,label,responseCode,responseMessage,threadName,dataType,success,failureMessage," +
  'bytes,sentBytes,grpThreads,allThreads,URL,Latency,IdleTime,Connect,"person","body"';
const eventId = "jmeter-v1-test";
const issuedAt = "2026-12-01T00:00:00.100Z";

type Line = {
  readonly label?: string;
  readonly person: string;
  readonly at?: number;
  readonly elapsed?: number;
  readonly code: string;
  readonly body: unknown;
  readonly success?: boolean;
  readonly query?: string;
};

function quoted(text: string): string {
  return `"${text.replaceAll('"', '""')}"`;
}

function jtl(lines: readonly Line[]): string {
  const rows = lines.map(({ label = "Claim", person, at = 1_000, elapsed = 50, ...line }) => {
    const { code, body, success = true, query = "" } = line;
    const url = `http://127.0.0.1:3000/v1/events/${eventId}/issues${query}`;
    const words = typeof body === "string" ? body : JSON.stringify(body);
    return `${at},${elapsed},${label},${code},OK,People 1-1,text,${success},,1,1,1,1,${url},1,0,0,${person},${quoted(words)}`;
  });
  return `${[head, ...rows].join("\n")}\n`;
}

/** A code of the right form. */
function codeOf(seq: number): string {
  return String(seq).padStart(26, "0");
}

function coupon(seq: number): Record<string, unknown> {
  return { eventId, status: "issued", seq, code: codeOf(seq), issuedAt };
}

const soldOut = { type: "/problems/sold-out", title: "Sold out", status: 409, detail: "All gone." };

function row(seq: number, userId: string, ticket: number | null = null): StoredRow {
  return { seq, userId, code: codeOf(seq), issuedAt, ticket };
}

/** Three people, two coupons, everything as it should be. */
const lines: readonly Line[] = [
  { person: "jm-1", code: "201", body: coupon(1), elapsed: 40 },
  { person: "jm-2", code: "201", body: coupon(2), elapsed: 50 },
  { person: "jm-3", code: "409", body: soldOut, elapsed: 90 },
];
const sale: StoredSale = { issued: 2, rows: [row(1, "jm-1"), row(2, "jm-2")] };

function judged(
  changed: readonly Line[],
  stored: StoredSale = sale,
  mechanism = "row-lock",
): JudgedJmeterRun {
  const plan = { mechanism, version: "v1", eventId, people: 3, limit: 2 };
  return judgeSamples(plan, { samples: readJtl(jtl(changed)), sale: stored });
}

test("a right run has no finding, and its figures", () => {
  const { violations, voidReasons, figures, issuedRows } = judged(lines);
  assert.deepEqual([...violations, ...voidReasons], []);
  assert.equal(issuedRows, 2);
  assert.equal(figures.answers, 3);
  assert.equal(figures.meanMs, 60);
  assert.equal(figures.p50Ms, 50);
  assert.equal(figures.maxMs, 90);
  assert.equal(Math.round(figures.answersPerSecond), 33);
  assert.equal(figures.lastFinalMs, 90);
});

test("somebody told a code that has no row makes the judgement wrong", () => {
  const told = { ...coupon(2), code: codeOf(9) };
  const other = judged(lines.with(1, { person: "jm-2", code: "201", body: told }));
  assert.match(other.violations.join("\n"), /S3: jm-2 was told seq 2/);
  const extra = judged(lines.with(2, { person: "jm-3", code: "201", body: coupon(3) }));
  assert.match(extra.violations.join("\n"), /S3: jm-3 was told seq 3/);
});

test("one row too many, one too few and a second one for a person are wrong", () => {
  const over = { issued: 3, rows: [...sale.rows, row(3, "jm-3")] };
  assert.match(judged(lines, over).violations.join("\n"), /S1: 3 rows of at most 2/);
  const under = { issued: 1, rows: sale.rows.slice(0, 1) };
  assert.match(judged(lines, under).violations.join("\n"), /S5: jm-3 was told sold out/);
  const twice = { issued: 2, rows: [row(1, "jm-1"), row(2, "jm-1")] };
  assert.match(judged(lines, twice).violations.join("\n"), /S2: jm-1 has the rows 1, 2/);
});

test("people who never claimed, answers that never came and failed assertions make a run void", () => {
  assert.deepEqual(judged(lines.slice(0, 2)).voidReasons, ["2 of 3 people claimed"]);
  const fault = "Non HTTP response code: java.net.SocketTimeoutException";
  const trace = 'java.net.SocketTimeoutException: "Read timed out",\n\tat a.b.C\n';
  const silent = judged(
    lines.with(2, { person: "jm-3", code: fault, body: trace, success: false }),
  );
  assert.match(silent.voidReasons.join("\n"), /1 x claim: timeout/);
  assert.equal(silent.figures.errors, 1);
  assert.equal(silent.figures.lastFinalMs, null);
  const failed = judged(lines.with(2, { ...lines[2]!, success: false }));
  assert.match(failed.voidReasons.join("\n"), /an assertion of the plan failed/);
});

test("v3 is judged by the last answer of each person, and nobody may be left in line", () => {
  const ticket = (number: number): Record<string, unknown> => ({
    eventId,
    status: "queued",
    ticket: number,
    ahead: number,
    guaranteed: number < 2,
    estimate: null,
  });
  const queued = [0, 1, 2].map((number) => ({
    person: `jm-${number + 1}`,
    code: "202",
    body: ticket(number),
  }));
  const asked = (number: number, body: unknown): Line => ({
    label: "Status",
    person: `jm-${number + 1}`,
    at: 2_000,
    code: "200",
    body,
    query: `?ticket=${number}`,
  });
  const rows = { issued: 2, rows: [row(1, "jm-1", 0), row(2, "jm-2", 1)] };
  const final = [
    asked(0, coupon(1)),
    asked(1, coupon(2)),
    asked(2, { eventId, status: "sold-out" }),
  ];
  const right = judged([...queued, ...final], rows, "kafka-queue");
  assert.deepEqual([...right.violations, ...right.voidReasons], []);
  assert.equal(right.figures.lastFinalMs, 1_050);
  assert.equal(right.figures.statusQuestions, 3);
  const left = judged([...queued, ...final.with(2, asked(2, ticket(2)))], rows, "kafka-queue");
  assert.deepEqual(left.voidReasons, ['1 people were last told "queued"']);
});

test("a file that is cut short or not of this plan is an error and not an empty result", () => {
  assert.throws(() => readJtl(""), /JMeter made no request/);
  assert.throws(() => readJtl(jtl(lines).slice(0, -3)), /ends inside a field/);
  assert.throws(() => readJtl("timeStamp,elapsed\n1,2\n"), /no column label/);
  assert.throws(() => readJtl(jtl([{ ...lines[0]!, label: "Login" }])), /a sample "Login"/);
});

const machine = {
  cpu: "a CPU",
  cores: 2,
  memoryGiB: 4,
  node: "v26",
  system: "linux x64",
  commit: "abc",
  dirty: false,
} as const;
const made = {
  at: issuedAt,
  command: ["all"],
  machine,
  versions: { JMeter: "5.6.3" },
  people: 3,
  limit: 2,
} as const;

test("versions are compared by their medians and to v1", () => {
  const v1 = judged(lines);
  const quick = { ...v1, mechanism: "redis-counter", version: "v2" } as const;
  const figures = { ...v1.figures, answersPerSecond: v1.figures.answersPerSecond * 7 };
  const runs = [
    { ...v1, round: 1 },
    { ...quick, figures, round: 1 },
    { ...quick, figures, round: 2 },
    { ...v1, round: 2 },
  ];
  const comparison = compare(runs, made);
  assert.equal(comparison.verdict, "right");
  assert.deepEqual(
    comparison.summary.map(({ version, runs, ratioToV1 }) => [version, runs, ratioToV1]),
    [
      ["v1", 2, 1],
      ["v2", 2, 7],
    ],
  );
  assert.match(comparisonText(comparison), /v2 redis-counter +233 +7\.00 x/);
  assert.match(comparisonMarkdown(comparison), /\| v1 row-lock \| 33 \| 1\.00 x \|/);
  assert.match(comparisonText(comparison), /RIGHT by SQL/);
});

test("says where JMeter itself took most of the time", () => {
  const run = judged(lines);
  const figures = { ...run.figures, firedWithinMs: 80 };
  const slow = { ...run, figures, round: 1 };
  assert.match(comparisonText(compare([slow], made)), /JMETER-BOUND: v1: /);
  const quick = { ...run, round: 1 };
  assert.doesNotMatch(comparisonText(compare([quick], made)), /JMETER-BOUND/);
});

test("one wrong judgement makes the whole table wrong, and says whose it was", () => {
  const wrong = judged(lines.with(2, { person: "jm-3", code: "201", body: coupon(3) }));
  const comparison = compare([{ ...wrong, round: 1 }], made);
  assert.equal(comparison.verdict, "wrong");
  assert.match(comparisonText(comparison), /WRONG: a promise .*wrong: v1, round 1, .*S3: jm-3/s);
  assert.doesNotMatch(comparisonText(comparison), /RIGHT|VOID/);
});

test("a run that is no measurement makes a right table void, and a wrong one no less wrong", () => {
  const few = { ...judged(lines.slice(0, 2)), round: 1 };
  const comparison = compare([few], made);
  assert.equal(comparison.verdict, "void");
  assert.match(comparisonText(comparison), /VOID: .*void: v1, round 1, .*2 of 3 people claimed/s);
  const wrong = {
    ...judged(lines.with(2, { person: "jm-3", code: "201", body: coupon(3) })),
    round: 2,
  };
  assert.equal(compare([few, wrong], made).verdict, "wrong");
});

test("a table without v1 has no ratio, and one without runs is not right", () => {
  const v2 = { ...judged(lines), mechanism: "redis-counter", version: "v2", round: 1 } as const;
  assert.equal(compare([v2], made).summary[0]?.ratioToV1, null);
  assert.equal(compare([], made).verdict, "void");
});

test("Maven's many lines become a few", () => {
  const told: string[] = [];
  const listener = mavenListener((text) => told.push(text));
  listener.read("Downloaded from mirror: http://x/a.jar (1.5 MB at 3 MB/s)\nDownloaded from mi");
  listener.read("rror: http://x/b.jar (700 kB at 1 MB/s)\n[ERROR] no such thing\n");
  listener.tell();
  listener.tell();
  listener.read("[INFO] summary =    200 in 00:00:02 =  100.0/s Avg:  6\n");
  assert.deepEqual(told, [
    "fetching JMeter by Maven, once: 2 MB so far",
    "JMeter: summary = 200 in 00:00:02 = 100.0/s Avg: 6",
  ]);
  assert.deepEqual(listener.errors(), ["[ERROR] no such thing"]);
});
