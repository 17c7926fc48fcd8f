import type {
  EngineState,
  EventStore,
  FindMechanism,
  Mechanism,
  ProgressFeed,
  RunningMechanism,
} from "@stampede/domain";
import type { Identity } from "./identity.ts";
import type { Metrics } from "./metrics.ts";
import type { Admit } from "./request-budget.ts";

/** What streams may cost in one process. */
export type StreamBounds = {
  /** One more watcher is turned away. */
  readonly streamsMax: number;
  /** A watcher that has not read this much is dropped; it finds its place again by reconnecting. */
  readonly unreadBytesMax: number;
};

/** A mechanism, and whether it can take claims now. */
type ServedMechanism = RunningMechanism & { readonly available: () => boolean };

/** Everything the HTTP edge needs; `serve.ts` gives real engines, tests give memory. */
export type Dependencies = {
  readonly store: EventStore;
  /** By name, in the order in which they are shown. */
  readonly mechanisms: ReadonlyMap<Mechanism, ServedMechanism>;
  readonly feed: ProgressFeed;
  readonly findMechanism: FindMechanism;
  readonly identity: Identity;
  /** Null: people may ask as often as they like. */
  readonly admit: Admit | null;
  readonly metrics: Metrics;
  readonly engines: () => Readonly<Record<"postgres" | "redis" | "kafka", EngineState>>;
  /** True once a shutdown has begun: new requests are turned away. */
  readonly isDraining: () => boolean;
  /** False in a process that only decides: it has no routes for people and operators. */
  readonly takesClaims: boolean;
  /** Epoch milliseconds by the clock that judges windows. */
  readonly nowMs: () => number;
  /** Pages of which origins may ask; nearly always none. */
  readonly corsOrigins: ReadonlySet<string>;
  /** How long a connection that says nothing is kept open for the next request. */
  readonly keepAliveMs: number;
  /** What streams may cost; tests make it small. */
  readonly streamBounds?: StreamBounds;
  /** Milliseconds, monotonic. */
  readonly monotonicMs: () => number;
  /** A number in [0, 1), to spread retries. */
  readonly random: () => number;
};
