// Every transaction script of the product on the real engine (the claim of v1, the batch of v2 and the
// reopening of an event, the decision of v3, its takeover and its halt, an operator's new event, raise and
// pause), two sessions in every order of their steps. Three sessions in 300 of their orders, others every
// day; STAMPEDE_ORDERS_SEED=20261128 repeats a day's, STAMPEDE_ORDERS=all runs all of them.
//
// After each order rows, counter, mark, generation and answers must be in step (S1-S3, S9, S10, S14, S20,
// S24), and no constraint may have spoken. The harness is code under test: planted B1 (FOR UPDATE
// dropped) must turn pairs of writers red, and B16 (the generation not compared) its own pair.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, describe, test } from "node:test";
import type { TestContext } from "node:test";
import { parseEventId } from "@stampede/domain";
import type { EventId } from "@stampede/domain";
import type pg from "pg";
import { createTestDatabase } from "../support/database.ts";
import { missing } from "../support/engines.ts";
import { judge } from "./sql-orders-judge.ts";
import { openClient, pidOf } from "./support.ts";
import { chosenOrders, ordersOf, runOrder, stepped } from "./stepped-session.ts";
import { batch, claim, create, decide, halt, pause, raise, reopen } from "./transaction-scripts.ts";
import type { Scenario } from "./transaction-scripts.ts";

const v1 = { mechanism: "row-lock" } as const;
const v2 = { mechanism: "redis-counter" } as const;
const v3 = { mechanism: "kafka-queue" } as const;

const takingOver = decide({ takesOver: true });

const pairs: readonly Scenario[] = [
  { ...v1, name: "two claims for the last coupon", limit: 1, scripts: [claim(1), claim(2)] },
  { ...v1, name: "two claims of one person", limit: 2, scripts: [claim(1), claim(1)] },
  { ...v1, name: "a claim and a raise", limit: 1, scripts: [claim(1), raise] },
  { ...v1, name: "a claim and a pause", limit: 2, scripts: [claim(1), pause] },
  { ...v1, name: "two raises of one version", limit: 1, scripts: [raise, raise] },
  { ...v2, name: "two batches that share a person", limit: 2, scripts: [batch(1, 2), batch(2, 3)] },
  { ...v2, name: "two reopenings", limit: 2, scripts: [reopen(), reopen()] },
  { ...v2, name: "a batch and a reopening", limit: 2, scripts: [batch(1, 2), reopen()] },
  { ...v2, name: "a raise and a reopening", limit: 1, scripts: [raise, reopen()] },
  { ...v2, name: "a batch and a raise", limit: 1, scripts: [batch(1, 2), raise] },
  {
    ...v3,
    name: "one decision twice",
    limit: 2,
    scripts: [decide({ takesOver: false }), decide({ takesOver: false })],
  },
  {
    ...v3,
    name: "a decision and a takeover",
    limit: 2,
    scripts: [decide({ takesOver: false }), decide({ takesOver: true })],
  },
  {
    ...v3,
    name: "a decision and a raise",
    limit: 1,
    scripts: [decide({ takesOver: false }), raise],
  },
  {
    ...v3,
    name: "a decision and a halt",
    limit: 2,
    scripts: [decide({ takesOver: false }), halt()],
  },
  { ...v3, name: "two takeovers", limit: 2, scripts: [takingOver, takingOver] },
  { ...v3, name: "a halt and a raise", limit: 1, scripts: [halt(), raise] },
  {
    ...v3,
    name: "two new events of one id",
    limit: 2,
    isNew: true,
    scripts: [create("one"), create("other")],
  },
];

const threes: readonly Scenario[] = [
  {
    ...v1,
    name: "three claims for two coupons",
    limit: 2,
    scripts: [claim(1), claim(2), claim(3)],
  },
  { ...v1, name: "two claims and a raise", limit: 1, scripts: [claim(1), claim(2), raise] },
  { ...v2, name: "two batches and a raise", limit: 1, scripts: [batch(1, 2), batch(2, 3), raise] },
  {
    ...v2,
    name: "two reopenings and a batch",
    limit: 2,
    scripts: [reopen(), reopen(), batch(1, 2)],
  },
  {
    ...v3,
    name: "a decision, a takeover and a raise",
    limit: 1,
    scripts: [decide({ takesOver: false }), takingOver, raise],
  },
];

/** Three sessions of three steps have 1,680 orders. */
const ORDERS_OF_THREE = 300;
const ALL_ORDERS = process.env["STAMPEDE_ORDERS"] === "all";
/** Other ones every day, the same ones for everybody on that day. */
const SEED = Number(
  process.env["STAMPEDE_ORDERS_SEED"] ?? new Date().toISOString().slice(0, 10).replaceAll("-", ""),
);

const asWritten = (text: string): string => text;
/** B1. */
const unlocked = (text: string): string => text.replace("FOR UPDATE", "");
/** B16: whatever the generation was. */
const unconditional = (text: string): string =>
  text.replace("WHERE g.generation = $3", "WHERE $3 IS NULL");

describe("the product's transactions in every order", { skip: missing("postgres") }, () => {
  for (const scenario of pairs) {
    const orders = ordersOf(scenario.scripts.map(({ steps }) => steps));
    test(`${scenario.mechanism}, ${scenario.name}: all ${orders.length} orders end right`, async (t) => {
      assertNone(await violationsOf(t, { scenario, orders, rewrite: asWritten }));
    });
  }

  for (const scenario of threes) {
    const all = ordersOf(scenario.scripts.map(({ coarseSteps }) => coarseSteps));
    const orders = ALL_ORDERS ? all : chosenOrders(all, ORDERS_OF_THREE, SEED);
    test(`${scenario.mechanism}, ${scenario.name}: ${orders.length} of ${all.length} orders of three sessions end right`, async (t) => {
      t.diagnostic(`The same orders again: STAMPEDE_ORDERS_SEED=${SEED}`);
      assertNone(await violationsOf(t, { scenario, orders, rewrite: asWritten, coarse: true }));
    });
  }

  for (const [name, rewrite, bug] of [
    ["two claims for the last coupon", unlocked, "B1, the lock dropped,"],
    ["two batches that share a person", unlocked, "B1, the lock dropped,"],
    ["one decision twice", unlocked, "B1, the lock dropped,"],
    ["two reopenings", unconditional, "B16, the generation not compared,"],
  ] as const) {
    const scenario = pairs.find((one) => one.name === name)!;
    test(`${scenario.mechanism}, ${name}: ${bug} is found in some orders`, async (t) => {
      const orders = ordersOf(scenario.scripts.map(({ steps }) => steps));
      const found = await violationsOf(t, { scenario, orders, rewrite });
      assert.notEqual(found.length, 0);
      // Not in all, where one after the other is right even so.
      if (rewrite === unlocked) assert.ok(found.length < orders.length);
    });
  }

  after(() => console.log(`${ordersRun} orders of the product's transactions were run.`));
});

let ordersRun = 0;

function assertNone(violations: readonly string[]): void {
  assert.deepEqual(violations.slice(0, 3), [], `${violations.length} orders end wrong`);
}

async function violationsOf(
  t: TestContext,
  run: {
    readonly scenario: Scenario;
    readonly orders: readonly (readonly number[])[];
    readonly rewrite: (text: string) => string;
    readonly coarse?: boolean;
  },
): Promise<string[]> {
  const { scenario, orders, rewrite, coarse = false } = run;
  const url = await createTestDatabase(t);
  const observer = await openClient(t, url);
  const connections: { readonly client: pg.Client; readonly pid: number }[] = [];
  for (const _ of scenario.scripts) {
    const client = await openClient(t, url);
    connections.push({ client, pid: await pidOf(client) });
  }
  const violations: string[] = [];
  for (const order of orders) {
    const eventId = await openEvent(observer, scenario);
    const sessions = scenario.scripts.map((script, n) =>
      stepped(connections[n]!, async (postgres) => script.run(postgres, eventId), {
        rewrite,
        coarse,
      }),
    );
    ordersRun += 1;
    await runOrder(sessions, order, observer);
    const outcomes = sessions.map((session) => session.outcome()!);
    const found = await judge(observer, eventId, { scenario, outcomes });
    if (found !== null) violations.push(`order ${order.join("")}: ${found}`);
  }
  return violations;
}

/** An open event; where the scripts make it themselves, an id that nobody has. */
async function openEvent(observer: pg.Client, scenario: Scenario): Promise<EventId> {
  const id = parseEventId(`event-${randomBytes(5).toString("hex")}`);
  assert.ok(id !== null);
  if (scenario.isNew !== true) await insertEvent(observer, id, scenario);
  return id;
}

async function insertEvent(
  observer: pg.Client,
  id: EventId,
  { mechanism, limit }: Scenario,
): Promise<void> {
  await observer.query(
    `INSERT INTO events (id, name, mechanism, limit_quantity, opens_at)
     VALUES ($1, 'A test event', $2, $3, clock_timestamp())`,
    [id, mechanism, limit],
  );
  if (mechanism === "kafka-queue") {
    await observer.query("INSERT INTO queues (event_id, topic, topic_id) VALUES ($1, $1, $1)", [
      id,
    ]);
  }
}
