// The worker's end of the channel.
import type { Logger } from "pino";
import type { Registry } from "prom-client";
import type { Host } from "../host.ts";
import { untilStopped } from "../shutdown.ts";
import { WORKER_ARGUMENT } from "./channel.ts";
import type { FromPrimary, FromWorker } from "./channel.ts";

/** Longer than the primary waits for a worker that is silent. */
const METRICS_MS_MAX = 3_000;

export const isWorker = (): boolean =>
  process.argv[2] === WORKER_ARGUMENT && process.send !== undefined;

export function workerHost(log: Logger): Host {
  const stopped = Promise.withResolvers<void>();
  const mayListen = Promise.withResolvers<void>();
  const asked = new Map<number, (text: string) => void>();
  let asks = 0;
  let own: Registry | null = null;

  process.on("message", (message: FromPrimary) => {
    if (message.kind === "listen") mayListen.resolve();
    else if (message.kind === "stop") stopped.resolve();
    else if (message.kind === "ask-own") void tellOwn(own, log);
    else asked.get(message.id)?.(message.text);
  });
  // As if killed with its primary: whoever comes next must find the port free.
  process.once("disconnect", () => process.exit(1));
  // A terminal's Ctrl-C reaches the whole group, and the primary hands it on: once is enough. Alone it
  // drains this worker, and another takes its place.
  void untilStopped(log).then(stopped.resolve);

  return {
    stopped: stopped.promise,
    async mayListen(room) {
      await send({ kind: "opened", room });
      return mayListen.promise;
    },
    listens: (where) => void send({ kind: "listens", where }),
    cannotStart: (why) => send({ kind: "cannot-start", why }),
    metricsReader(registry) {
      own = registry;
      return async () => {
        const id = (asks += 1);
        const { promise, resolve, reject } = Promise.withResolvers<string>();
        const tooLong = new Error("the primary does not tell the metrics of all workers");
        const timer = setTimeout(() => reject(tooLong), METRICS_MS_MAX);
        asked.set(id, resolve);
        try {
          await send({ kind: "ask-all", id });
          return await promise;
        } finally {
          clearTimeout(timer);
          asked.delete(id);
        }
      };
    },
  };
}

async function tellOwn(own: Registry | null, log: Logger): Promise<void> {
  try {
    const metrics = await own?.getMetricsAsJSON();
    await send({ kind: "own-metrics", metrics: metrics ?? [] });
  } catch (err) {
    // The primary counts this worker as silent.
    log.error({ err }, "the metrics of this worker cannot be read");
  }
}

async function send(message: FromWorker): Promise<void> {
  // It fails only where the primary is gone, and then this process ends: see "disconnect".
  await new Promise<void>((resolve) => process.send?.(message, () => resolve()));
}
