// The whole rush against a service in memory, right and with planted mistakes: what is not found
// here would not be found on the real one either.
import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";

import { runRush, type Mechanism, type RushPlan, type RushResult } from "@stampede/lab";

import { fakeShop, type Bug } from "./support/fake-shop.ts";

const plan: RushPlan = {
  mechanism: "row-lock",
  users: 40,
  limit: 10,
  streams: 0,
  deadlineMs: 5_000,
};

async function rushed(
  t: TestContext,
  options: Partial<RushPlan>,
  bug: Bug | null = null,
): Promise<RushResult> {
  return runRush(await fakeShop(t, bug), { ...plan, ...options });
}

function rulesOf(result: RushResult): string[] {
  return [...new Set(result.violations.map(({ rule }) => rule))].sort();
}

for (const mechanism of ["row-lock", "redis-counter", "kafka-queue"] as const) {
  describe(`a rush on ${mechanism}`, () => {
    test("finds nothing wrong with a service that is right", async (t) => {
      const result = await rushed(t, { mechanism });
      assert.deepEqual(result.violations, []);
      assert.deepEqual(result.unclean, []);
      assert.equal(result.issuedRows, 10);
      assert.equal(result.figures.answers, 40);
    });

    test("is right when there are more coupons than people", async (t) => {
      const result = await rushed(t, { mechanism, users: 7, streams: 3 });
      assert.deepEqual(result.violations, []);
      assert.deepEqual(result.unclean, []);
      assert.equal(result.issuedRows, 7);
      assert.equal(result.watchers?.sawEnd, 3);
    });

    test("sees that everyone who watches the stream sees the end", async (t) => {
      const result = await rushed(t, { mechanism, streams: 25 });
      assert.deepEqual(result.watchers, { streams: 25, sawEnd: 25, reconnects: 0 });
      assert.deepEqual(result.unclean, []);
    });
  });
}

test("sends a crowd of a thousand over a thousand connections, each claim once", async (t) => {
  const result = await rushed(t, { users: 1_000, limit: 100 });
  assert.deepEqual(result.violations, []);
  assert.equal(new Set(result.attempts.map(({ person }) => person)).size, 1_000);
  assert.equal(result.figures.outcomes.issued, 100);
  assert.equal(result.figures.outcomes["sold-out"], 900);
});

test("times the end of a queue and asks the winners and a sample of the others", async (t) => {
  const result = await rushed(t, { mechanism: "kafka-queue", users: 600 });
  assert.ok(result.finalAfterMs !== null && result.finalAfterMs >= result.figures.lastAnswerMs);
  const statuses = result.attempts.filter(({ kind }) => kind === "status");
  assert.equal(statuses.filter(({ outcome }) => outcome === "replay").length, 10);
  assert.ok(statuses.filter(({ outcome }) => outcome === "sold-out").length >= 200);
});

describe("a rush on a service with a mistake", () => {
  const found: readonly (readonly [Bug, Mechanism, readonly string[]])[] = [
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
    test(`that ${bug} is void`, async (t) => {
      assert.deepEqual(rulesOf(await rushed(t, { mechanism }, bug)), rules);
    });
  }

  for (const [bug, text] of [
    ["hangs up", "1 x claim: reset"],
    ["stays silent", "1 x claim: timeout"],
  ] as const) {
    test(`that ${bug} is right but not clean`, async (t) => {
      const result = await rushed(t, { deadlineMs: 500 }, bug);
      assert.deepEqual(result.violations, []);
      assert.deepEqual(result.unclean, [text]);
      assert.equal(result.figures.outcomes.unknown, 1);
    });
  }

  test("that never decides its queue is neither right nor clean", async (t) => {
    const options = { mechanism: "kafka-queue", users: 5, deadlineMs: 300 } as const;
    const result = await rushed(t, options, "never decides");
    assert.equal(result.finalAfterMs, null);
    assert.deepEqual(rulesOf(result), ["L1", "L2", "S23"]);
    assert.ok(result.unclean.includes("the queue was not decided within 0.3 s"));
  });
});

test("says what to do when the operator's token is wrong", async (t) => {
  const shop = { ...(await fakeShop(t)), adminToken: "wrong" };
  await assert.rejects(runRush(shop, plan), /was answered 401.*Set ADMIN_TOKEN/s);
});

test("says where nothing listens", async (t) => {
  const shop = { ...(await fakeShop(t)), url: "http://127.0.0.1:1" };
  await assert.rejects(runRush(shop, plan), /No answer from http:\/\/127\.0\.0\.1:1\/events/);
});
