// A PostgreSQL and a Redis that belong to one test: it may kill, stop, damage and misconfigure them.
// They come back on the same port and folder, as after a crash of a machine's service.
import { readFileSync, readdirSync, rmSync, statSync, truncateSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { isAlive, startPostgres, startRedis } from "@stampede/infrastructure/embedded";
import type { RunningEngine } from "@stampede/infrastructure/embedded";
import pg from "pg";
import { startProgram } from "../../support/program.ts";
import type { Program } from "../../support/program.ts";
import { continueTree, killTree, stopTree } from "./processes.ts";

export type PrivateEngine = {
  readonly url: string;
  /** Its own folder, with its data and its log. */
  readonly folder: string;
  /** The running process; another one after every start. */
  readonly pid: number;
  /** In order: PostgreSQL's fast stop, which ends the sessions; Redis by SIGTERM. */
  readonly stop: () => Promise<void>;
  /** SIGKILL to it and its children. */
  readonly kill: () => Promise<void>;
  /** On the same port and folder; resolves when it answers. */
  readonly start: () => Promise<void>;
  /** SIGSTOP and SIGCONT to it and its children. */
  readonly freeze: () => void;
  readonly thaw: () => void;
};

export type PrivateEngines = { readonly postgres: PrivateEngine; readonly redis: PrivateEngine };

type Start = (dataFolder: string, port: number | undefined) => Promise<RunningEngine>;

type Environment = Readonly<Record<string, string>>;
type EnvironmentOf = (engines: PrivateEngines, instance: number) => Promise<Environment>;

export type PrivateOptions = {
  /** PostgreSQL's settings instead of the usual ones. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Added to what the program is started with; as a function, for each instance (from 0). */
  readonly environment?: Environment | EnvironmentOf;
  /** Instances of the program on the same engines; the first one leads. */
  readonly instances?: number;
  /** An existing folder for one engine's data: on a small disk, for instance. */
  readonly folders?: { readonly postgres?: string; readonly redis?: string };
};

/** A recovery makes every file durable once more: seconds on a busy machine. */
const RECOVERED_MS_MAX = 40_000;

const usualSettings = { max_connections: "100", track_commit_timestamp: "on" };

/** The real program on engines of its own; Kafka is the shared one. All is ended after the test. */
export async function startOnPrivateEngines(
  t: Pick<TestContext, "after">,
  options: PrivateOptions = {},
): Promise<PrivateEngines & { readonly program: Program; readonly others: readonly Program[] }> {
  const ends: (() => Promise<void>)[] = [];
  const end = async (): Promise<void> => {
    for (const one of ends.toReversed()) await one();
  };
  try {
    const engines = await startEngines(options, ends);
    const { environment = {} } = options;
    const next = async (instance: number): Promise<Program> => {
      const isFixed = typeof environment !== "function";
      const added = isFixed ? environment : await environment(engines, instance);
      return startInstance(t, engines, added);
    };
    const program = await next(0);
    const others: Program[] = [];
    while (others.length + 1 < (options.instances ?? 1)) others.push(await next(others.length + 1));
    // After the program's own hook: it stops before its engines do.
    t.after(end);
    return { ...engines, program, others };
  } catch (error) {
    await end();
    throw error;
  }
}

/** Only the engines; ended after the test, so whatever uses them has to be started before. */
export async function startPrivateEngines(
  t: Pick<TestContext, "after">,
  options: Pick<PrivateOptions, "settings"> = {},
): Promise<PrivateEngines> {
  const ends: (() => Promise<void>)[] = [];
  t.after(async () => {
    for (const one of ends.toReversed()) await one();
  });
  return startEngines(options, ends);
}

async function startEngines(
  { settings = usualSettings, folders = {} }: PrivateOptions,
  ends: (() => Promise<void>)[],
): Promise<PrivateEngines> {
  const dataFolder = await mkdtemp(join(tmpdir(), "stampede-fault-"));
  ends.push(async () => rm(dataFolder, { recursive: true, force: true }));
  // PostgreSQL runs as another user where this one is root, and has to pass through.
  await chmod(dataFolder, 0o711);
  const postgres = await privateEngine(folders.postgres ?? dataFolder, ends, async (folder, port) =>
    startPostgres({ dataFolder: folder, port, settings }),
  );
  const redis = await privateEngine(folders.redis ?? dataFolder, ends, async (folder, port) =>
    startRedis({ dataFolder: folder, port }),
  );
  return { postgres, redis };
}

/** One more instance of the program on these engines; the database is theirs. */
export async function startInstance(
  t: Pick<TestContext, "after">,
  { postgres, redis }: PrivateEngines,
  environment: Environment = {},
): Promise<Program> {
  const program = await startProgram(t, {
    DATABASE_URL: postgres.url,
    REDIS_URL: redis.url,
    ...environment,
  });
  // Its own database on the shared server stays empty and is dropped with it.
  return Object.defineProperty(program, "databaseUrl", { value: postgres.url });
}

async function privateEngine(
  dataFolder: string,
  ends: (() => Promise<void>)[],
  start: Start,
): Promise<PrivateEngine> {
  let running = await start(dataFolder, undefined);
  const { name, port, url } = running;
  const engine: PrivateEngine = {
    url,
    folder: join(dataFolder, name),
    get pid() {
      return running.pid;
    },
    stop: async () => running.stop(),
    async kill() {
      await killTree(running.pid);
      await running.exited;
    },
    async start() {
      running = await start(dataFolder, port);
    },
    freeze: () => stopTree(running.pid),
    thaw: () => continueTree(running.pid),
  };
  ends.push(async () => {
    // Whatever a failed test left stopped could not be ended in order.
    engine.thaw();
    await running.stop();
  });
  return engine;
}

/** Redis' append-only file, and how long it is now. */
export function appendOnlyFile({ folder }: PrivateEngine): {
  readonly path: string;
  readonly bytes: number;
} {
  // Redis 7 keeps a base and increments in a folder, 6 one file.
  const found = readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => /appendonly\.aof(?:\.\d+\.incr\.aof)?$/.test(name))
    .toSorted()
    .at(-1);
  if (found === undefined) throw new Error(`There is no append-only file in ${folder}`);
  const path = join(folder, found);
  return { path, bytes: statSync(path).size };
}

/** Cuts the append-only file of a Redis that does not run. */
export function truncateAppendOnlyFile(engine: PrivateEngine, bytes: number): void {
  truncateSync(appendOnlyFile(engine).path, bytes);
}

/** Removes all data of a Redis that does not run. */
export function emptyRedis({ folder }: PrivateEngine): void {
  for (const name of ["appendonly.aof", "appendonlydir"]) {
    rmSync(join(folder, name), { recursive: true, force: true });
  }
}

/** What the engine has written to its log. */
export function logOf({ folder }: PrivateEngine): string {
  return readFileSync(join(folder, "engine.log"), "utf8");
}

/** Waits until PostgreSQL takes sessions; starts it where it has given up in its recovery. */
export async function untilItAnswers(
  engine: PrivateEngine,
  msMax = RECOVERED_MS_MAX,
): Promise<void> {
  const endMs = performance.now() + msMax;
  for (;;) {
    const client = new pg.Client({ connectionString: engine.url });
    client.on("error", () => undefined);
    try {
      await client.connect();
      return;
    } catch (error) {
      // It recovers, or it has given up after all.
      if (!isAlive(engine.pid)) await engine.start();
      if (performance.now() > endMs) throw error;
      await pause(20);
    } finally {
      await client.end().catch(() => undefined);
    }
  }
}
