// Section 7 of docs/guarantees.md on the real program with its real engines: nothing of it changes
// anything, nothing is a 5xx, every refusal is a problem that tells nothing of the inside.
//
// Red when a form is not checked before an engine sees it: `isWellFormed` and the name's pattern
// (PostgreSQL refuses NUL), `Math.min(after, SEQ_MAX)` in postgres/event-store.ts (a cursor beyond the
// column), `isSafeInteger` in routes/form.ts; the race of PATCHes when `If-Match` is read outside the
// lock (B44).
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { startProgram } from "../support/program.ts";
import type { Program } from "../support/program.ts";
import { claimCases, framingCases, operatorCases, pathCases } from "./bad-requests.ts";
import type { BadRequest } from "./bad-requests.ts";
import {
  claimAtOnce,
  engineMissing,
  MECHANISMS,
  openSale,
  until,
  withDatabase,
} from "./support/sale.ts";
import type { Sale } from "./support/sale.ts";

const ANSWER_MS_MAX = 5_000;
const PATCHES = 20;

test("bad requests to the real program", { skip: engineMissing }, async (t) => {
  const program = await startProgram(t);
  const sales = await Promise.all(
    MECHANISMS.map(async (mechanism) => openSale(program, { mechanism, limit: 2 })),
  );
  const [v1, v2, v3] = sales as [Sale, Sale, Sale];
  // A sold-out one, whose limit nobody may raise.
  const soldOut = await openSale(program, { mechanism: "row-lock", limit: 1 });
  await claimAtOnce(soldOut, ["holder"]);
  const names = { v1: v1.eventId, v2: v2.eventId, v3: v3.eventId, soldOut: soldOut.eventId };
  const given = { ...names, host: v1.target.authority, token: program.adminToken };
  const cases = [
    ...framingCases(given),
    ...claimCases(given),
    ...operatorCases(given),
    ...pathCases(given),
  ];
  assert.equal(new Set(cases.map(({ title }) => title)).size, cases.length);
  // The decider takes its epoch a moment after the event was made: that is no request's doing.
  await until(
    async () =>
      withDatabase(program, async (client) => {
        return (await client.query("SELECT 1 FROM queues WHERE epoch > 0")).rowCount === 1;
      }),
    "the decider has started",
  );
  const before = await stateOf(program);

  for (const bad of cases) {
    await t.test(`${bad.title}: ${bad.status}`, async () => {
      const answer = await ask(program, bad.request);
      checkAnswer(answer, bad);
    });
  }

  await t.test("nothing of it has changed anything, and the program lives", async () => {
    assert.deepEqual(await stateOf(program), before);
    assert.equal((await fetch(`${program.url}/healthz`)).status, 200);
  });

  await t.test("a strange Last-Event-ID gets the newest frame", async () => {
    for (const id of ["-1", "9".repeat(30), "abc", "9007199254740993", "'; DROP TABLE events"]) {
      const frame = await firstFrame(v1, id);
      assert.match(frame, /^HTTP\/1.1 200 /);
      assert.match(frame, /"remaining":2/);
    }
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

/** Sends the bytes on a connection of their own; gives all that came until it was closed. */
async function ask({ url }: Program, request: Buffer): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  let received = "";
  socket.setEncoding("utf8").on("data", (chunk: string) => {
    received += chunk;
  });
  // A server that refuses early may reset what it has not read; the answer is what counts.
  socket.on("error", () => undefined);
  socket.write(request);
  try {
    await once(socket, "close", { signal: AbortSignal.timeout(ANSWER_MS_MAX) });
  } finally {
    socket.destroy();
  }
  return received;
}

function checkAnswer(answer: string, { status }: BadRequest): void {
  const [head = "", body = ""] = answer.split("\r\n\r\n", 2);
  assert.equal(Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1]), status, answer);
  if (status < 400) return;
  assert.match(head, /content-type: application\/problem\+json/i);
  // Of HEAD and of chunks nothing here: every problem is one JSON text of known length.
  const problem: Record<string, unknown> = JSON.parse(body);
  assert.equal(problem["status"], status);
  assert.match(String(problem["type"]), /^\/problems\/[a-z-]+$/);
  for (const inside of ["node_modules", "    at ", "SELECT", "INSERT", "MARK"]) {
    assert.ok(!answer.includes(inside), `it shows "${inside}": ${answer}`);
  }
}

/** Everything that a request could have changed. */
async function stateOf(program: Program): Promise<unknown> {
  return withDatabase(program, async (client) => {
    const tables = ["events", "coupon_issues", "queues", "redis_generations", "rejected_records"];
    const state: Record<string, unknown> = {};
    for (const table of tables) {
      const { rows } = await client.query(
        `SELECT count(*)::integer AS rows, md5(string_agg(one::text, ',' ORDER BY one::text)) AS hash
           FROM ${table} one`,
      );
      state[table] = rows[0];
    }
    return state;
  });
}

async function firstFrame({ eventId, target }: Sale, lastEventId: string): Promise<string> {
  const socket = connect(target.port, target.address);
  let received = "";
  socket.setEncoding("utf8").on("data", (chunk: string) => {
    received += chunk;
  });
  const head = `GET /events/${eventId}/stream HTTP/1.1\r\nHost: ${target.authority}\r\n`;
  socket.write(`${head}Last-Event-ID: ${lastEventId}\r\n\r\n`);
  const signal = AbortSignal.timeout(ANSWER_MS_MAX);
  while (!/data: .*\n\n/.test(received)) await once(socket, "data", { signal });
  socket.destroy();
  return received;
}
