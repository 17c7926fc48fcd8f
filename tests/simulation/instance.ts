// One process of the service, wired as packages/api/src/main.ts wires it, over simulated engines.
import type { CouponIssuer, EventId, EventStore, Mechanism } from "@stampede/domain";
import {
  Decider,
  EventDirectory,
  Generations,
  kafkaQueueIssuer,
  kafkaQueuePreparation,
  postgresEventStore,
  Reconciler,
  redisCounterIssuer,
  redisCounterPreparation,
  rowLockIssuer,
} from "@stampede/infrastructure";
import { openPostgresWith, openRedisWith } from "@stampede/infrastructure/seams";
import type { Postgres } from "@stampede/infrastructure/seams";
import { databaseDriver } from "./engines/database-client.ts";
import type { DatabaseLink } from "./engines/database-client.ts";
import { kafkaClient } from "./engines/kafka-client.ts";
import type { KafkaLink } from "./engines/kafka-client.ts";
import { redisClient } from "./engines/redis.ts";
import type { RedisLink } from "./engines/redis.ts";
import type { Random } from "./random.ts";
import type { Process, Scheduler } from "./scheduler.ts";

export type InstanceOptions = {
  readonly process: Process;
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly mechanism: Mechanism;
  readonly database: DatabaseLink;
  readonly redis: RedisLink;
  readonly kafka: KafkaLink;
  readonly onHalt: (eventId: EventId, reason: string) => void;
  readonly onError: (error: unknown) => void;
};

export type Instance = {
  readonly process: Process;
  readonly issuer: CouponIssuer;
  readonly store: EventStore;
};

const POOL = { connectionsMax: 6, waitersMax: 10_000, waitMsMax: 5_000 };
const ROW_LOCK_POOL = { connectionsMax: 4, waitersMax: 50_000, waitMsMax: 60_000 };

/** Rejects with `EngineFault` where an engine that it needs at the start is away. */
export async function startInstance(options: InstanceOptions): Promise<Instance> {
  const { process, scheduler, random, mechanism } = options;
  const time = scheduler.timeOf(process);
  const open = async (bounds: typeof POOL): Promise<Postgres> =>
    openPostgresWith(databaseDriver(options.database, process), { ...bounds, time });
  const postgres = await open(POOL);
  const directory = new EventDirectory(postgres);
  const work: Work = {
    ...options,
    time,
    postgres,
    directory,
    drawCode: random.code,
    drawToken: random.token,
  };
  if (mechanism === "row-lock") {
    const issuer = rowLockIssuer({ ...work, postgres: await open(ROW_LOCK_POOL) });
    return { process, issuer, store: postgresEventStore(postgres, {}) };
  }
  return mechanism === "redis-counter" ? startRedisCounter(work) : startKafkaQueue(work);
}

type Work = InstanceOptions & {
  readonly time: ReturnType<Scheduler["timeOf"]>;
  readonly postgres: Postgres;
  readonly directory: EventDirectory;
  readonly drawCode: () => string;
  readonly drawToken: () => string;
};

async function startRedisCounter(work: Work): Promise<Instance> {
  const { process, random, time, postgres, drawToken } = work;
  const redis = await openRedisWith(() => redisClient(work.redis, process), {
    time,
    random: random.next,
  });
  const generations = new Generations({ ...work, redis });
  const writing = { ...work, redis, generations };
  void new Reconciler(writing);
  const preparation = redisCounterPreparation({ redis, generations, drawToken });
  return {
    process,
    issuer: redisCounterIssuer(writing),
    store: postgresEventStore(postgres, { "redis-counter": preparation }),
  };
}

function startKafkaQueue(work: Work): Instance {
  const { process, postgres, time, drawToken } = work;
  const kafka = kafkaClient(work.kafka, process, time);
  const shared = { ...work, kafka };
  void new Decider(shared);
  return {
    process,
    issuer: kafkaQueueIssuer(shared),
    store: postgresEventStore(postgres, {
      "kafka-queue": kafkaQueuePreparation({ kafka, drawToken }),
    }),
  };
}
