import { rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { StartFailed } from "./child.ts";
import { lockFolder } from "./data-folder.ts";
import { makeDemoEvents } from "./demo-events.ts";
import { endLeftover } from "./engine-home.ts";
import type { EngineName, RunningEngine, StartEngine } from "./engine.ts";
import { EngineUnavailable, engineTitles } from "./engine.ts";
import { startKafka } from "./kafka.ts";
import { launchRecords } from "./launch-records.ts";
import type { EngineUrls, LaunchRecords, Running } from "./launch-records.ts";
import { freePort, isPortFree } from "./ports.ts";
import { startPostgres } from "./postgres.ts";
import { errorCode } from "./processes.ts";
import { startRedis } from "./redis.ts";
import { LaunchRefused } from "./refused.ts";
import { endLeftoverServer, serverUrl, startServer } from "./server.ts";
import type { RunningServer, ServerPlan } from "./server.ts";
import { supervise } from "./supervise.ts";
import { isRefusedFile, roomHint, sentence } from "./system-errors.ts";

export type LaunchPlan = {
  readonly scriptPath: string;
  readonly dataFolder: string;
  readonly cacheFolder?: string | undefined;
  /** Wipes the data folder first; the downloaded engines stay. */
  readonly fresh: "wipe" | "keep";
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly adminToken: string;
  /** Demo events are made with the token, which only counts where AUTH is "dev". */
  readonly auth: string;
  /** Engines that somebody else runs. */
  readonly external: EngineUrls;
  /** What the server inherits besides what is decided here. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly report: (line: string) => void;
  /** Ends the launch at any moment, the running service included; see `Launched.stop`. */
  readonly signal: AbortSignal;
};

export type Launched = {
  readonly url: string;
  readonly adminToken: string;
  /** Ends the server, then Kafka, Redis and PostgreSQL, and removes the records. */
  stop(): Promise<void>;
};

// In the order in which the service needs them; they are stopped in the reverse one.
export const engineNames = ["postgres", "redis", "kafka"] as const;

const starts: Readonly<Record<EngineName, StartEngine>> = {
  postgres: startPostgres,
  redis: startRedis,
  kafka: startKafka,
};

const stopSignals = { postgres: "SIGINT", redis: "SIGTERM", kafka: "SIGTERM" } as const;
const noteAgainMs = 2_000;
const variables = { postgres: "DATABASE_URL", redis: "REDIS_URL", kafka: "KAFKA_BROKERS" } as const;

/** Starts engines and server, keeps them running, and leaves nothing behind when it is stopped. */
export async function launch(plan: LaunchPlan): Promise<Launched> {
  const folder = resolve(plan.dataFolder);
  // Whatever fails or is interrupted from here on, what has been started is ended in reverse.
  await using stack = new AsyncDisposableStack();
  const records = await takeFolder(plan, folder, stack);
  const port = await choosePort(plan);
  records.claim(serverUrl(plan.host, port));

  const { engines, urls } = await startEngines(plan, folder, stack);
  const serverPlan = {
    scriptPath: plan.scriptPath,
    host: plan.host,
    port,
    environment: serverEnvironment(plan, urls),
    logPath: join(folder, "server.log"),
    pidPath: join(folder, "server.pid"),
    report: plan.report,
  };
  const server = stack.use(await firstServer(plan, serverPlan));
  const access = { url: server.url, adminToken: plan.adminToken };
  const running: Running = { server, engines };
  const remember = remembering(() => records.write(running, urls, access), plan.report, stack);
  remember();

  // Why something ends on a full disk it says in its log, if it found room to.
  const report = (line: string): void => plan.report(line + roomHint(folder));
  superviseEngines(plan, folder, { running, remember, report, stack });
  const supervised = supervise({
    title: "The server",
    running: server,
    signal: plan.signal,
    restart: (signal) => startServer({ ...serverPlan, signal }),
    report,
    onChange: (next) => {
      running.server = next;
      remember();
    },
  });
  stack.defer(() => supervised.stop());
  if (plan.auth === "dev") await makeDemoEvents(access, plan.report, plan.signal);
  plan.signal.throwIfAborted();
  const ending = stack.move();
  return { ...access, stop: () => ending.disposeAsync() };
}

/** Kills at once what the files of the data folder name: the last resort of an impatient person. */
export async function killAll(dataFolder: string): Promise<void> {
  await endLeftoverServer(join(dataFolder, "server.pid"), "SIGKILL");
  for (const name of engineNames) await endLeftover(name, join(dataFolder, name), "SIGKILL");
}

/** Locks the data folder, ends what a killed launcher left running on it, wipes it if asked to. */
export async function takeFolder(
  plan: LaunchPlan,
  folder: string,
  stack: AsyncDisposableStack,
): Promise<LaunchRecords> {
  const lock = lockFolder(folder);
  stack.defer(() => lock.release());
  const records = launchRecords(folder);
  stack.defer(() => records.remove());
  await endLeftoverServer(join(folder, "server.pid"), "SIGTERM");
  for (const name of engineNames.toReversed()) {
    await endLeftover(name, join(folder, name), stopSignals[name]);
    // By name, so that a mistaken --data never wipes a folder full of other things.
    if (plan.fresh === "wipe") rmSync(join(folder, name), { recursive: true, force: true });
  }
  if (plan.fresh === "wipe") {
    for (const file of ["server.log", "server.log.1"]) rmSync(join(folder, file), { force: true });
  }
  records.remove();
  return records;
}

type Engines = Record<EngineName, RunningEngine | null>;

export async function startEngines(
  plan: LaunchPlan,
  folder: string,
  stack: AsyncDisposableStack,
): Promise<{ engines: Engines; urls: EngineUrls }> {
  const engines: Engines = { postgres: null, redis: null, kafka: null };
  const urls = { ...plan.external };
  const failing = new AbortController();
  const signal = AbortSignal.any([plan.signal, failing.signal]);
  const startOne = async (name: EngineName): Promise<void> => {
    if (urls[name] !== null) {
      plan.report(`${engineTitles[name]}: the one in ${variables[name]}.`);
      return;
    }
    const bornMs = performance.now();
    const { cacheFolder, report } = plan;
    try {
      const engine = await starts[name]({ dataFolder: folder, cacheFolder, report, signal });
      engines[name] = engine;
      urls[name] = engine.url;
      report(`${engineTitles[name]} is ready (${seconds(bornMs)} s).`);
    } catch (error) {
      if (name === "postgres" || isAbort(error) || isRefusedFile(error)) {
        // No use in waiting for the others, perhaps for a whole download.
        failing.abort();
        throw error;
      }
      const why =
        error instanceof EngineUnavailable ? `${error.reason} ${error.remedy}` : sentence(error);
      report(`${engineTitles[name]} is off, and every mechanism that needs it: ${why}`);
    }
  };
  const outcomes = await Promise.allSettled(engineNames.map(startOne));
  for (const name of engineNames) stack.use(engines[name]);
  plan.signal.throwIfAborted();
  // The first failure aborted the others, whose own errors say nothing.
  const failures = outcomes.filter((outcome) => outcome.status === "rejected");
  const failure = failures.find((outcome) => !isAbort(outcome.reason)) ?? failures[0];
  if (failure?.reason instanceof EngineUnavailable || failure?.reason instanceof StartFailed) {
    throw new LaunchRefused(failure.reason.message + roomHint(folder), { cause: failure.reason });
  }
  if (failure !== undefined) throw failure.reason;
  return { engines, urls };
}

type Remembered = {
  readonly running: Running;
  readonly remember: () => void;
  readonly stack: AsyncDisposableStack;
};

/** Writes now, and where the disk refuses it again and again: what runs goes on running meanwhile. */
function remembering(
  write: () => void,
  report: (line: string) => void,
  stack: AsyncDisposableStack,
): () => void {
  let failed = false;
  const remember = (): void => {
    try {
      write();
      failed = false;
    } catch (error) {
      if (!failed) report(`Cannot note what runs. ${sentence(error)}`);
      failed = true;
    }
  };
  const timer = setInterval(() => failed && remember(), noteAgainMs);
  stack.defer(() => clearInterval(timer));
  return remember;
}

function superviseEngines(
  plan: LaunchPlan,
  dataFolder: string,
  state: Remembered & { readonly report: (line: string) => void },
): void {
  const { running, remember, report, stack } = state;
  const { cacheFolder } = plan;
  for (const name of engineNames) {
    const engine = running.engines[name];
    if (engine === null) continue;
    const supervised = supervise({
      title: engineTitles[name],
      running: engine,
      signal: plan.signal,
      restart: (signal) => starts[name]({ dataFolder, cacheFolder, port: engine.port, signal }),
      report,
      onChange: (next) => {
        running.engines[name] = next;
        remember();
      },
    });
    stack.defer(() => supervised.stop());
  }
}

async function firstServer(plan: LaunchPlan, serverPlan: ServerPlan): Promise<RunningServer> {
  const bornMs = performance.now();
  try {
    const server = await startServer({ ...serverPlan, signal: plan.signal });
    plan.report(`The server is ready (${seconds(bornMs)} s).`);
    return server;
  } catch (error) {
    if (!(error instanceof StartFailed)) throw error;
    // Free when we looked, taken since.
    if (error.lastLines.includes("EADDRINUSE")) throw portTaken(plan);
    throw new LaunchRefused(error.message, { cause: error });
  }
}

export function serverEnvironment(
  plan: LaunchPlan,
  urls: EngineUrls,
): Record<string, string | undefined> {
  return {
    ...plan.environment,
    // An undefined one is not handed on: an engine that is off has no variable.
    DATABASE_URL: urls.postgres ?? undefined,
    REDIS_URL: urls.redis ?? undefined,
    KAFKA_BROKERS: urls.kafka ?? undefined,
    ADMIN_TOKEN: plan.adminToken,
  };
}

async function choosePort(plan: LaunchPlan): Promise<number> {
  const { host, port } = plan;
  try {
    if (port === 0) return await freePort(host);
    if (await isPortFree(port, host)) return port;
  } catch (cause) {
    throw new LaunchRefused(noSuchAddress(plan, errorCode(cause) ?? String(cause)), { cause });
  }
  throw portTaken(plan);
}

function noSuchAddress({ host, port }: LaunchPlan, code: string): string {
  if (code === "EACCES") {
    return `PORT is ${port}, which only root may take (${code}). Take one above 1023: PORT=3000 npm start`;
  }
  return (
    `HOST is "${host}", and this machine cannot listen there (${code}). npm start listens where HOST ` +
    "says, and conda and some shells set it to a name of theirs: HOST=127.0.0.1 npm start"
  );
}

function portTaken(plan: LaunchPlan): LaunchRefused {
  return new LaunchRefused(
    `Port ${plan.port} on ${plan.host} is taken by another program. Stop that one, or take ` +
      `another port: PORT=${plan.port + 1} npm start`,
  );
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === "AbortError";
}

function seconds(sinceMs: number): string {
  return ((performance.now() - sinceMs) / 1000).toFixed(1);
}
