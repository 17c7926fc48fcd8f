// The whole sale of a rush against a service in memory, right and with planted mistakes: what is not
// found here would not be found on the real one either.
import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";

import { countsOf, runSale, type Sale, type SalePlan } from "@stampede/lab";

import { fakeMechanisms, fakeShop, type Bug } from "./support/fake-shop.ts";

type Rush = Partial<Omit<SalePlan, "arrivals">> & { readonly users?: number };

function planOf({ users = 40, ...more }: Rush): SalePlan {
  const arrivals: SalePlan["arrivals"] = (run) =>
    Array.from({ length: users }, (_, n) => ({ person: `p${n}-${run}`, atMs: 0 }));
  const plan = { mechanism: "row-lock", limit: 10, streams: 0, deadlineMs: 5_000 };
  return { ...plan, arrivals, ...more };
}

async function rushed(t: TestContext, rush: Rush, bug: Bug | null = null): Promise<Sale> {
  return runSale(await fakeShop(t, bug), planOf(rush));
}

function rulesOf({ violations }: Sale): string[] {
  return [...new Set(violations.map(({ rule }) => rule))].sort();
}

for (const { name: mechanism } of fakeMechanisms) {
  describe(`a rush on ${mechanism}`, () => {
    test("finds nothing wrong with a service that is right", async (t) => {
      const sale = await rushed(t, { mechanism });
      assert.deepEqual(sale.violations, []);
      assert.deepEqual(sale.voidReasons, []);
      assert.equal(sale.stored.rows.length, 10);
      assert.equal(sale.crowd.claims.filter(({ status }) => status !== null).length, 40);
    });

    test("is right when there are more coupons than people", async (t) => {
      const sale = await rushed(t, { mechanism, users: 7, streams: 3 });
      assert.deepEqual(sale.violations, []);
      assert.deepEqual(sale.voidReasons, []);
      assert.equal(sale.stored.rows.length, 7);
      assert.equal(sale.watching?.sawEnd, 3);
    });

    test("sees that everyone who watches the stream sees the end", async (t) => {
      const sale = await rushed(t, { mechanism, streams: 25 });
      assert.deepEqual(sale.watching, { streams: 25, sawEnd: 25, reconnects: 0 });
      assert.deepEqual(sale.voidReasons, []);
    });
  });
}

test("sends a crowd of a thousand over a thousand connections, each claim once", async (t) => {
  const sale = await rushed(t, { users: 1_000, limit: 100 });
  assert.deepEqual(sale.violations, []);
  assert.equal(new Set(sale.attempts.map(({ person }) => person)).size, 1_000);
  const { issued, "sold-out": soldOut } = countsOf(sale.crowd.claims);
  assert.deepEqual([issued, soldOut], [100, 900]);
});

test("keeps its event out of the shop's list", async (t) => {
  const shop = await fakeShop(t);
  const { eventId } = await runSale(shop, planOf({}));
  const event: unknown = await (await fetch(`${shop.url}/events/${eventId}`)).json();
  assert.deepEqual(event, { id: eventId, pace: null, listed: false });
});

test("times the end of a queue and asks the winners and a sample of the others", async (t) => {
  const { crowd, finalMs, attempts } = await rushed(t, { mechanism: "kafka-queue", users: 600 });
  const lastMs = Math.max(...crowd.claims.map(({ returnedMs }) => returnedMs));
  assert.ok(finalMs !== null && finalMs >= lastMs);
  const statuses = attempts.filter(({ kind }) => kind === "status");
  assert.equal(statuses.filter(({ outcome }) => outcome === "replay").length, 10);
  assert.ok(statuses.filter(({ outcome }) => outcome === "sold-out").length >= 200);
});

test("lets a line that rests go on only when everybody is answered", async (t) => {
  const sale = await rushed(t, { mechanism: "kafka-queue", pace: 0 });
  assert.deepEqual([...sale.violations, ...sale.voidReasons], []);
  assert.equal(sale.stored.rows.length, 10);
  const lastMs = Math.max(...sale.crowd.claims.map(({ returnedMs }) => returnedMs));
  const firstRowMs = Date.parse(sale.stored.rows[0]?.issuedAt ?? "") - performance.timeOrigin;
  // Rows have whole milliseconds.
  assert.ok(firstRowMs >= lastMs - 1, `a row ${lastMs - firstRowMs} ms before the last answer`);
});

describe("a rush on a service with a mistake", () => {
  const found: readonly (readonly [Bug, string, readonly string[]])[] = [
    ["oversells", "row-lock", ["S1"]],
    ["undersells", "redis-counter", ["L1", "S5"]],
    ["tells issued without a row", "row-lock", ["S3"]],
    ["answers 500", "row-lock", ["500"]],
    ["tells another code", "redis-counter", ["S3"]],
    ["tells a winner sold out", "redis-counter", ["S7"]],
    ["gives a person two rows", "row-lock", ["S2"]],
    ["passes a ticket over", "kafka-queue", ["S10", "S13", "S23"]],
  ];
  for (const [bug, mechanism, rules] of found) {
    test(`that ${bug} is wrong`, async (t) => {
      assert.deepEqual(rulesOf(await rushed(t, { mechanism }, bug)), rules);
    });
  }

  for (const [bug, text] of [
    ["hangs up", "1 x claim: reset"],
    ["stays silent", "1 x claim: timeout"],
  ] as const) {
    test(`that ${bug} is void and not wrong`, async (t) => {
      const sale = await rushed(t, { deadlineMs: 500 }, bug);
      assert.deepEqual(sale.violations, []);
      assert.deepEqual(sale.voidReasons, [text]);
      assert.equal(countsOf(sale.crowd.claims).unknown, 1);
    });
  }

  test("that never sends the last frame is void for whoever watches", async (t) => {
    const bug = "never sends the last frame";
    const sale = await rushed(t, { streams: 2, deadlineMs: 300 }, bug);
    assert.deepEqual(sale.violations, []);
    assert.deepEqual(sale.voidReasons, ["2 of 2 watchers did not see the end"]);
  });

  test("that never decides its queue is wrong, and says that it was not decided", async (t) => {
    const rush = { mechanism: "kafka-queue", users: 5, deadlineMs: 300 };
    const sale = await rushed(t, rush, "never decides");
    assert.equal(sale.finalMs, null);
    assert.deepEqual(rulesOf(sale), ["L1", "L2", "S23"]);
    assert.ok(sale.voidReasons.includes("the queue was not decided within 0.3 s"));
  });
});

test("says what to do when the operator's token is wrong", async (t) => {
  const shop = { ...(await fakeShop(t)), adminToken: "wrong" };
  await assert.rejects(runSale(shop, planOf({})), /was answered 401.*Set ADMIN_TOKEN/s);
});

test("says where nothing listens", async (t) => {
  const shop = { ...(await fakeShop(t)), url: "http://127.0.0.1:1" };
  await assert.rejects(runSale(shop, planOf({})), /No answer from http:\/\/127\.0\.0\.1:1\/events/);
});
