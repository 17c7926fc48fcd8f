// Where pairs of faults happen: a door and two deciders (which reconcile too) on engines of their own,
// with a proxy before each engine that the door uses and one before the deciders' PostgreSQL.
import type { Attempt } from "@stampede/lab";
import { startProxy, until } from "@stampede/launcher/testing";
import type { FaultProxy } from "@stampede/launcher/testing";
import type { Program } from "../../support/program.ts";
import type { Cleaning } from "./cleaning.ts";
import { startKafkaCluster } from "./kafka-cluster.ts";
import type { KafkaNode } from "./kafka-cluster.ts";
import { metric } from "./kafka-sale.ts";
import { startInstance, startPrivateEngines } from "./private-engines.ts";
import type { PrivateEngines } from "./private-engines.ts";
import { readProduces } from "./proxy-kafka.ts";
import { readCommits } from "./proxy-postgres.ts";
import { readCommands } from "./proxy-redis.ts";
import { claimAtOnce, people } from "./sale.ts";
import type { Sale } from "./sale.ts";

export type PairPlace = PrivateEngines & {
  /** The door: ROLE=api. */
  readonly program: Program;
  readonly deciders: readonly Program[];
  readonly broker: KafkaNode;
  readonly before: {
    readonly doorsPostgres: FaultProxy;
    readonly doorsRedis: FaultProxy;
    readonly doorsKafka: FaultProxy;
    readonly decidersPostgres: FaultProxy;
  };
};

/** Three processes with their pools, and a fault that takes all the rest. */
const CONNECTIONS_MAX = 70;
const BURST = 15;
const BURST_SPREAD_MS = 100;

export async function openPairPlace(own: Cleaning): Promise<PairPlace> {
  const settings = { max_connections: String(CONNECTIONS_MAX), track_commit_timestamp: "on" };
  const engines = await startPrivateEngines(own, { settings });
  const { nodes } = await startKafkaCluster(own, { nodes: 1 });
  const broker = nodes[0]!;
  const [postgresPort, redisPort] = [engines.postgres, engines.redis].map(({ url }) =>
    Number(new URL(url).port),
  );
  const kafkaPort = Number(broker.broker.split(":")[1]);
  const commits = { port: postgresPort!, reader: readCommits("after-write") };
  const before = {
    doorsPostgres: await startProxy(own, commits),
    doorsRedis: await startProxy(own, { port: redisPort!, reader: readCommands() }),
    doorsKafka: await startProxy(own, { port: kafkaPort, reader: readProduces() }),
    decidersPostgres: await startProxy(own, commits),
  };
  const deciding = {
    ROLE: "decider",
    DATABASE_URL: before.decidersPostgres.through(engines.postgres.url),
    KAFKA_BROKERS: broker.broker,
  };
  // The first of them makes the schema.
  const deciders = [await startInstance(own, engines, deciding)];
  deciders.push(await startInstance(own, engines, deciding));
  const program = await startInstance(
    own,
    engines,
    {
      ROLE: "api",
      DATABASE_URL: before.doorsPostgres.through(engines.postgres.url),
      REDIS_URL: before.doorsRedis.through(engines.redis.url),
      KAFKA_BROKERS: before.doorsKafka.through(broker.broker),
    },
    { redisUrl: engines.redis.url, brokers: broker.broker },
  );
  return { ...engines, program, deciders, broker, before };
}

/** The process that decides the queues; there is one, or will be in a moment. */
export async function leadingDecider({ deciders }: PairPlace): Promise<Program> {
  let leading: Program | undefined;
  await until(async () => {
    for (const decider of deciders) {
      const leads = await metric(decider, "stampede_decider_leading").catch(() => 0);
      if (leads === 1) leading = decider;
    }
    return leading !== undefined;
  }, "a decider leads");
  return leading!;
}

/** A sale, and what its people were told in the course of the faults. */
export type PairSale = {
  readonly sale: Sale;
  /** Claims that are on their way, or answered. */
  readonly bursts: Promise<readonly Attempt[]>[];
};

/** Some people claim once, with connections that stand before the first of them is sent. */
export async function burst({ sale, bursts }: PairSale): Promise<void> {
  const ready = Promise.withResolvers<void>();
  const claims = claimAtOnce(sale, people(BURST), {
    spreadMs: BURST_SPREAD_MS,
    beforeSending: async () => ready.resolve(),
  });
  // Awaited at the end of the round; if the round ends before that, it has its own reason.
  claims.catch(ready.reject);
  bursts.push(claims);
  await ready.promise;
}

/**
 * Bursts, one after the other, until it has come to that. The next one only after the last was refused
 * altogether, which leaves nothing behind: a process may take a moment to see an engine that is back.
 */
export async function burstUntil(
  one: PairSale,
  reached: () => Promise<boolean> | boolean,
  what: string,
): Promise<void> {
  let refused = true;
  await until(async () => {
    if (refused) {
      refused = false;
      await burst(one);
      void one.bursts.at(-1)?.then(
        (told) => (refused = told.every(({ outcome }) => outcome === "refused")),
        // Told by whoever awaits it at the end of the round.
        () => undefined,
      );
    }
    return reached();
  }, `${one.sale.mechanism}: ${what}`);
}

/** All engines are there for the door, and a decider leads: whatever the last round has left. */
export async function untilWhole(place: PairPlace): Promise<void> {
  await until(async () => {
    const answer = await fetch(`${place.program.url}/readyz`);
    const { engines } = (await answer.json()) as { readonly engines: Record<string, string> };
    return Object.values(engines).every((state) => state === "up");
  }, "the door sees its engines");
  await leadingDecider(place);
}
