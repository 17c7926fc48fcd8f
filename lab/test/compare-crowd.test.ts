// Crowds that are more than one instant: spread arrivals, people who claim again, people who come
// when all is gone. On a service in memory.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import { describe, test, type TestContext } from "node:test";

import { openConnections, runSale, runTrace, type CrowdRun, type Target } from "@stampede/lab";

import { fakeShop } from "./support/fake-shop.ts";

const claimPath = "/v1/events/spring/issues";
const spring = { eventId: "spring", mechanism: "row-lock", claimPath };
const soldOut = JSON.stringify({ type: "/problems/sold-out", status: 409 });

/** Answers "sold out" to everybody, after `answerMs` or never, and keeps what it was asked. */
async function turnAway(
  t: TestContext,
  answerMs: number | null = 0,
): Promise<{ readonly target: Target; readonly people: string[] }> {
  const people: string[] = [];
  const server = createServer((request, response) => {
    const claims = request.method === "POST";
    if (claims) people.push(String(request.headers["x-user-id"]));
    if (claims && answerMs === null) return;
    setTimeout(() => response.writeHead(409).end(soldOut), claims ? Number(answerMs) : 0);
  });
  server.listen({ host: "127.0.0.1", port: 0, backlog: 4096 });
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const { port } = address;
  return { target: { address: "127.0.0.1", port, authority: `127.0.0.1:${port}` }, people };
}

type Trace = { readonly times: readonly number[]; readonly claimsPerPerson?: number };

async function traced(
  t: TestContext,
  target: Target,
  { times, claimsPerPerson = 1 }: Trace,
): Promise<CrowdRun> {
  const connections = await openConnections(target, times.length);
  t.after(() => {
    for (const connection of connections) connection.close();
  });
  const arrivals = times.map((atMs, index) => ({ person: `p${index}`, atMs }));
  const claim = { ...spring, deadlineMs: 5_000 };
  return runTrace({ target, ...claim, connections, arrivals, claimsPerPerson });
}

describe("spread arrivals", () => {
  test("are sent at their times and never before", async (t) => {
    const { target, people } = await turnAway(t);
    const times = Array.from({ length: 40 }, (_, index) => index * 5);
    const { claims, dueMs } = await traced(t, target, { times });
    const firstMs = dueMs[0] ?? 0;
    for (const [index, { sentMs }] of claims.entries()) {
      assert.ok(Math.abs((dueMs[index] ?? 0) - firstMs - index * 5) < 0.001);
      assert.ok(sentMs >= (dueMs[index] ?? 0), `${index} was sent early`);
    }
    assert.deepEqual(
      people,
      claims.map(({ person }) => person),
    );
  });

  test("do not wait for answers: they come even when nobody was answered yet", async (t) => {
    const { target } = await turnAway(t, 150);
    const { claims } = await traced(t, target, { times: [0, 10, 20, 30] });
    const lastSentMs = Math.max(...claims.map(({ sentMs }) => sentMs));
    assert.ok(claims.every(({ returnedMs }) => returnedMs > lastSentMs));
  });

  test("tell how long the crowd was at work and how much CPU it took", async (t) => {
    const { target } = await turnAway(t);
    const { wallMs, cpuMs } = await traced(t, target, { times: [0, 100] });
    assert.ok(wallMs >= 100, `${wallMs}`);
    assert.ok(cpuMs > 0 && cpuMs <= wallMs, `${cpuMs} of ${wallMs}`);
  });
});

describe("people who claim three times", () => {
  test("claim again as soon as they are answered, on the same connection", async (t) => {
    const { target, people } = await turnAway(t, 20);
    const { claims, dueMs } = await traced(t, target, { times: [0, 0], claimsPerPerson: 3 });
    assert.deepEqual(
      claims.map(({ person, attempt }) => `${person} ${attempt}`),
      ["p0 1", "p1 1", "p0 2", "p1 2", "p0 3", "p1 3"],
    );
    assert.equal(people.length, 6);
    for (const [index, { sentMs }] of claims.entries()) {
      if (index < 2) continue;
      // Due when the claim before was answered: latency counts from there.
      assert.equal(dueMs[index], claims[index - 2]?.returnedMs);
      assert.ok(sentMs >= (dueMs[index] ?? Infinity));
    }
  });

  test("stop when they are not answered", async (t) => {
    const { target } = await turnAway(t, null);
    const connections = await openConnections(target, 2);
    const arrivals = ["ana", "ben"].map((person) => ({ person, atMs: 0 }));
    const claim = { ...spring, deadlineMs: 50 };
    const plan = { target, ...claim, connections, arrivals, claimsPerPerson: 3 };
    const { claims } = await runTrace(plan);
    assert.deepEqual(
      claims.map(({ outcome }) => outcome),
      // The connections are gone after the first claims: the later ones never left.
      ["unknown", "unknown", "refused", "refused", "refused", "refused"],
    );
  });
});

describe("a crowd that comes late", () => {
  for (const mechanism of ["row-lock", "redis-counter", "kafka-queue"] as const) {
    test(`of ${mechanism} gets nothing, and both crowds are judged`, async (t) => {
      const sale = await runSale(await fakeShop(t), {
        mechanism,
        limit: 5,
        earlierPeople: 8,
        streams: 0,
        deadlineMs: 5_000,
        arrivals: (run) =>
          Array.from({ length: 20 }, (_, n) => ({ person: `l${n}-${run}`, atMs: 0 })),
      });
      assert.deepEqual(sale.violations, []);
      assert.deepEqual(sale.voidReasons, []);
      assert.ok(sale.crowd.claims.every(({ outcome }) => outcome === "sold-out"));
      assert.equal(sale.crowd.claims.length, 20);
      assert.equal(sale.stored.rows.length, 5);
      // A queue's winners are asked afterwards, and those are people who came early.
      const winners = sale.attempts.filter(
        ({ outcome, kind }) => outcome === "replay" && kind === "status",
      );
      assert.equal(winners.length, mechanism === "kafka-queue" ? 5 : 0);
      const ids = sale.attempts.map(({ id }) => id);
      assert.equal(new Set(ids).size, ids.length);
    });
  }
});
