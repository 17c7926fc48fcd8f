// What the primary and a worker tell each other, over the channel that Node opens between them.
import type { Registry } from "prom-client";
import type { DatabaseRoom } from "../listening.ts";

/** A registry with its values, as prom-client writes it. */
export type MetricsJson = Awaited<ReturnType<Registry["getMetricsAsJSON"]>>;

export type FromWorker =
  /** Everything is open, and it waits for its turn to listen. */
  | { readonly kind: "opened"; readonly room: DatabaseRoom }
  | { readonly kind: "listens"; readonly where: string }
  | { readonly kind: "cannot-start"; readonly why: string }
  /** Somebody asks this worker for /metrics. */
  | { readonly kind: "ask-all"; readonly id: number }
  | { readonly kind: "own-metrics"; readonly metrics: MetricsJson };

export type FromPrimary =
  | { readonly kind: "listen" }
  | { readonly kind: "stop" }
  | { readonly kind: "ask-own" }
  | { readonly kind: "all-metrics"; readonly id: number; readonly text: string };

/** As an argument, so that `ps` shows which processes are workers. */
export const WORKER_ARGUMENT = "worker";
