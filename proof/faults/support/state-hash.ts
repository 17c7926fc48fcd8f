// Everything that a request could have changed: rows in PostgreSQL, keys in Redis, records in Kafka.
import { createHash } from "node:crypto";
import { testEngine } from "@stampede/launcher/testing";
import type pg from "pg";
import type { Program } from "../../support/program.ts";
import { endOf } from "./kafka-operator.ts";
import { redisCommand } from "./redis-command.ts";
import { withDatabase } from "./sale.ts";

const TABLES = ["events", "coupon_issues", "queues", "redis_generations", "rejected_records"];

/** Name to content, or its hash, of all that is stored for the program's events. */
export type State = Readonly<Record<string, string>>;

export async function stateOf(program: Program): Promise<State> {
  return withDatabase(program, async (client) => {
    const state: Record<string, string> = {};
    for (const table of TABLES) {
      const { rows } = await client.query(
        `SELECT count(*)::integer AS rows, md5(string_agg(one::text, ',' ORDER BY one::text)) AS hash
           FROM ${table} one`,
      );
      state[table] = `${rows[0].rows} ${rows[0].hash}`;
    }
    return { ...state, ...(await redisState(client)), ...(await kafkaState(client)) };
  });
}

/** Redis is shared with other programs' tests: only what carries the id of an event of ours counts. */
async function redisState(client: pg.Client): Promise<State> {
  const { rows } = await client.query<{ id: string }>("SELECT id FROM events");
  const ids = new Set(rows.map(({ id }) => id));
  const state: Record<string, string> = {};
  for (const key of (await redis("KEYS", "stampede:{*")) as readonly string[]) {
    if (!ids.has(/^stampede:\{(.*)\}:/.exec(key)?.[1] ?? "")) continue;
    const value = key.endsWith(":count") ? await redis("GET", key) : await redis("HGETALL", key);
    // Of many persons their order in the hash is nobody's business.
    const parts = [value].flat().map(String).sort().join(" ");
    state[key] = createHash("sha256").update(parts).digest("hex");
  }
  return state;
}

/** A log has changed when it has another end. */
async function kafkaState(client: pg.Client): Promise<State> {
  const { rows } = await client.query<{ topic: string }>("SELECT topic FROM queues");
  const state: Record<string, string> = {};
  for (const { topic } of rows) {
    state[topic] = String(await endOf({ brokers: testEngine("kafka"), topic }));
  }
  return state;
}

async function redis(
  ...command: readonly string[]
): Promise<Awaited<ReturnType<typeof redisCommand>>> {
  return redisCommand(testEngine("redis"), ...command);
}
