// What all mechanisms stand on: the engines of this process, the directory, and what closes them.
import type { Engine, EngineState, EventId } from "@stampede/domain";
import { openRedis } from "./engines/redis/open.ts";
import type { Redis, RedisTls } from "./engines/redis/open.ts";
import { readAddress } from "./engines/postgres/address.ts";
import { withAdvice } from "./engines/postgres/advice.ts";
import { pgDriver } from "./engines/postgres/driver.ts";
import { openPostgres } from "./engines/postgres/open.ts";
import type { PoolOptions, Postgres } from "./engines/postgres/open.ts";
import { refuseSharedSessions } from "./engines/postgres/session-look.ts";
import { readConnectionRoom } from "./engines/postgres/settings.ts";
import { oncePerMinute } from "./engines/time.ts";
import type { Time } from "./engines/time.ts";
import type { KafkaAccess } from "./engines/kafka/access.ts";
import { openKafka } from "./kafka-queue/log/open.ts";
import type { Kafka } from "./kafka-queue/log/open.ts";
import { EventDirectory } from "./rows/event-directory.ts";
import { migrate } from "./rows/migrate.ts";

/** What this process does: "api" takes claims and leaves the background work to others. */
type Role = "all" | "api" | "decider";

/** What is told while nobody asks. */
type Hear = {
  readonly warning: (message: string) => void;
  readonly error: (message: string) => void;
  /** An event that is not served here, or by nobody, until somebody acts. */
  readonly trouble: (
    trouble: { readonly eventId: EventId; readonly reason: string; readonly fatal: boolean },
    message: string,
  ) => void;
  /** What failed in the background, with its cause. */
  readonly failure: (error: unknown) => void;
};

/** Connections to PostgreSQL of one process, at most. */
type PoolSizes = {
  /** What is read, and work in the background. */
  readonly shared: number;
  /** The transactions that decide for many claims (v2, v3, v4). */
  readonly decisions: number;
  /** Those of single claims (v1). */
  readonly rowLock: number;
};

export type FoundationOptions = {
  readonly databaseUrl: string;
  readonly poolSizes: PoolSizes;
  /** Null: this engine is off. */
  readonly redisUrl: string | null;
  readonly redisTls?: RedisTls;
  readonly kafkaBrokers: readonly string[] | null;
  readonly kafkaAccess: KafkaAccess;
  readonly role: Role;
  /** How long the log of an event that is over is kept; null: for ever. */
  readonly keepLogMs: number | null;
  readonly time: Time;
  readonly random: () => number;
  readonly drawCode: () => string;
  readonly drawToken: () => string;
  readonly hear: Hear;
  readonly stack: ClosingStack;
};

/** Closes what was opened, in reverse; the name tells of one that does not end. */
type ClosingStack = {
  use<Value extends AsyncDisposable | Disposable>(value: Value, name: string): Value;
  defer(close: () => Promise<void> | void, name: string): void;
};

export type Foundation = Pick<
  FoundationOptions,
  "role" | "poolSizes" | "keepLogMs" | "time" | "drawCode" | "drawToken" | "hear" | "stack"
> & {
  /** For reading and for work in the background. */
  readonly postgres: Postgres;
  /** For transactions that decide: whoever reads never stands in a line before them. */
  readonly decisions: Postgres;
  readonly directory: EventDirectory;
  readonly redis: Redis | null;
  readonly kafka: Kafka | null;
  /** A pool of one's own, told under `name` and closed with all others. */
  readonly openPool: (name: string, bounds: PoolBounds) => Promise<Postgres>;
  /** All pools of this process, by name. */
  readonly pools: ReadonlyMap<string, Postgres>;
  /**
   * Connections to PostgreSQL: that this process may open, that the server allows in all, and that
   * others had open when this process started.
   */
  readonly connections: { readonly max: number; readonly allowed: number; readonly others: number };
  /** The taken share of the fuller one of the two pools, 0 to 1. */
  readonly poolTaken: () => number;
  readonly engines: () => Readonly<Record<Engine, EngineState>>;
};

export type PoolBounds = Omit<PoolOptions, "time">;

/** Leadership holds one session outside the pools for each duty. */
const SESSIONS_MAX = 2;

const WAITING = { waitersMax: 10_000, waitMsMax: 5_000 };

/** All connections to PostgreSQL that a process of this role may open. */
export function connectionsMaxOf(role: Role, sizes: PoolSizes): number {
  const doors = role === "decider" ? 0 : sizes.rowLock;
  const duties = role === "api" ? 0 : SESSIONS_MAX;
  return sizes.shared + sizes.decisions + doors + duties;
}

/** Brings the schema up to this build's and opens the engines. Rejects where one is unsafe. */
export async function openFoundation(options: FoundationOptions): Promise<Foundation> {
  const { databaseUrl: url, poolSizes, time, hear, stack } = options;
  const { unused } = readAddress(url);
  if (unused.length > 0) {
    hear.warning(`DATABASE_URL says ${unused.join(", ")}, which means nothing here`);
  }
  await refuseUnusable(url);
  await migrate(url, hear.warning);
  const pools = new Map<string, Postgres>();
  const openPool = async (name: string, bounds: PoolBounds): Promise<Postgres> => {
    const [first] = pools.values();
    const beside = first === undefined ? {} : { beside: first };
    const onDemoted = (): void => {
      for (const [other, pool] of pools) if (other !== name) pool.renew();
    };
    const options = { url, time, onDemoted, ...beside, ...bounds };
    const pool = stack.use(await openPostgres(options), `the pool "${name}" of PostgreSQL`);
    pools.set(name, pool);
    return pool;
  };
  const postgres = await openPool("shared", { ...WAITING, connectionsMax: poolSizes.shared });
  const decisions = await openPool("decisions", {
    ...WAITING,
    connectionsMax: poolSizes.decisions,
  });
  const connections = await roomFor(connectionsMaxOf(options.role, poolSizes), { postgres, pools });
  const directory = new EventDirectory(postgres);
  stack.defer(() => directory.close(), "the directory of events");
  const redis = await openRedisOf(options);
  const kafka = await openKafkaOf(options);
  return {
    ...options,
    postgres,
    decisions,
    directory,
    redis,
    kafka,
    openPool,
    pools,
    connections,
    poolTaken: () =>
      Math.max(taken(postgres, poolSizes.shared), taken(decisions, poolSizes.decisions)),
    engines: () => ({
      postgres: stateOf(postgres),
      redis: stateOf(redis),
      kafka: stateOf(kafka),
    }),
  };
}

async function openRedisOf(options: FoundationOptions): Promise<Redis | null> {
  const { redisUrl: url, redisTls: tls, time, random, hear, stack } = options;
  if (url === null) return null;
  const tell = oncePerMinute(time, hear.error);
  const onRefused = (error: Error): void => tell(error.message);
  const redis = await openRedis({ url, tls, time, random, onRefused, onWarning: hear.warning });
  return stack.use(redis, "the connection to Redis");
}

async function openKafkaOf(options: FoundationOptions): Promise<Kafka | null> {
  const { kafkaBrokers, kafkaAccess: access, time, hear: tell, stack } = options;
  if (kafkaBrokers === null) return null;
  const kafka = await openKafka({ brokers: kafkaBrokers.join(","), access, time, tell });
  return stack.use(kafka, "the connections to Kafka");
}

async function refuseUnusable(url: string): Promise<void> {
  try {
    await refuseSharedSessions(pgDriver(url));
  } catch (error) {
    throw withAdvice(error);
  }
}

async function roomFor(
  max: number,
  { postgres, pools }: Pick<Foundation, "postgres" | "pools">,
): Promise<Foundation["connections"]> {
  const { allowed, open } = await readConnectionRoom(postgres);
  const own = [...pools.values()].reduce((sum, pool) => sum + pool.usage().open, 0);
  return { max, allowed, others: open - own };
}

function taken(pool: Postgres, connectionsMax: number): number {
  const { open, idle } = pool.usage();
  return (open - idle) / connectionsMax;
}

function stateOf(engine: { isUp(): boolean } | null): EngineState {
  if (engine === null) return "off";
  return engine.isUp() ? "up" : "down";
}
