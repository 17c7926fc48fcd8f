// One process of the service, wired as packages/api/src/serve.ts wires it, over simulated engines.
import type { CouponIssuer, EventId, EventStore, Mechanism } from "@stampede/domain";
import { EventDirectory } from "@stampede/infrastructure/src/rows/event-directory.ts";
import { postgresEventStore } from "@stampede/infrastructure/src/rows/event-store.ts";
import type { EventPreparation } from "@stampede/infrastructure/src/rows/event-store.ts";
import type { Foundation, PoolBounds } from "@stampede/infrastructure/src/foundation.ts";
import { openPostgresWith } from "@stampede/infrastructure/src/engines/postgres/open.ts";
import { openRedisWith } from "@stampede/infrastructure/src/engines/redis/open.ts";
import type { Postgres } from "@stampede/infrastructure/src/engines/postgres/open.ts";
import { databaseDriver } from "./engines/database-client.ts";
import type { DatabaseLink } from "./engines/database-client.ts";
import { kafkaClient } from "./engines/kafka-client.ts";
import type { KafkaLink } from "./engines/kafka-client.ts";
import { redisClient } from "./engines/redis.ts";
import type { RedisLink } from "./engines/redis.ts";
import { descriptionOf } from "./plan.ts";
import type { Random } from "./random.ts";
import type { Process, Scheduler } from "./scheduler.ts";

export type InstanceOptions = {
  readonly process: Process;
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly mechanisms: readonly Mechanism[];
  readonly database: DatabaseLink;
  readonly redis: RedisLink;
  readonly kafka: KafkaLink;
  readonly onHalt: (eventId: EventId, reason: string) => void;
  readonly onError: (error: unknown) => void;
};

export type Instance = {
  readonly process: Process;
  readonly issuers: ReadonlyMap<Mechanism, CouponIssuer>;
  readonly store: EventStore;
};

/** As many connections as a simulated sale can use, so that a schedule stays small. */
const POOL: PoolBounds = { connectionsMax: 6, waitersMax: 10_000, waitMsMax: 5_000 };

/** Rejects with `EngineFault` where an engine that it needs at the start is away. */
export async function startInstance(options: InstanceOptions): Promise<Instance> {
  const { process, scheduler, random, onHalt, onError } = options;
  const descriptions = options.mechanisms.map(descriptionOf);
  const needs = new Set(descriptions.flatMap((description) => description.needs));
  const time = scheduler.timeOf(process);
  const pools = new Map<string, Postgres>();
  const openPool = async (name: string, bounds: PoolBounds): Promise<Postgres> => {
    const driver = databaseDriver(options.database, process);
    const pool = await openPostgresWith(driver, { ...bounds, time });
    pools.set(name, pool);
    return pool;
  };
  const postgres = await openPool("shared", POOL);
  const foundation: Foundation = {
    role: "all",
    time,
    drawCode: random.code,
    drawToken: random.token,
    hear: {
      warning: () => undefined,
      error: () => undefined,
      trouble: ({ eventId, reason, fatal }) => {
        if (fatal) onHalt(eventId, reason);
      },
      failure: onError,
    },
    // A simulated process dies with its sale: nothing is closed.
    stack: new AsyncDisposableStack(),
    postgres,
    decisions: postgres,
    poolSizes: { shared: 6, decisions: 6, rowLock: 4 },
    connections: { max: 16, allowed: 100, others: 0 },
    poolTaken: () => 0,
    // No simulated sale lasts so long that its log goes.
    keepLogMs: null,
    directory: new EventDirectory(postgres),
    redis: needs.has("redis")
      ? await openRedisWith(() => redisClient(options.redis, process), {
          time,
          random: random.next,
        })
      : null,
    kafka: needs.has("kafka") ? kafkaClient(options.kafka, process, time) : null,
    openPool,
    pools,
    engines: () => ({ postgres: "up", redis: "up", kafka: "up" }),
  };
  const issuers = new Map<Mechanism, CouponIssuer>();
  const preparations = new Map<Mechanism, EventPreparation | null>();
  for (const description of descriptions) {
    const { issuer, preparation } = await description.open(foundation);
    issuers.set(description.name, issuer);
    preparations.set(description.name, preparation);
  }
  const store = postgresEventStore(postgres, (name) => preparations.get(name) ?? null);
  return { process, issuers, store };
}
