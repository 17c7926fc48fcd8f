// The composition root: the only file of this package that knows infrastructure. Opens in order and
// closes in reverse, also on a signal during start-up.
import type { CouponIssuer, EventId } from "@stampede/domain";
import * as infrastructure from "@stampede/infrastructure";
import type { EventPreparation, Postgres } from "@stampede/infrastructure";
import { pino } from "pino";
import type { Logger } from "pino";
import { buildApp } from "./app.ts";
import { readConfig } from "./config.ts";
import type { Config } from "./config.ts";
import { startIdleCollection } from "./idle-collection.ts";
import { devIdentity } from "./identity.ts";
import type { Identity } from "./identity.ts";
import { jwtIdentity } from "./jwt-identity.ts";
import { watchKeys } from "./jwt-keys.ts";
import { listenOverflowsMeasures } from "./listen-overflows.ts";
import { announce, listen } from "./listening.ts";
import {
  deciderMeasures,
  engineMeasure,
  EVENTS_TOLD_MAX,
  eventMeasures,
  issueCountMeasures,
  poolMeasures,
  queueLengthMeasure,
  redisDriftMeasure,
} from "./measures.ts";
import { makeMetrics } from "./metrics.ts";
import type { Measure, Metrics } from "./metrics.ts";
import { requestBudget } from "./request-budget.ts";
import type { EngineState } from "./routes/health.ts";
import { eventLoopShare, saturation } from "./saturation.ts";
import { drain, untilStopped } from "./shutdown.ts";

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
  /** What its claims queue for: the taken share, 0 to 1. */
  readonly resources: Readonly<Record<string, () => number>>;
};

const { drawCode, drawToken, systemTime: time } = infrastructure;

async function serve(config: Config, log: Logger, stack: AsyncDisposableStack): Promise<void> {
  // Before anything works: what is repaired at the start must be counted too.
  const metrics = makeMetrics();
  stack.defer(infrastructure.listenToFacts(metrics.facts));
  stack.defer(startIdleCollection());
  await infrastructure.migrate(config.databaseUrl, (line) => log.warn(line));
  const open = async (bounds: typeof POOL): Promise<Postgres> =>
    stack.use(await infrastructure.openPostgres({ url: config.databaseUrl, time, ...bounds }));
  const postgres = await open(POOL);
  const rowLockPostgres = await open(ROW_LOCK_POOL);
  const directory = new infrastructure.EventDirectory(postgres);
  stack.defer(() => directory.close());
  const onError = (err: unknown): void => log.error({ err }, "a failure that is nobody's answer");
  const context: Context = { config, log, stack, postgres, directory, onError };

  const redis = await wireRedis(context);
  const kafka = await wireKafka(context);
  const postgresState = (): EngineState => (postgres.isUp() ? "up" : "down");
  metrics.add([
    ...redis.measures,
    ...kafka.measures,
    engineMeasure({ postgres: postgresState, redis: redis.engine, kafka: kafka.engine }),
  ]);
  measure(metrics, context, rowLockPostgres, { ...redis.resources, ...kafka.resources });

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
      feed: infrastructure.directoryProgressFeed(directory, postgres),
      findMechanism: (id) => mechanismOf(directory, id),
      identity: wireIdentity(context),
      // With AUTH=dev a person costs nothing to make up, so a limit would stop nobody but load tests.
      admit: config.auth.kind === "jwt" ? requestBudget(() => performance.now()) : null,
      metrics,
      engines: () => ({
        postgres: postgresState(),
        redis: redis.engine(),
        kafka: kafka.engine(),
      }),
      isReady: () => postgres.isUp() || kafka.engine() === "up",
      isDraining: () => draining,
      takesClaims: config.role !== "decider",
      nowMs: () => postgres.clock.nowMs(),
      monotonicMs: time.nowMs,
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
  announce(app, config);
}

function wireIdentity({ config: { auth }, log, stack }: Context): Identity {
  if (auth.kind === "dev") return devIdentity(auth.adminToken);
  const { issuer, audience, keysPath, keySet } = auth;
  const keys = watchKeys({
    path: keysPath,
    keySet,
    onChange: (count) => log.warn({ keys: count }, "JWT_KEYS has changed: its keys count now"),
    onFault: (faults) =>
      log.error({ faults }, "JWT_KEYS cannot be used as it is: the last good keys stay"),
  });
  stack.defer(() => keys.close());
  // The issuer's times are told by its clock, so they are read by ours, not by the database's.
  return jwtIdentity({ issuer, audience, keys: keys.current, nowMs: Date.now });
}

/** What does not depend on which mechanisms are on. */
function measure(
  metrics: Metrics,
  { stack, postgres, directory }: Context,
  rowLockPostgres: Postgres,
  resources: Mechanism["resources"],
): void {
  const counts = infrastructure.issueCounts(postgres, directory, EVENTS_TOLD_MAX);
  stack.defer(() => counts.close());
  const full = saturation(
    {
      "postgres-pool": () => {
        const { open, idle } = postgres.usage();
        return (open - idle) / POOL.connectionsMax;
      },
      "row-lock-line": () => rowLockPostgres.usage().waiting / ROW_LOCK_POOL.waitersMax,
      ...resources,
      "event-loop": eventLoopShare(),
    },
    () => performance.now(),
  );
  stack.defer(() => full.close());
  metrics.add([
    ...eventMeasures(directory),
    ...issueCountMeasures(counts),
    ...poolMeasures({ shared: postgres, "row-lock": rowLockPostgres }),
    full.measure,
    ...listenOverflowsMeasures(),
  ]);
}

/** v2, or its stand-in where Redis is off. */
async function wireRedis(context: Context): Promise<Mechanism> {
  const { config, log, stack, postgres, directory, onError } = context;
  if (config.redisUrl === null) return engineOff("redis", context);
  const redis = stack.use(
    await infrastructure.openRedis({
      url: config.redisUrl,
      time,
      random: Math.random,
      onRefused: (error) => log.error(error.message),
    }),
  );
  const onOthers = (eventId: EventId, reason: string): void =>
    log.error({ eventId, reason }, "v2 refuses claims of this event here; see docs/operating.md");
  const work = { redis, postgres, directory, drawCode, drawToken };
  const generations = new infrastructure.Generations({ ...work, onOthers });
  const writing = { ...work, generations, onError };
  const reconciler = config.role === "api" ? null : new infrastructure.Reconciler(writing);
  if (reconciler !== null) stack.defer(async () => reconciler.close());
  const issuer = stack.use(infrastructure.redisCounterIssuer(writing));
  return {
    issuer,
    preparation: infrastructure.redisCounterPreparation({ redis, generations, drawToken }),
    engine: () => (redis.isUp() ? "up" : "down"),
    measures:
      reconciler === null ? [] : [redisDriftMeasure((eventsMax) => reconciler.drift(eventsMax))],
    resources: { "redis-line": () => issuer.saturation() },
  };
}

/** v3, or its stand-in where Kafka is off. */
async function wireKafka(context: Context): Promise<Mechanism> {
  const { config, log, stack, postgres, directory, onError } = context;
  if (config.kafkaBrokers === null) return engineOff("kafka", context);
  const kafka = stack.use(
    await infrastructure.openKafka({ brokers: config.kafkaBrokers.join(","), time }),
  );
  const onHalt = (eventId: EventId, reason: string): void =>
    log.fatal(
      { eventId, reason },
      "this event is HALTED: its log cannot be trusted; see docs/operating.md",
    );
  const shared = { kafka, postgres, directory, drawCode, onHalt, onError };
  const decider = config.role === "api" ? null : new infrastructure.Decider(shared);
  if (decider !== null) stack.defer(async () => decider.close());
  const issuer = stack.use(infrastructure.kafkaQueueIssuer(shared));
  return {
    issuer,
    preparation: infrastructure.kafkaQueuePreparation({ kafka, drawToken }),
    engine: () => (kafka.isUp() ? "up" : "down"),
    measures:
      decider === null
        ? []
        : [
            ...deciderMeasures(() => decider.facts()),
            queueLengthMeasure(directory, () => decider.waiting()),
          ],
    resources: { "kafka-line": () => issuer.saturation() },
  };
}

function engineOff(engine: "redis" | "kafka", { directory }: Context): Mechanism {
  return {
    issuer: infrastructure.engineOffIssuer(engine, directory),
    preparation: infrastructure.engineOffPreparation(engine),
    engine: () => "off",
    measures: [],
    resources: {},
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
