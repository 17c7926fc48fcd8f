// The real program with a fault proxy before each of its engines, and the end of every row on it.
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { testEngine } from "@stampede/infrastructure/embedded";
import type { EngineName } from "@stampede/infrastructure/embedded";
import type { Attempt, StoredSale } from "@stampede/lab";
import { startProgram } from "../../support/program.ts";
import type { Program } from "../../support/program.ts";
import type { OpenReader } from "./proxy-frames.ts";
import { readProduces } from "./proxy-kafka.ts";
import { readCommits } from "./proxy-postgres.ts";
import { readCommands } from "./proxy-redis.ts";
import { startProxy } from "./proxy.ts";
import type { FaultProxy } from "./proxy.ts";
import type { Row } from "./row.ts";
import {
  askEverybody,
  readStored,
  tally,
  unsettled,
  until,
  verdict,
  withDatabase,
} from "./sale.ts";
import type { Sale } from "./sale.ts";

export type ProxiedProgram = {
  readonly program: Program;
  readonly postgres: FaultProxy;
  readonly redis: FaultProxy;
  readonly kafka: FaultProxy;
};

/**
 * `program.databaseUrl` goes past the proxy: the judge's eyes are not under the fault. `random`
 * drives jitter and resets.
 */
export async function startBehindProxies(
  t: Pick<TestContext, "after">,
  random?: () => number,
): Promise<ProxiedProgram> {
  const drawing = random === undefined ? {} : { random };
  const before = async (engine: EngineName, reader: OpenReader): Promise<FaultProxy> =>
    startProxy(t, { port: portOf(testEngine(engine)), reader, ...drawing });
  const [postgres, redis, kafka] = await Promise.all([
    before("postgres", readCommits("after-write")),
    before("redis", readCommands()),
    before("kafka", readProduces()),
  ]);
  const program = await startProgram(t, (databaseUrl) => ({
    DATABASE_URL: postgres.through(databaseUrl),
    REDIS_URL: redis.through(testEngine("redis")),
    KAFKA_BROKERS: kafka.through(testEngine("kafka")),
  }));
  return { program, postgres, redis, kafka };
}

/**
 * The end of a row: everybody asks, everything is judged, all coupons are rows, nothing is stuck.
 * `healedMs` is when the last fault was gone; L1, L2 and L4 count from it.
 */
export async function finishRow(
  row: Row,
  sale: Sale,
  told: readonly Attempt[],
  healedMs: number,
): Promise<StoredSale> {
  const since = (): number => performance.now() - healedMs;
  const coupons = async (): Promise<void> => {
    await until(async () => (await readStored(sale)).issued === sale.limit, "L1: all coupons");
    row.recovered("L1", since());
  };
  const answers = async (): Promise<readonly Attempt[]> => {
    const asked = await askEverybody(sale, told);
    assert.deepEqual(unsettled(asked), [], "L2: everybody has a final answer");
    row.recovered("L2", since());
    return asked;
  };
  const [asked] = await Promise.all([answers(), coupons()]);
  await until(async () => (await stuckSessions(sale)).length === 0, "L4: no session is stuck");
  row.recovered("L4", since());
  const { violations, stored } = await verdict(sale, [...told, ...asked]);
  row.judged(told, violations.length);
  assert.deepEqual(violations, []);
  assert.equal(stored.rows.length, sale.limit, JSON.stringify(tally(told)));
  return stored;
}

/** The first claim that is no fault, for L3; also tells how long it took since `healedMs`. */
export function firstGoodMs(attempts: readonly Attempt[], healedMs: number): number {
  const good = attempts.filter(
    ({ outcome, returnedMs }) =>
      returnedMs >= healedMs && !["refused", "unknown", "none"].includes(outcome),
  );
  return Math.min(...good.map(({ returnedMs }) => returnedMs)) - healedMs;
}

/** The people whose claim got an answer of this kind once, and a row of their own when they retried. */
export function foundTheirRow(attempts: readonly Attempt[]): string[] {
  const unknown = new Set(
    attempts.filter(({ outcome }) => outcome === "unknown").map(({ person }) => person),
  );
  const replayed = attempts.filter(({ outcome }) => outcome === "replay");
  return [...new Set(replayed.map(({ person }) => person))].filter((one) => unknown.has(one));
}

async function stuckSessions({ program }: Sale): Promise<readonly unknown[]> {
  return withDatabase(program, async (client) => {
    const { rows } = await client.query(
      `SELECT pid, state, query FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'stampede'
          AND (clock_timestamp() - xact_start > interval '5 seconds'
               OR cardinality(pg_blocking_pids(pid)) > 0 OR state LIKE 'idle in transaction%')`,
    );
    return rows;
  });
}

function portOf(address: string): number {
  return Number(/:(\d+)(?:\/|$)/.exec(address)?.[1]);
}
