// Section 7 of docs/guarantees.md, the other half: what is strange and allowed is served as it stands,
// for the person and the event that were named and nobody else, and leaves nothing of itself in the log.
//
// Red when a person is trimmed, lower-cased or looked up as a member of an object (B46), when answers
// to pipelined claims are out of order, when a stream resumes from whatever Last-Event-ID says, and
// when a log line carries a header, a path, a code or a token.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { test } from "node:test";
import { startProgram } from "../support/program.ts";
import type { Program } from "../support/program.ts";
import { answersIn, ANSWER_MS_MAX, askRaw, openRaw } from "../faults/support/raw-answers.ts";
import { until } from "@stampede/launcher/testing";
import {
  askEverybody,
  claimUntilAnswered,
  engineMissing,
  MECHANISMS,
  openSale,
  people,
  verdict,
  withDatabase,
} from "../faults/support/sale.ts";
import type { Sale } from "../faults/support/sale.ts";
import { LAST_EVENT_IDS, STRANGE_NAMES, STRANGE_PERSONS } from "./strange-values.ts";

const PIPELINED = 100;

const EMPTY_BODIES = [
  "",
  "Content-Type: application/json\r\n",
  "Content-Type: text/plain\r\n",
  "Content-Type: application/x-www-form-urlencoded\r\n",
  "Content-Type: multipart/form-data; boundary=x\r\n",
  "Content-Type: ;;;\r\n",
  "Content-Type:\r\n",
];
const OBJECTS = [
  ["application/json", "{}"],
  ["application/json; charset=utf-8", "{}"],
  ['application/json;charset="UTF-8"', "{}"],
  ["APPLICATION/JSON", "\r\n {\t} \r\n"],
] as const;
test("strange requests to the real program", { skip: engineMissing() }, async (t) => {
  let output = "";
  const program = await startProgram(
    t,
    { LOG_LEVEL: "trace" },
    { onOutput: (text) => (output += text) },
  );

  for (const mechanism of MECHANISMS) {
    await t.test(
      `${mechanism}: an empty claim passes whatever its type, and so does {}`,
      async () => {
        const claims = [
          ...EMPTY_BODIES.map((type) => `${type}Content-Length: 0\r\n\r\n`),
          ...OBJECTS.map(([type, body]) => {
            return `Content-Type: ${type}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
          }),
          "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
          "Content-Type: text/plain\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\nX: y\r\n\r\n",
        ];
        const sale = await openSale(program, { mechanism, limit: claims.length });
        const persons = people(claims.length);
        for (const [n, rest] of claims.entries()) {
          const [answer] = await claimRaw(sale, persons[n]!, { rest });
          assert.equal(answer?.status, mechanism === "kafka-queue" ? 202 : 201, rest);
        }
        assert.deepEqual(await personsWithRows(sale, claims.length), persons.toSorted());
      },
    );

    await t.test(`${mechanism}: everybody is who they say, byte by byte`, async () => {
      const sale = await openSale(program, { mechanism, limit: STRANGE_PERSONS.length });
      for (const person of STRANGE_PERSONS) {
        const [answer] = await claimRaw(sale, person);
        assert.equal(answer?.status, mechanism === "kafka-queue" ? 202 : 201, person);
      }
      const expected = STRANGE_PERSONS.toSorted();
      assert.deepEqual(await personsWithRows(sale, expected.length), expected);
    });

    await t.test(`${mechanism}: a sale to them at once is right by the referee`, async () => {
      const limit = Math.floor(STRANGE_PERSONS.length / 2);
      const sale = await openSale(program, { mechanism, limit });
      const how = { spreadMs: 100, deadlineMs: 20_000 };
      const told = await claimUntilAnswered(sale, STRANGE_PERSONS, how);
      const { violations, stored } = await verdict(sale, [
        ...told,
        ...(await askEverybody(sale, told)),
      ]);
      assert.deepEqual(violations, []);
      assert.equal(stored.rows.length, limit);
    });

    await t.test(
      `${mechanism}: ${PIPELINED} claims on one connection, answered in order`,
      async () => {
        const sale = await openSale(program, { mechanism, limit: PIPELINED });
        const persons = people(PIPELINED);
        const claims = persons.map((person, n) =>
          claimText(sale, person, { last: n + 1 === PIPELINED }),
        );
        const text = await askRaw(program.url, Buffer.from(claims.join("")), { ends: false });
        const answers = answersIn(text).map(({ body }) => JSON.parse(body));
        assert.equal(answers.length, PIPELINED);
        await personsWithRows(sale, PIPELINED);
        const known = await rowsOf(sale);
        for (const [n, { code, ticket }] of answers.entries()) {
          const row = known.get(persons[n]!);
          if (mechanism === "kafka-queue") assert.equal(row?.ticket, ticket);
          else assert.equal(row?.code, code);
        }
      },
    );

    await t.test(
      `${mechanism}: a half-closed socket is closed, and nobody is told what is not`,
      async () => {
        const sale = await openSale(program, { mechanism, limit: PIPELINED });
        const persons = people(20);
        const told = await Promise.all(
          persons.map(async (person) => {
            const request = Buffer.from(claimText(sale, person, { last: false }));
            return answersIn(await askRaw(program.url, request, { ends: true }));
          }),
        );
        for (const answers of told) assert.ok(answers.length <= 1);
        // Whether it was applied or not: claiming again is safe, and everybody ends with one.
        for (const person of persons) await claimRaw(sale, person);
        assert.deepEqual(await personsWithRows(sale, persons.length), persons.toSorted());
        const known = await rowsOf(sale);
        for (const [n, [answer]] of told.entries()) {
          if (answer === undefined) continue;
          const { code }: { code?: string } = JSON.parse(answer.body);
          if (code !== undefined) assert.equal(known.get(persons[n]!)?.code, code);
        }
      },
    );

    await t.test(`${mechanism}: events whose ids begin alike stay apart`, async () => {
      const id = `apart-${randomBytes(4).toString("hex")}`;
      const sales: Sale[] = [];
      for (const eventId of [id, `${id}-a`, `${id}-a-1`]) {
        sales.push(await openNamed(program, { id: eventId, mechanism, name: "Apart" }));
      }
      for (const sale of sales) await claimRaw(sale, "a-1");
      for (const sale of sales) assert.deepEqual(await personsWithRows(sale, 1), ["a-1"]);
    });
  }

  await t.test("a name is a name, whatever it spells", async () => {
    for (const name of STRANGE_NAMES) {
      const id = `name-${randomBytes(4).toString("hex")}`;
      const { eventId } = await openNamed(program, { id, mechanism: "redis-counter", name });
      const read: unknown = await (await fetch(`${program.url}/events/${eventId}`)).json();
      assert.equal((read as { name: string }).name, name);
    }
  });

  await t.test("a strange Last-Event-ID gets the newest frame", async () => {
    const sale = await openSale(program, { mechanism: "row-lock", limit: 2 });
    for (const id of LAST_EVENT_IDS) {
      const frame = await firstFrame(sale, id);
      assert.match(frame, /^HTTP\/1.1 200 /);
      assert.match(frame, /"remaining":2/);
    }
  });

  await t.test("nothing of a stranger's words stands in the log", async () => {
    const words = [
      'MARK {"level":60,"msg":"MARK"}',
      "MARK\u2028{}",
      "\u202eMARK",
      "MARK\\n\\r\\x1b[2J",
    ];
    const headers = [
      "User-Agent",
      "Referer",
      "X-Forwarded-For",
      "Forwarded",
      "X-Request-Id",
      "Cookie",
    ];
    const host = program.url.replace("http://", "");
    for (const word of words) {
      for (const header of headers) {
        for (const path of [
          "/nowhere",
          `/events/${encodeURIComponent(word)}`,
          "/events?limit=MARK",
        ]) {
          const head = `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n`;
          const request = Buffer.from(`${head}${header}: ${word}\r\n\r\n`);
          const [answer] = answersIn(await askRaw(program.url, request, { ends: false }));
          assert.ok(answer !== undefined && answer.status >= 400 && answer.status < 500);
        }
      }
    }
    await checkLog(program, output);
  });
});

/** All that it printed in this test: one JSON text a line, none of them from outside, no secret in any. */
async function checkLog(program: Program, output: string): Promise<void> {
  const lines = output.split("\n").filter((line) => line.startsWith("{"));
  for (const line of lines) assert.ok(Number(JSON.parse(line).level) <= 30, line);
  // Its first words are for people.
  const others = output.split("\n").filter((line) => line !== "" && !line.startsWith("{"));
  for (const line of others)
    assert.match(line, /^(Stampede listens on|PostgreSQL: up to|AUTH=dev)/);
  assert.ok(!output.includes("MARK"));
  assert.ok(!output.includes(program.adminToken));
  // Who claims is nobody's business who reads the log.
  for (const name of ["auth0|", "google-oauth2", "ana+shop", "urn:example"]) {
    assert.ok(!output.includes(name), name);
  }
  const codes = await withDatabase(program, async (client) => {
    return (await client.query<{ code: string }>("SELECT code FROM coupon_issues")).rows;
  });
  assert.ok(codes.length > PIPELINED);
  for (const { code } of codes) assert.ok(!output.includes(code));
}

function claimText(
  { claimPath, target }: Sale,
  person: string,
  { rest = "Content-Length: 0\r\n\r\n", last = true } = {},
): string {
  const head = `POST ${claimPath} HTTP/1.1\r\nHost: ${target.authority}\r\nX-User-Id: ${person}\r\n`;
  return `${head}${last ? "Connection: close\r\n" : ""}${rest}`;
}

async function claimRaw(
  sale: Sale,
  person: string,
  how: { readonly rest?: string } = {},
): Promise<ReturnType<typeof answersIn>> {
  const request = Buffer.from(claimText(sale, person, how));
  return answersIn(await askRaw(sale.program.url, request, { ends: false }));
}

/** Everybody with a row, in order of bytes, once there are so many. */
async function personsWithRows(sale: Sale, count: number): Promise<string[]> {
  await until(async () => (await rowsOf(sale)).size >= count, `${count} rows`);
  return [...(await rowsOf(sale)).keys()].sort();
}

type Row = { readonly code: string; readonly ticket: number | null };

async function rowsOf({ program, eventId }: Sale): Promise<ReadonlyMap<string, Row>> {
  return withDatabase(program, async (client) => {
    const { rows } = await client.query<Row & { person: string }>(
      `SELECT user_id AS person, code, ticket::float8 AS ticket
         FROM coupon_issues WHERE event_id = $1`,
      [eventId],
    );
    return new Map(rows.map((row) => [row.person, row]));
  });
}

/** An event of one coupon with this id and this name. */
async function openNamed(
  program: Program,
  wanted: { readonly id: string; readonly mechanism: Sale["mechanism"]; readonly name: string },
): Promise<Sale> {
  const answer = await fetch(`${program.url}/events`, {
    method: "POST",
    headers: { authorization: `Bearer ${program.adminToken}`, "content-type": "application/json" },
    body: JSON.stringify({ ...wanted, limit: 1 }),
  });
  assert.equal(answer.status, 201, await answer.clone().text());
  const { claim } = (await answer.json()) as { claim: string };
  const { hostname, port, host } = new URL(program.url);
  const target = { address: hostname, port: Number(port), authority: host };
  const { id: eventId, mechanism } = wanted;
  return { program, eventId, mechanism, limit: 1, claimPath: claim, target };
}

async function firstFrame(
  { program, eventId, target }: Sale,
  lastEventId: string,
): Promise<string> {
  const socket = openRaw(program.url);
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
