import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import {
  freePort,
  missing,
  serverEnvironment,
  serverNodeFlags,
  testEngine,
} from "@stampede/infrastructure/embedded";
import pg from "pg";

const READY_MS_MAX = 40_000;
const STOP_MS_MAX = 12_000;
const POLL_MS = 50;
const OUTPUT_CHARACTERS_MAX = 8_000;
const MAIN = join("packages", "api", "src", "main.ts");
const REPOSITORY = join(import.meta.dirname, "..", "..");

type Environment = Readonly<Record<string, string>>;

/** The real program, running for one test file on a database of its own. */
export type Program = {
  /** Where it listens, without a slash at the end. */
  readonly url: string;
  readonly adminToken: string;
  readonly databaseUrl: string;
  /** The running process; another one after `restart`. */
  readonly pid: number;
  /** The end of what it has written to its log, its output and its errors. */
  readonly lastWords: () => string;
  /** SIGTERM, then SIGKILL after 12 s. Resolves with the exit code; null where a signal ended it. */
  readonly stop: () => Promise<number | null>;
  /** SIGKILL, at once. */
  readonly kill: () => Promise<void>;
  /** Starts it again on the same port, database and token, stopping it first where it runs. */
  readonly restart: () => Promise<void>;
};

export type ProgramOptions = {
  /** Holds the build to be started, if not this one. */
  readonly folder?: string;
  /** Told of everything that it prints. */
  readonly onOutput?: (text: string) => void;
};

/**
 * Starts `packages/api/src/main.ts` on a new database and waits until it is ready, every engine that
 * it was given included. `environment` adds to what it is started with; as a function it is told the
 * new database's address. It is stopped and its database dropped after the test.
 */
export async function startProgram(
  t: Pick<TestContext, "after">,
  environment: Environment | ((databaseUrl: string) => Environment) = {},
  { folder = REPOSITORY, onOutput = () => undefined }: ProgramOptions = {},
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
  const start = (): Promise<Running> =>
    run(
      { url, folder, onOutput },
      {
        DATABASE_URL: databaseUrl,
        ...(missing("redis") === false ? { REDIS_URL: testEngine("redis") } : {}),
        ...(missing("kafka") === false ? { KAFKA_BROKERS: testEngine("kafka") } : {}),
        HOST: "127.0.0.1",
        PORT: String(port),
        ADMIN_TOKEN: adminToken,
        LOG_LEVEL: "warn",
        ...(typeof environment === "function" ? environment(databaseUrl) : environment),
      },
    );
  let current = await start();
  running = current;
  return {
    url,
    adminToken,
    databaseUrl,
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
  { url, folder, onOutput }: Required<ProgramOptions> & { readonly url: string },
  added: Environment,
): Promise<Running> {
  // Nothing of the tester's own shell may reach the program: a DATABASE_URL there names real data.
  const { PATH = "", HOME = "" } = process.env;
  // Nothing listens there before SIGUSR1: how tests see a program's heap (support/heap.ts of the faults).
  const flags = [...serverNodeFlags, "--inspect-port=127.0.0.1:0"];
  const child = spawn(process.execPath, [...flags, MAIN], {
    cwd: folder,
    env: { PATH, HOME, ...serverEnvironment, ...added },
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
    await ready(url, child);
  } catch (cause) {
    await kill(running);
    throw new Error(`The program did not start. Its last words:\n${output}`, { cause });
  }
  return running;
}

/** Waits for /readyz, and for engines that are still coming up: a test needs its mechanism. */
async function ready(url: string, child: ChildProcess): Promise<void> {
  const deadline = performance.now() + READY_MS_MAX;
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
  throw new Error(`It was not ready within ${READY_MS_MAX} ms; /readyz last said: ${last}`);
}

async function stop(running: Running): Promise<number | null> {
  if (hasEnded(running.child)) return running.child.exitCode;
  running.child.kill("SIGTERM");
  const ended = once(running.child, "exit").then(() => true);
  const late = pause(STOP_MS_MAX, false, { ref: false });
  if (!(await Promise.race([ended, late]))) await kill(running);
  return running.child.exitCode;
}

async function kill({ child }: Running): Promise<void> {
  if (hasEnded(child)) return;
  child.kill("SIGKILL");
  await once(child, "exit");
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
