// A PostgreSQL and a Redis that belong to one test: it may kill, stop, damage and misconfigure them.
// They come back on the same port and folder, as after a crash of a machine's service.
import { readFileSync, readdirSync, rmSync, statSync, truncateSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { isAlive, startPostgres, startRedis } from "@stampede/launcher";
import type { RunningEngine } from "@stampede/launcher";
import pg from "pg";
import { startProgram } from "../../support/program.ts";
import type { Program, ProgramOptions } from "../../support/program.ts";
import type { Cleaning } from "./cleaning.ts";
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

/** The real program on engines of its own; Kafka is the shared one. */
export async function startOnPrivateEngines(
  t: Cleaning,
  options: PrivateOptions = {},
): Promise<PrivateEngines & { readonly program: Program; readonly others: readonly Program[] }> {
  const { environment = {}, instances = 1 } = options;
  const engines = await startPrivateEngines(t, options);
  const programs: Program[] = [];
  while (programs.length < instances) {
    const isFixed = typeof environment !== "function";
    const added = isFixed ? environment : await environment(engines, programs.length);
    programs.push(await startInstance(t, engines, added));
  }
  const [program, ...others] = programs;
  return { ...engines, program: program!, others };
}

/** Only the engines; whatever uses them is started later, and so ends before them. */
export async function startPrivateEngines(
  t: Cleaning,
  { settings = usualSettings, folders = {} }: PrivateOptions = {},
): Promise<PrivateEngines> {
  const dataFolder = await mkdtemp(join(tmpdir(), "stampede-fault-"));
  t.after(async () => rm(dataFolder, { recursive: true, force: true }));
  // PostgreSQL runs as another user where this one is root, and has to pass through.
  await chmod(dataFolder, 0o711);
  const postgres = await privateEngine(t, folders.postgres ?? dataFolder, async (folder, port) =>
    startPostgres({ dataFolder: folder, port, settings }),
  );
  const redis = await privateEngine(t, folders.redis ?? dataFolder, async (folder, port) =>
    startRedis({ dataFolder: folder, port }),
  );
  return { postgres, redis };
}

/** One more instance of the program on these engines; the database is theirs. */
export async function startInstance(
  t: Cleaning,
  { postgres, redis }: PrivateEngines,
  environment: Environment = {},
  direct: ProgramOptions["direct"] = {},
): Promise<Program> {
  const urls = { DATABASE_URL: postgres.url, REDIS_URL: redis.url };
  // Its own database on the shared server stays empty and is dropped with it.
  const eyes = { direct: { databaseUrl: postgres.url, ...direct } };
  return startProgram(t, { ...urls, ...environment }, eyes);
}

async function privateEngine(
  t: Cleaning,
  dataFolder: string,
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
  t.after(async () => {
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
