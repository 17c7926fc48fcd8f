// The composition root: the only file of this package that knows infrastructure. Opens in order and
// closes in reverse, also on a signal during start-up.
import type { CouponIssuer, EventId } from "@stampede/domain";
import * as infrastructure from "@stampede/infrastructure";
import type { EventPreparation, Postgres } from "@stampede/infrastructure";
import type { FastifyInstance } from "fastify";
import { pino } from "pino";
import type { Logger } from "pino";
import { buildApp } from "./app.ts";
import { readConfig } from "./config.ts";
import type { Config } from "./config.ts";
import { devIdentity } from "./identity.ts";
import { batchHistogram, makeMetrics } from "./metrics.ts";
import { deciderMeasures, engineMeasure, eventMeasures, poolMeasures } from "./measures.ts";
import type { Measure } from "./metrics.ts";
import type { EngineState } from "./routes/health.ts";
import { drain, untilStopped } from "./shutdown.ts";

/** Node's default of 511 overflows when ten thousand connect at one instant. */
const BACKLOG = 4_096;
const POOL = { connectionsMax: 12, waitersMax: 10_000, waitMsMax: 5_000 };
/**
 * More connections make one hot row slower: while one holds the lock, the next already waits for it.
 * Ten thousand claims at one instant take about ten seconds; the rest is for slow machines.
 */
const ROW_LOCK_POOL = { connectionsMax: 4, waitersMax: 50_000, waitMsMax: 60_000 };

type Context = {
  readonly config: Config;
  readonly log: Logger;
  /** Closes what was opened, in reverse. */
  readonly stack: AsyncDisposableStack;
  readonly postgres: Postgres;
  readonly directory: infrastructure.EventDirectory;
  readonly onError: (error: unknown) => void;
};

/** One mechanism as this process was started. */
type Mechanism = {
  readonly issuer: CouponIssuer;
  readonly preparation: EventPreparation;
  readonly engine: () => EngineState;
  readonly measures: readonly Measure[];
};

const { drawCode } = infrastructure;

async function serve(config: Config, log: Logger, stack: AsyncDisposableStack): Promise<void> {
  await infrastructure.migrate(config.databaseUrl, (line) => log.warn(line));
  const open = async (bounds: typeof POOL): Promise<Postgres> =>
    stack.use(await infrastructure.openPostgres({ url: config.databaseUrl, ...bounds }));
  const postgres = await open(POOL);
  const rowLockPostgres = await open(ROW_LOCK_POOL);
  const directory = new infrastructure.EventDirectory(postgres);
  stack.defer(() => directory.close());
  const onError = (err: unknown): void => log.error({ err }, "a failure that is nobody's answer");
  const context: Context = { config, log, stack, postgres, directory, onError };

  const redis = await wireRedis(context);
  const kafka = await wireKafka(context);
  const postgresState = (): EngineState => (postgres.isUp() ? "up" : "down");
  const metrics = makeMetrics([
    ...redis.measures,
    ...kafka.measures,
    ...eventMeasures(directory),
    ...poolMeasures({ shared: postgres, "row-lock": rowLockPostgres }),
    engineMeasure({ postgres: postgresState, redis: redis.engine, kafka: kafka.engine }),
  ]);
  const observeBatch = batchHistogram(metrics.registry);
  infrastructure.onBatch(({ kind, size }) => observeBatch(kind, size));

  let draining = false;
  const app = await buildApp(
    {
      store: infrastructure.postgresEventStore(postgres, {
        "redis-counter": redis.preparation,
        "kafka-queue": kafka.preparation,
      }),
      issuers: {
        "row-lock": infrastructure.rowLockIssuer({
          postgres: rowLockPostgres,
          directory,
          drawCode,
        }),
        "redis-counter": redis.issuer,
        "kafka-queue": kafka.issuer,
      },
      feed: infrastructure.directoryProgressFeed(directory, postgres.clock),
      findMechanism: (id) => mechanismOf(directory, id),
      identity: devIdentity(config.adminToken),
      metrics,
      engines: () => ({
        postgres: postgresState(),
        redis: redis.engine(),
        kafka: kafka.engine(),
      }),
      isReady: () => postgres.isUp() || kafka.engine() === "up",
      isDraining: () => draining,
      takesClaims: config.role !== "decider",
      monotonicMs: () => performance.now(),
      random: Math.random,
    },
    log,
  );
  stack.defer(async () => {
    draining = true;
    await drain(app, () => {
      rowLockPostgres.turnAway();
      postgres.turnAway();
    });
  });
  await listen(app, config);
  announce(config, app);
}

/** v2, or its stand-in where Redis is off. */
async function wireRedis(context: Context): Promise<Mechanism> {
  const { config, log, stack, postgres, directory, onError } = context;
  if (config.redisUrl === null) return engineOff("redis", context);
  const redis = stack.use(
    await infrastructure.openRedis({
      url: config.redisUrl,
      onRefused: (error) => log.error(error.message),
    }),
  );
  const generations = new infrastructure.Generations({ redis, postgres, directory, drawCode });
  const writing = { redis, postgres, directory, drawCode, generations, onError };
  if (config.role !== "api") {
    const reconciler = new infrastructure.Reconciler(writing);
    stack.defer(async () => reconciler.close());
  }
  return {
    issuer: stack.use(infrastructure.redisCounterIssuer(writing)),
    preparation: infrastructure.redisCounterPreparation({ redis, generations }),
    engine: () => (redis.isUp() ? "up" : "down"),
    measures: [
      {
        name: "stampede_reconciler_repairs_total",
        help: "What the reconciler of redis-counter had to repair, by kind.",
        type: "counter",
        labels: ["kind"],
        read: () =>
          Object.entries(generations.repairs).map(([kind, value]) => ({ labels: { kind }, value })),
      },
    ],
  };
}

/** v3, or its stand-in where Kafka is off. */
async function wireKafka(context: Context): Promise<Mechanism> {
  const { config, log, stack, postgres, directory, onError } = context;
  if (config.kafkaBrokers === null) return engineOff("kafka", context);
  const kafka = stack.use(
    await infrastructure.openKafka({ brokers: config.kafkaBrokers.join(",") }),
  );
  const onHalt = (eventId: EventId, reason: string): void =>
    log.fatal(
      { eventId, reason },
      "this event is HALTED: its log cannot be trusted; see docs/operating.md",
    );
  const shared = { kafka, postgres, directory, drawCode, onHalt, onError };
  const decider = config.role === "api" ? null : new infrastructure.Decider(shared);
  if (decider !== null) stack.defer(async () => decider.close());
  return {
    issuer: stack.use(infrastructure.kafkaQueueIssuer(shared)),
    preparation: infrastructure.kafkaQueuePreparation(kafka),
    engine: () => (kafka.isUp() ? "up" : "down"),
    measures: decider === null ? [] : deciderMeasures(() => decider.facts()),
  };
}

function engineOff(engine: "redis" | "kafka", { directory }: Context): Mechanism {
  return {
    issuer: infrastructure.engineOffIssuer(engine, directory),
    preparation: infrastructure.engineOffPreparation(engine),
    engine: () => "off",
    measures: [],
  };
}

/** An event's mechanism never changes, so whatever was known of it once is enough. */
function mechanismOf(
  directory: infrastructure.EventDirectory,
  id: EventId,
): ReturnType<Parameters<typeof buildApp>[0]["findMechanism"]> {
  const known = directory.peek(id);
  if (known !== null) return known.event.mechanism;
  return Promise.resolve(directory.fresh(id)).then((read) => read?.event.mechanism ?? null);
}

async function listen(app: FastifyInstance, { host, port }: Config): Promise<void> {
  try {
    await app.listen({ host, port, backlog: BACKLOG });
  } catch (error) {
    if (!(error instanceof Error) || !("code" in error) || error.code !== "EADDRINUSE") throw error;
    throw new Error(
      `port ${port} of ${host} is in use: end what listens there, or set PORT to another one`,
      { cause: error },
    );
  }
}

function announce(config: Config, app: FastifyInstance): void {
  const where = app.listeningOrigin;
  process.stdout.write(`Stampede listens on ${where} (role ${config.role})\n`);
  process.stdout.write(
    "AUTH=dev: EVERYBODY IS WHO THEIR X-User-Id HEADER SAYS. For development and load tests only.\n",
  );
  if (config.adminTokenIsNew) {
    process.stdout.write(`The operator's token, made for this run: ${config.adminToken}\n`);
  }
}

const reading = readConfig(process.env);
if (!reading.ok) {
  process.stderr.write(
    `Stampede cannot start:\n${reading.faults.map((fault) => `- ${fault}\n`).join("")}`,
  );
  process.exitCode = 2;
} else {
  const log = pino({ level: reading.config.logLevel });
  const stack = new AsyncDisposableStack();
  const stopped = untilStopped(log);
  try {
    await Promise.race([serve(reading.config, log, stack), stopped]);
    await stopped;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    log.debug({ err: error }, "cannot go on");
    process.stderr.write(`Stampede cannot start: ${why}\n`);
    process.exitCode = 1;
  }
  await stack.disposeAsync();
  // A signal in the middle of start-up leaves behind what was being opened just then.
  process.exit();
}
