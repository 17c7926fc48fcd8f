// Runs the scripts of a scenario on the real engine, each on a connection of its own, in every order that
// is asked for, and judges what each order left.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import type { TestContext } from "node:test";
import { parseEventId } from "@stampede/domain";
import type { EventId } from "@stampede/domain";
import { createTestDatabase } from "@stampede/infrastructure/test/support/database.ts";
import { openClient, pidOf } from "@stampede/infrastructure/test/support/postgres.ts";
import type pg from "pg";
import { judge } from "./sql-orders-judge.ts";
import { runOrder, stepped } from "./stepped-session.ts";
import type { Scenario } from "./transaction-scripts.ts";

export type ScenarioRun = {
  readonly scenario: Scenario;
  readonly orders: readonly (readonly number[])[];
  /** Makes a mistake in the texts of the statements. Left out: they run as written. */
  readonly rewrite?: (text: string) => string;
  /** Reads under a lock are no step of their own. */
  readonly coarse?: boolean;
};

/** One sentence for each order that ends wrong. */
export async function violationsOf(
  t: TestContext,
  { scenario, orders, rewrite = asWritten, coarse = false }: ScenarioRun,
): Promise<string[]> {
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
    await runOrder(sessions, order, observer);
    const outcomes = sessions.map((session) => session.outcome()!);
    const found = await judge(observer, eventId, { scenario, outcomes });
    if (found !== null) violations.push(`order ${order.join("")}: ${found}`);
  }
  return violations;
}

const asWritten = (text: string): string => text;

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
