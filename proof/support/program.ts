import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { freePort, serverEnvironment, serverNodeFlags } from "@stampede/launcher";
import { missing, testEngine } from "@stampede/launcher/testing";
import pg from "pg";
import { killTree } from "../faults/support/processes.ts";

/** For each process: workers open one after the other where a machine is busy. */
const READY_MS_MAX = 90_000;
const STOP_MS_MAX = 12_000;
const POLL_MS = 50;
const OUTPUT_CHARACTERS_MAX = 8_000;
const MAIN = join("packages", "api", "src", "main.ts");
const REPOSITORY = join(import.meta.dirname, "..", "..");
/** Every start would compile the same again, which is most of what it takes. */
const COMPILE_CACHE = join(REPOSITORY, ".stampede", "compile-cache");

type Environment = Readonly<Record<string, string>>;

/** The real program, running for one test file on a database of its own. */
export type Program = {
  /** Where it listens, without a slash at the end. */
  readonly url: string;
  readonly adminToken: string;
  readonly databaseUrl: string;
  /** Redis and Kafka for the test's own eyes: past any proxy that the program goes through. */
  readonly redisUrl: string;
  readonly brokers: string;
  /** The running process; another one after `restart`. With several workers, their primary. */
  readonly pid: number;
  /** The end of what it has written to its log, its output and its errors. */
  readonly lastWords: () => string;
  /** SIGTERM, then SIGKILL after 12 s. Resolves with the exit code; null where a signal ended it. */
  readonly stop: () => Promise<number | null>;
  /** SIGKILL to all of it, at once. */
  readonly kill: () => Promise<void>;
  /** Starts it again on the same port, database and token, stopping it first where it runs. */
  readonly restart: () => Promise<void>;
};

export type ProgramOptions = {
  /** Holds the build to be started, if not this one. */
  readonly folder?: string;
  /** Told of everything that it prints. */
  readonly onOutput?: (text: string) => void;
  /** The engines for the test's own eyes, where the program goes through proxies or shares a database. */
  readonly direct?: Partial<Pick<Program, "databaseUrl" | "redisUrl" | "brokers">>;
};

/**
 * Starts `packages/api/src/main.ts` on a new database and waits until it is ready, every engine that
 * it was given included. `environment` adds to what it is started with; as a function it is told the
 * new database's address. It is stopped and its database dropped after the test.
 */
export async function startProgram(
  t: Pick<TestContext, "after">,
  environment: Environment | ((databaseUrl: string) => Environment) = {},
  { folder = REPOSITORY, onOutput = () => undefined, direct = {} }: ProgramOptions = {},
): Promise<Program> {
  const postgresUrl = testEngine("postgres");
  const name = `stampede_test_${randomBytes(6).toString("hex")}`;
  const databaseUrl = await createDatabase(postgresUrl, name);
  let running: Running | null = null;
  // One hook for both, since hooks run in the order they were added and the program comes second.
  t.after(async () => {
    if (running !== null) await stop(running);
    await dropDatabase(postgresUrl, name);
  });
  const port = await freePort();
  const adminToken = randomBytes(24).toString("hex");
  const url = `http://127.0.0.1:${port}`;
  const added: Environment = {
    DATABASE_URL: databaseUrl,
    ...(missing("redis") === false ? { REDIS_URL: testEngine("redis") } : {}),
    ...(missing("kafka") === false ? { KAFKA_BROKERS: testEngine("kafka") } : {}),
    HOST: "127.0.0.1",
    PORT: String(port),
    ADMIN_TOKEN: adminToken,
    LOG_LEVEL: "warn",
    // How `npm run faults -- --workers 2` starts it; nobody knows of workers otherwise.
    WORKERS: process.env["STAMPEDE_TEST_WORKERS"] ?? "1",
    ...(typeof environment === "function" ? environment(databaseUrl) : environment),
  };
  const start = (): Promise<Running> => run({ url, folder, onOutput }, added);
  let current = await start();
  running = current;
  return {
    url,
    adminToken,
    databaseUrl: direct.databaseUrl ?? databaseUrl,
    redisUrl: direct.redisUrl ?? added["REDIS_URL"] ?? "",
    brokers: direct.brokers ?? added["KAFKA_BROKERS"] ?? "",
    get pid() {
      return current.pid;
    },
    lastWords: () => current.lastWords(),
    stop: () => stop(current),
    kill: () => kill(current),
    async restart() {
      await stop(current);
      current = await start();
      running = current;
    },
  };
}

type Running = {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly lastWords: () => string;
};

async function run(
  {
    url,
    folder,
    onOutput,
  }: Required<Pick<ProgramOptions, "folder" | "onOutput">> & { readonly url: string },
  added: Environment,
): Promise<Running> {
  // Nothing of the tester's own shell may reach the program: a DATABASE_URL there names real data.
  const { PATH = "", HOME = "" } = process.env;
  // Nothing listens there before SIGUSR1: how tests see a program's heap (support/heap.ts of the faults).
  const flags = [...serverNodeFlags, "--inspect-port=127.0.0.1:0"];
  const child = spawn(process.execPath, [...flags, MAIN], {
    cwd: folder,
    env: { PATH, HOME, NODE_COMPILE_CACHE: COMPILE_CACHE, ...serverEnvironment, ...added },
    stdio: ["ignore", "pipe", "pipe"],
  });
  await once(child, "spawn");
  let output = "";
  const keep = (chunk: Buffer): void => {
    onOutput(chunk.toString());
    output = (output + chunk.toString()).slice(-OUTPUT_CHARACTERS_MAX);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  const running = { child, pid: child.pid ?? 0, lastWords: () => output };
  try {
    await ready(url, { child, msMax: READY_MS_MAX * Number(added["WORKERS"]) });
  } catch (cause) {
    await kill(running);
    throw new Error(`The program did not start. Its last words:\n${output}`, { cause });
  }
  return running;
}

/** Waits for /readyz, and for engines that are still coming up: a test needs its mechanism. */
async function ready(
  url: string,
  { child, msMax }: { readonly child: ChildProcess; readonly msMax: number },
): Promise<void> {
  const deadline = performance.now() + msMax;
  let last = "no answer from /readyz yet";
  while (performance.now() < deadline) {
    if (hasEnded(child)) {
      throw new Error(`It ended with ${child.exitCode ?? child.signalCode} before it was ready`);
    }
    try {
      const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(2_000) });
      last = `${response.status} ${await response.text()}`;
      if (response.status === 200 && !last.includes('"down"')) return;
    } catch (cause) {
      // It does not listen yet.
      last = String(cause);
    }
    await pause(POLL_MS);
  }
  throw new Error(`It was not ready within ${msMax} ms; /readyz last said: ${last}`);
}

async function stop(running: Running): Promise<number | null> {
  if (hasEnded(running.child)) return running.child.exitCode;
  running.child.kill("SIGTERM");
  const ended = once(running.child, "exit").then(() => true);
  const late = pause(STOP_MS_MAX, false, { ref: false });
  if (!(await Promise.race([ended, late]))) await kill(running);
  return running.child.exitCode;
}

/** With its workers: they would end by themselves, and might say something first. */
async function kill({ child, pid }: Running): Promise<void> {
  if (hasEnded(child)) return;
  const ended = once(child, "exit");
  await killTree(pid);
  await ended;
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

async function createDatabase(serverUrl: string, name: string): Promise<string> {
  await administer(serverUrl, `CREATE DATABASE ${name}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return url.href;
}

function dropDatabase(serverUrl: string, name: string): Promise<void> {
  // FORCE: the server may take a moment to notice that a killed program's connections are gone.
  return administer(serverUrl, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
}

async function administer(serverUrl: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: serverUrl });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
