// The process that starts the workers, keeps them running and ends with them. It opens no engine and takes
// no claim.
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import type { Config } from "../config.ts";
import { addressesOf, announce, errorOfListening } from "../listening.ts";
import type { DatabaseRoom } from "../listening.ts";
import { untilStopped } from "../shutdown.ts";
import { WORKER_ARGUMENT } from "./channel.ts";
import type { FromPrimary, FromWorker, MetricsJson } from "./channel.ts";
import { metricsOfAll } from "./metrics-of-all.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** `why` where it has said that it cannot start. */
type End = {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly why: string | null;
};

type Worker = {
  readonly pid: number | undefined;
  readonly opened: Promise<DatabaseRoom>;
  readonly listens: Promise<string>;
  readonly ended: Promise<End>;
  readonly ownMetrics: () => Promise<MetricsJson>;
  readonly tell: (message: FromPrimary) => void;
  readonly kill: () => void;
};

/** A worker stops before that by itself (STOP_MS_MAX of shutdown.ts), and all of it within ten seconds. */
const KILL_MS_MAX = 9_800;
/** The workers of a primary that was killed are gone within this time. */
const PORT_MS_MAX = 3_000;
const POLL_MS = 50;
/** Before a worker takes the place of one that died: doubled each time, until one has lived for a while. */
const PAUSE_MS_MIN = 100;
const PAUSE_MS_MAX = 5_000;
const GOOD_LIFE_MS = 30_000;

/** Resolves with the exit code when all of it is over. */
export async function runPrimary(
  config: Config,
  {
    environment,
    log,
    cannotStart,
  }: {
    readonly environment: Environment;
    readonly log: Logger;
    readonly cannotStart: (why: string) => Promise<void>;
  },
): Promise<number> {
  const stopping = new AbortController();
  const stopped = (async () => {
    await untilStopped(log);
    stopping.abort();
  })();
  const workers = new Set<Worker>();
  /** Those that people reach: who opens, or could not, is none of them. */
  const serving = new Set<Worker>();
  const metrics = metricsOfAll({ startedAtSeconds: Date.now() / 1_000 - process.uptime() });
  let port: number;
  try {
    port = await portToShare(config);
  } catch (error) {
    await cannotStart(error instanceof Error ? error.message : String(error));
    return 1;
  }
  const ofWorker: Environment = {
    ...environment,
    PORT: String(port),
    // Drawn here where it is not set: all workers must know the same one.
    ...(config.auth.kind === "dev" ? { ADMIN_TOKEN: config.auth.adminToken } : {}),
  };
  const start = (): Worker => {
    const worker = startWorker(ofWorker, { readAll: () => metrics.read(serving), log });
    workers.add(worker);
    void follow(worker);
    return worker;
  };
  const follow = async (worker: Worker): Promise<void> => {
    await Promise.race([worker.listens, worker.ended]);
    serving.add(worker);
    await worker.ended;
    workers.delete(worker);
    serving.delete(worker);
    metrics.ended(worker);
  };

  try {
    const { room, where } = await startAll(config.workers, { start, signal: stopping.signal });
    announce(where, config, { room, log });
    for (const worker of workers) void keep(worker, { start, log, signal: stopping.signal });
    await stopped;
  } catch (error) {
    if (!stopping.signal.aborted) {
      stopping.abort();
      await cannotStart(error instanceof Error ? error.message : String(error));
      await stopAll(workers, log);
      return (error instanceof WorkerEnded && error.end.code) || 1;
    }
  }
  return stopAll(workers, log);
}

/** Ended before it was of use; the message is its own, where it told one. */
class WorkerEnded extends Error {
  readonly end: End;

  constructor(end: End) {
    super(end.why ?? `a worker ended ${howOf(end)}`);
    this.end = end;
  }
}

function howOf({ code, signal }: End): string {
  return signal === null ? `with exit code ${code}` : `by ${signal}`;
}

/**
 * The first one opens alone: a fault is told once, the schema is migrated once, and what others have open
 * is not our own. Nobody is let in before all are ready.
 */
async function startAll(
  count: number,
  { start, signal }: { readonly start: () => Worker; readonly signal: AbortSignal },
): Promise<{ readonly room: DatabaseRoom; readonly where: string }> {
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(new Error("stopped while it started")));
  });
  const reached = async <Value>(worker: Worker, step: Promise<Value>): Promise<Value> =>
    Promise.race([step, aborted, worker.ended.then((end) => Promise.reject(new WorkerEnded(end)))]);

  const first = start();
  const room = await reached(first, first.opened);
  const all = [first, ...Array.from({ length: count - 1 }, start)];
  await Promise.all(all.map(async (worker) => reached(worker, worker.opened)));
  for (const worker of all) worker.tell({ kind: "listen" });
  await Promise.all(all.map(async (worker) => reached(worker, worker.listens)));
  return { room, where: await first.listens };
}

/** Whenever it ends without having been told to, another one takes its place. */
async function keep(
  worker: Worker,
  how: { readonly start: () => Worker; readonly log: Logger; readonly signal: AbortSignal },
): Promise<void> {
  const { start, log, signal } = how;
  let [current, pauseMs] = [worker, PAUSE_MS_MIN];
  for (;;) {
    const bornMs = performance.now();
    const end = await current.ended;
    if (signal.aborted) return;
    if (performance.now() - bornMs >= GOOD_LIFE_MS) pauseMs = PAUSE_MS_MIN;
    const about = { worker: current.pid, pauseMs, ...(end.why === null ? {} : { why: end.why }) };
    log.error(about, `a worker ended ${howOf(end)}: another one takes its place`);
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX);
    const next = start();
    void next.opened.then(() => next.tell({ kind: "listen" }));
    void next.listens.then(() => log.warn({ worker: next.pid }, "a new worker takes claims"));
    current = next;
  }
}

async function stopAll(workers: ReadonlySet<Worker>, log: Logger): Promise<number> {
  const all = [...workers];
  for (const worker of all) worker.tell({ kind: "stop" });
  const timer = setTimeout(() => {
    for (const worker of workers) {
      log.error({ worker: worker.pid }, "a worker did not end in time: it is killed");
      worker.kill();
    }
  }, KILL_MS_MAX);
  const ends = await Promise.all(all.map(async ({ ended }) => ended));
  clearTimeout(timer);
  return ends.every(({ code }) => code === 0) ? 0 : 1;
}

function startWorker(
  environment: Environment,
  { readAll, log }: { readonly readAll: () => Promise<string>; readonly log: Logger },
): Worker {
  const [main = ""] = process.argv.slice(1);
  // Structured, and not JSON: a figure may be NaN.
  const child = fork(main, [WORKER_ARGUMENT], { env: environment, serialization: "advanced" });
  const opened = Promise.withResolvers<DatabaseRoom>();
  const listens = Promise.withResolvers<string>();
  let asked: PromiseWithResolvers<MetricsJson> | null = null;
  let why: string | null = null;
  const tell = (message: FromPrimary): void => {
    // To one that has just ended it is lost; its end is told by `ended`.
    if (child.connected) child.send(message, () => undefined);
  };
  child.on("message", (message: FromWorker) => {
    if (message.kind === "opened") opened.resolve(message.room);
    else if (message.kind === "listens") listens.resolve(message.where);
    else if (message.kind === "cannot-start") ({ why } = message);
    else if (message.kind === "own-metrics") {
      asked?.resolve(message.metrics);
      asked = null;
    } else {
      readAll().then(
        (text) => tell({ kind: "all-metrics", id: message.id, text }),
        // Who asked is told that it takes too long.
        (err: unknown) => log.error({ err }, "the metrics of the workers cannot be added up"),
      );
    }
  });
  return {
    pid: child.pid,
    opened: opened.promise,
    listens: listens.promise,
    ended: endOf(child).then((end) => ({ ...end, why: why ?? end.why })),
    async ownMetrics() {
      // One that hangs is asked once, and not again by everybody who wants to know.
      if (asked === null) {
        asked = Promise.withResolvers<MetricsJson>();
        tell({ kind: "ask-own" });
      }
      return asked.promise;
    },
    tell,
    kill: () => void child.kill("SIGKILL"),
  };
}

async function endOf(child: ChildProcess): Promise<End> {
  return new Promise((resolve) => {
    child.once("exit", (code, signal) => resolve({ code, signal, why: null }));
    // It could not even be started: no memory, or no process left.
    child.on("error", (error) => {
      if (child.pid === undefined) resolve({ code: 1, signal: null, why: error.message });
    });
  });
}

/**
 * Processes that share a port would also share it with another program of ours that is there already:
 * so it is looked at here, as one that shares nothing. Gives the port, also where it was 0.
 */
async function portToShare({ host, port }: Config): Promise<number> {
  const [first = host, ...others] = await addressesOf(host);
  const taken = await freePortAt({ host: first, port });
  for (const other of others) await freePortAt({ host: other, port: taken });
  return taken;
}

async function freePortAt({ host, port }: Pick<Config, "host" | "port">): Promise<number> {
  const endMs = performance.now() + PORT_MS_MAX;
  for (;;) {
    const server = createServer();
    try {
      return await new Promise<number>((resolve, reject) => {
        server.once("error", reject);
        server.listen({ host, port }, () => {
          const address = server.address();
          const taken = typeof address === "object" && address !== null ? address.port : port;
          server.close(() => resolve(taken));
        });
      });
    } catch (error) {
      const told = errorOfListening(error, { host, port });
      if (told === error || performance.now() > endMs) throw told;
      await sleep(POLL_MS);
    }
  }
}
