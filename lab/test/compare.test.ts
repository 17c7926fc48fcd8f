// A whole comparison against a service in memory, right and with planted mistakes, and once with a
// crowd that could not keep up.
import assert from "node:assert/strict";
import { after, before, describe, test, type TestContext } from "node:test";

import { judge } from "@stampede/lab";
import {
  compare,
  scenarioOf,
  startCeiling,
  targetSystem,
  warmUp,
  type Ceiling,
  type ComparePlan,
  type Compared,
  type Comparison,
  type TargetSystem,
} from "@stampede/lab/compare";

import { fakeMechanisms, fakeShop, type Bug } from "./support/fake-shop.ts";
import { checkComparison } from "./support/check-comparison.ts";

const { scenario } = scenarioOf("small", { people: 40, limit: 10 });

const plan: ComparePlan = {
  scenario,
  mechanisms: fakeMechanisms,
  rounds: 2,
  warmUps: 0,
  sameAgainstSame: ["ceiling"],
  target: null,
  streams: 0,
  deadlineMs: 5_000,
  command: "npm run lab -- compare",
};

const rowLock = fakeMechanisms.filter(({ name }) => name === "row-lock");
const queue = fakeMechanisms.filter(({ name }) => name === "kafka-queue");

/** One for all tests: it is a process of its own, and nothing that it answers changes it. */
let ceiling: Ceiling;
before(async () => {
  ceiling = await startCeiling();
});
after(() => ceiling.close());

async function compared(t: TestContext, bug: Bug | null = null): Promise<Compared> {
  const shop = { ...(await fakeShop(t, bug)), pids: () => ({}), databaseUrl: null };
  return { shop, ceiling, facts: { versions: {}, durability: {} } };
}

const quiet = { say: (): void => {} };

test("a comparison has every subject in every round, forwards and then backwards", async (t) => {
  const rounds: number[] = [];
  const judged: string[] = [];
  const comparison = await compare(await compared(t), plan, {
    ...quiet,
    judged: ({ mechanism, verdict }) => judged.push(`${mechanism} ${verdict}`),
    roundEnded: (round) => rounds.push(round),
  });
  checkComparison(comparison, { rounds: 2 });
  assert.deepEqual(rounds, [1, 2]);
  assert.equal(judged.length, 10);
  assert.ok(judged.every((text) => !text.endsWith(" wrong")));
});

test("a warm-up is not counted", async (t) => {
  const events: string[] = [];
  const counted: typeof judge = (run) => {
    events.push(run.mechanism);
    return judge(run);
  };
  const options = { ...plan, rounds: 1, warmUps: 2, judge: counted };
  const { runs } = await compare(await compared(t), options, quiet);
  assert.equal(runs.length, 5);
  assert.equal(events.filter((mechanism) => mechanism === "redis-counter").length, 3);
});

test("who needs seconds for one crowd is warm after it, and takes part in no other warm-up", async () => {
  const measured: string[] = [];
  await warmUp(3, {
    subjects: ["slow", "quick"],
    say: quiet.say,
    measure: async (subject) => {
      measured.push(subject);
      return { verdict: { kind: "right" }, lastAnswerMs: subject === "slow" ? 6_000 : 300 };
    },
  });
  assert.deepEqual(measured, ["slow", "quick", "quick", "quick"]);
});

test("every sale is handed over, warm-ups too, and watchers are counted in their runs", async (t) => {
  const sold: string[] = [];
  const options = { ...plan, mechanisms: rowLock, rounds: 1, warmUps: 1, streams: 2 };
  const { runs } = await compare(await compared(t), options, {
    ...quiet,
    sold: (mechanism, { stored }) => sold.push(`${mechanism} ${stored.rows.length}`),
  });
  assert.deepEqual(sold, ["row-lock 10", "row-lock 10"]);
  const run = runs.find(({ subject }) => subject === "row-lock");
  assert.deepEqual(run?.watching, { streams: 2, sawEnd: 2, reconnects: 0 });
  assert.equal(run?.issuedRows, 10);
});

test("people who claim three times are all answered and counted", async (t) => {
  const storm = scenarioOf("storm", { people: 20, limit: 5, claimsPerPerson: 3 }).scenario;
  const options = { ...plan, scenario: storm, mechanisms: queue };
  const comparison = await compare(await compared(t), options, quiet);
  checkComparison(comparison, { rounds: 2 });
});

test("spread arrivals have no firing skew", async (t) => {
  const steady = scenarioOf("steady", { people: 40, limit: 40, perSecond: 400 }).scenario;
  const options = { ...plan, scenario: steady, mechanisms: rowLock };
  const { runs } = await compare(await compared(t), options, quiet);
  assert.ok(runs.every(({ firingSkewMs }) => firingSkewMs === null));
  assert.ok(runs.every(({ lastAnswerMs }) => lastAnswerMs > 50));
});

describe("a run that is wrong", () => {
  // The fake shop is right, so the judge is the liar: what it finds is what counts.
  const finding: typeof judge = (run) =>
    run.mechanism === "redis-counter"
      ? [{ rule: "row-count", person: "ana", detail: "11 rows where 10 are right" }]
      : judge(run);

  test("is shown as wrong, without throughput, and in no A/A pair", async (t) => {
    const options = { ...plan, judge: finding, sameAgainstSame: ["redis-counter"] };
    const { runs, sameAgainstSame } = await compare(await compared(t), options, quiet);
    const wrong = runs.filter(({ subject }) => subject === "redis-counter");
    assert.equal(wrong.length, 4);
    for (const { verdict, answersPerSecond, issuedPerSecond } of wrong) {
      const violations = ["row-count: ana: 11 rows where 10 are right"];
      assert.deepEqual(verdict, { kind: "wrong", violations });
      assert.equal(answersPerSecond, null);
      assert.equal(issuedPerSecond, null);
    }
    assert.deepEqual(sameAgainstSame, []);
    const others = runs.filter(({ subject }) => subject !== "redis-counter");
    assert.ok(others.every(({ verdict }) => verdict.kind !== "wrong"));
  });

  test("in the warm-up ends the comparison, and says what was wrong", async (t) => {
    const options = { ...plan, judge: finding, warmUps: 1 };
    const ended = compare(await compared(t), options, quiet);
    await assert.rejects(ended, /warm-up of redis-counter was wrong.*\n  row-count: ana: 11 rows/);
  });

  test("is found by the project's own judge where the service oversells", async (t) => {
    const comparison = await compare(await compared(t, "oversells"), { ...plan, rounds: 1 }, quiet);
    assert.equal(verdictOf(comparison, "row-lock").kind, "wrong");
    assert.notEqual(verdictOf(comparison, "ceiling").kind, "wrong");
  });
});

describe("a run is void", () => {
  test("when a connection broke", async (t) => {
    const options = { ...plan, rounds: 1, mechanisms: rowLock };
    const comparison = await compare(await compared(t, "hangs up"), options, quiet);
    const verdict = verdictOf(comparison, "row-lock");
    assert.ok(verdict.kind === "void");
    assert.ok(verdict.reasons.includes("1 x claim: reset"));
    assert.equal(
      comparison.runs.find(({ subject }) => subject === "row-lock")?.answersPerSecond,
      null,
    );
  });

  test("when the crowd's own process was late, however right the sale", async (t) => {
    const steady = scenarioOf("steady", { people: 60, limit: 60, perSecond: 300 }).scenario;
    const options = { ...plan, scenario: steady, rounds: 1, mechanisms: rowLock };
    const shop = await compared(t);
    // Work in the crowd's own process, as a collector or a neighbour would take it: 40 ms of 50.
    const busy = setInterval(() => {
      const endMs = performance.now() + 40;
      while (performance.now() < endMs);
    }, 50);
    t.after(() => clearInterval(busy));
    const comparison = await compare(shop, options, quiet);
    const verdict = verdictOf(comparison, "row-lock");
    assert.ok(verdict.kind === "void", JSON.stringify(verdict));
    assert.match(verdict.reasons.join(), /generator bound/);
  });
});

describe("somebody else's system", () => {
  /** The fake shop's own contract, described as a stranger's. */
  const described = (url: string, token: string): TargetSystem =>
    targetSystem({
      name: "stranger",
      url,
      create: {
        path: "/events",
        headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
        body: '{"id":"{event}","mechanism":"row-lock","limit":{limit}}',
      },
      claim: { path: "/v1/events/{event}/issues", headers: { "X-User-Id": "{person}" } },
      issued: [201],
      "sold-out": [409],
      code: "code",
    });

  const targetOnly = { ...plan, mechanisms: [], rounds: 1, sameAgainstSame: [] };

  test("is driven by the same crowd and judged by its answers", async (t) => {
    const { shop, ...rest } = await compared(t);
    const target = described(shop.url, shop.adminToken);
    const comparison = await compare({ shop, ...rest }, { ...targetOnly, target }, quiet);
    checkComparison(comparison, { rounds: 1 });
    assert.deepEqual(comparison.target, { name: "stranger", url: shop.url });
    const run = comparison.runs.find(({ subject }) => subject === "target");
    assert.equal(run?.outcomes.issued, 10);
    assert.equal(run?.outcomes["sold-out"], 30);
    assert.equal(run?.durableMs, null);
  });

  test("is wrong when it oversells, and void when it answers what nobody described", async (t) => {
    for (const [bug, kind] of [
      ["oversells", "wrong"],
      ["answers 500", "void"],
    ] as const) {
      const { shop, ...rest } = await compared(t, bug);
      const target = described(shop.url, shop.adminToken);
      const comparison = await compare({ shop, ...rest }, { ...targetOnly, target }, quiet);
      assert.equal(verdictOf(comparison, "target").kind, kind);
    }
  });

  test("has to be described whole, and every fault is told at once", () => {
    assert.throws(
      () => targetSystem({ url: "https://x/", colour: 1, claim: { path: "claim" } }),
      /"colour".*"url" is.*has a "path" that.*\{person\}.*"issued" or "queued"/s,
    );
  });
});

function verdictOf({ runs }: Comparison, subject: string): Comparison["runs"][number]["verdict"] {
  const run = runs.find((run) => run.subject === subject);
  assert.ok(run !== undefined);
  return run.verdict;
}
