// Every transaction script of the product on the real engine: the claim of v1, the batch of v2 and the
// reopening of an event, the decision of v3, its takeover and its halt, the group of v4, an operator's new
// event, raise and pause. Two sessions meet in every order of their steps; three sessions meet in 300 of
// their orders, others every day. STAMPEDE_ORDERS_SEED=20261128 repeats a day's, STAMPEDE_ORDERS=all runs
// all of them.
//
// After each order rows, counter, mark, generation and answers must be in step (S1-S3, S9, S10, S14, S20,
// S24), and no constraint may have spoken.
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { missing } from "@stampede/launcher/testing";
import { violationsOf } from "./run-scenario.ts";
import { randomOf } from "../simulation/random.ts";
import { mistakes, pairs, threes } from "./scenarios.ts";
import { ordersOf } from "./stepped-session.ts";
import type { Scenario } from "./transaction-scripts.ts";

/** Scenarios side by side, each on a database of its own: a step mostly waits. */
const LANES = 4;
/** Three sessions of three steps have 1,680 orders. */
const ORDERS_OF_THREE = 300;
const ALL_ORDERS = process.env["STAMPEDE_ORDERS"] === "all";
/** Other ones every day, the same ones for everybody on that day. */
const SEED =
  process.env["STAMPEDE_ORDERS_SEED"] ?? new Date().toISOString().slice(0, 10).replaceAll("-", "");

describe("the product's transactions", { skip: missing("postgres"), concurrency: LANES }, () => {
  for (const scenario of pairs) {
    const orders = everyOrderOf(scenario);
    const name = `${scenario.mechanism}: all ${orders.length} orders of ${scenario.name} end right`;
    test(name, async (t) => {
      assertNone(await violationsOf(t, { scenario, orders: counted(orders) }));
    });
  }

  for (const scenario of threes) {
    const all = ordersOf(scenario.scripts.map(({ coarseSteps }) => coarseSteps));
    const orders = ALL_ORDERS ? all : randomOf(SEED).some(all, ORDERS_OF_THREE);
    const some = `${orders.length} of ${all.length} orders`;
    test(`${scenario.mechanism}: ${some} of ${scenario.name} end right`, async (t) => {
      t.diagnostic(`The same orders again: STAMPEDE_ORDERS_SEED=${SEED}`);
      assertNone(await violationsOf(t, { scenario, orders: counted(orders), coarse: true }));
    });
  }

  for (const { scenario, bug, rewrite, rightOneByOne } of mistakes) {
    const where = `some orders of ${scenario.name}`;
    test(`${scenario.mechanism}: ${where} end wrong with ${bug} in it`, async (t) => {
      const orders = counted(everyOrderOf(scenario));
      const found = await violationsOf(t, { scenario, orders, rewrite });
      assert.notEqual(found.length, 0);
      // Not in all of them, where one transaction after the other is right even so.
      if (rightOneByOne) assert.ok(found.length < orders.length);
    });
  }

  after(() => console.log(`${ordersRun} orders of the product's transactions were run.`));
});

function everyOrderOf({ scripts }: Scenario): readonly (readonly number[])[] {
  return ordersOf(scripts.map(({ steps }) => steps));
}

let ordersRun = 0;

function counted<Order>(orders: readonly Order[]): readonly Order[] {
  ordersRun += orders.length;
  return orders;
}

function assertNone(violations: readonly string[]): void {
  assert.deepEqual(violations.slice(0, 3), [], `${violations.length} orders end wrong`);
}
