// Section 7 of docs/guarantees.md on the real program with its real engines: hundreds of written bad
// requests. Nothing of it changes anything, nothing is a 5xx, every refusal is a problem that tells
// nothing of the inside and repeats nothing, and costs one line of log at most.
// bad-input-generated.test.ts makes up thousands more.
//
// Red when a form is not checked before an engine sees it: `nameRefusal` of the domain
// (PostgreSQL refuses NUL), `Math.min(after, SEQ_MAX)` in rows/event-store.ts (a cursor beyond the
// column), `isSafeInteger` in routes/form.ts; when what Node or the framework refuses in their own
// words is left to them (`frameworkErrors`, parser-errors.ts); the race of PATCHes when `If-Match` is
// read outside the lock (B44).
import assert from "node:assert/strict";
import { test } from "node:test";
import { startProgram } from "../support/program.ts";
import type { Program } from "../support/program.ts";
import { claimCases, statusCases } from "./bad-claims.ts";
import { framingCases } from "./bad-framing.ts";
import { operatorCases } from "./bad-operators.ts";
import { pathCases } from "./bad-paths.ts";
import type { BadRequest } from "./bad-requests.ts";
import { answersIn, askRaw } from "../faults/support/raw-answers.ts";
import type { Answer } from "../faults/support/raw-answers.ts";
import { until } from "@stampede/launcher/testing";
import { claimAtOnce, engineMissing, MECHANISMS, openSale } from "../faults/support/sale.ts";
import type { Sale } from "../faults/support/sale.ts";
import { stateOf } from "../faults/support/state-hash.ts";

const PATCHES = 20;
const REQUESTS_MIN = 250;

test("bad requests to the real program", { skip: engineMissing() }, async (t) => {
  const output: string[] = [];
  const program = await startProgram(
    t,
    { LOG_LEVEL: "trace" },
    { onOutput: (text) => output.push(text) },
  );
  const sales = await Promise.all(
    MECHANISMS.map(async (mechanism) => openSale(program, { mechanism, limit: 2 })),
  );
  const [v1, v2, v3] = sales as [Sale, Sale, Sale];
  // A sold-out one, whose limit nobody may raise.
  const soldOut = await openSale(program, { mechanism: "row-lock", limit: 1 });
  await claimAtOnce(soldOut, ["holder"]);
  const names = { v1: v1.eventId, v2: v2.eventId, v3: v3.eventId, soldOut: soldOut.eventId };
  const given = { ...names, host: v1.target.authority, token: program.adminToken };
  const cases = [framingCases, claimCases, statusCases, operatorCases, pathCases].flatMap((make) =>
    make(given),
  );
  assert.equal(new Set(cases.map(({ title }) => title)).size, cases.length);
  assert.ok(cases.length >= REQUESTS_MIN);
  t.diagnostic(`${cases.length} written requests`);
  const before = await stateOf(program);

  for (const bad of cases) {
    await t.test(`${bad.title}: ${bad.statuses.join(", ")}`, async () => {
      output.length = 0;
      checkAnswers(answersIn(await askRaw(program.url, bad.request, bad)), bad);
      checkLog(await linesBeforeMarkers(program, output));
    });
  }

  await t.test("nothing of it has changed anything", async () => {
    assert.deepEqual(await stateOf(program), before);
  });

  await t.test("of twenty PATCHes with one If-Match one is applied", async () => {
    const answers = await Promise.all(
      Array.from({ length: PATCHES }, async (_, n) =>
        fetch(`${program.url}/events/${v1.eventId}`, {
          method: "PATCH",
          headers: {
            authorization: `Bearer ${program.adminToken}`,
            "content-type": "application/json",
            "if-match": '"1"',
          },
          body: JSON.stringify({ name: `Renamed ${n}` }),
        }),
      ),
    );
    const statuses = answers.map(({ status }) => status).sort((a, b) => a - b);
    assert.deepEqual(statuses, [200, ...Array.from({ length: PATCHES - 1 }, () => 412)]);
    const now = await fetch(`${program.url}/events/${v1.eventId}`);
    assert.equal(now.headers.get("etag"), '"2"');
  });
});

function checkAnswers(answers: readonly Answer[], { statuses }: BadRequest): void {
  const text = JSON.stringify(answers);
  assert.deepEqual(
    answers.map(({ status }) => status),
    statuses,
    text,
  );
  for (const inside of ["node_modules", "    at ", "SELECT", "INSERT", "MARK"]) {
    assert.ok(!text.includes(inside), `it shows "${inside}": ${text}`);
  }
  for (const { status, head, body } of answers.filter(({ status }) => status >= 400)) {
    assert.match(head, /^content-type: application\/problem\+json/im);
    if (status === 405) assert.match(head, /^allow: [A-Z]+(, [A-Z]+)*$/im);
    if (status === 401) assert.match(head, /^www-authenticate: /im);
    const problem: Record<string, unknown> = JSON.parse(body);
    assert.equal(problem["status"], status);
    assert.match(String(problem["type"]), /^\/problems\/[a-z-]+$/);
    assert.ok(typeof problem["title"] === "string" && typeof problem["detail"] === "string");
  }
}

/** Has a log line of its own, as the other one has; neither stands where the other does. */
const STRANGER = { method: "POST", path: "/v1/events/marker/issues", status: 401 } as const;
const MISTAKE = { method: "GET", path: "/events?limit=marker", status: 400 } as const;
const STRANGERS_LINE = '"problem":"unauthenticated"';
const MISTAKES_LINE = '"problem":"invalid-request","url":"/events"';

/**
 * The lines that the program wrote before it answered three requests more. A connection that is closed
 * in the middle of a request is noticed between them, so that line may stand there, too.
 */
async function linesBeforeMarkers({ url }: Program, output: readonly string[]): Promise<string[]> {
  for (const { method, path, status } of [STRANGER, STRANGER, MISTAKE]) {
    const answer = await fetch(`${url}${path}`, { method, signal: AbortSignal.timeout(5_000) });
    assert.equal(answer.status, status);
    await answer.arrayBuffer();
  }
  const lines = (): string[] => output.join("").split("\n").slice(0, -1);
  await until(() => {
    const strangers = lines().filter((line) => line.includes(STRANGERS_LINE)).length;
    return strangers >= 2 && lines().at(-1)?.includes(MISTAKES_LINE) === true;
  }, "the lines of the requests behind it");
  const before = lines().slice(0, -1);
  for (let markers = 2; markers > 0; markers -= 1) {
    before.splice(
      before.findLastIndex((line) => line.includes(STRANGERS_LINE)),
      1,
    );
  }
  return before;
}

function checkLog(lines: readonly string[]): void {
  assert.ok(lines.length <= 1, lines.join("\n"));
  for (const line of lines) {
    const { level, msg }: Record<string, unknown> = JSON.parse(line);
    assert.ok(Number(level) <= 30 && msg === "the request was refused", line);
    assert.ok(!line.includes("MARK"), line);
  }
}
