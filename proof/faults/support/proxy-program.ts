// The real program with a fault proxy before each of its engines.
import type { TestContext } from "node:test";
import type { EngineName } from "@stampede/launcher";
import { startProxy, testEngine } from "@stampede/launcher/testing";
import type { FaultProxy, OpenReader } from "@stampede/launcher/testing";
import { startProgram } from "../../support/program.ts";
import type { Program } from "../../support/program.ts";
import { readProduces } from "./proxy-kafka.ts";
import { readCommits } from "./proxy-postgres.ts";
import { readCommands } from "./proxy-redis.ts";

export type ProxiedProgram = {
  readonly program: Program;
  readonly postgres: FaultProxy;
  readonly redis: FaultProxy;
  readonly kafka: FaultProxy;
};

/**
 * The program's own addresses go past the proxies: the judge's eyes are not under the fault. `random`
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
  const direct = { redisUrl: testEngine("redis"), brokers: testEngine("kafka") };
  const program = await startProgram(
    t,
    (databaseUrl) => ({
      DATABASE_URL: postgres.through(databaseUrl),
      REDIS_URL: redis.through(direct.redisUrl),
      KAFKA_BROKERS: kafka.through(direct.brokers),
    }),
    { direct },
  );
  return { program, postgres, redis, kafka };
}

function portOf(address: string): number {
  return Number(/:(\d+)(?:\/|$)/.exec(address)?.[1]);
}
