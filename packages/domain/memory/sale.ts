import type { EventId } from "../src/ids.ts";
import type { Mechanism } from "../src/model/mechanism.ts";
import type { Mechanisms } from "../src/use-cases/claim-coupon.ts";
import type { CouponIssuer, EventStore, ProgressFeed } from "../src/ports.ts";
import { memoryEventStore } from "./event-store.ts";
import { memoryCouponIssuer } from "./coupon-issuer.ts";
import { memoryMechanisms } from "./mechanisms.ts";
import { memoryQueueIssuer } from "./queue-issuer.ts";
import { memoryProgressFeed } from "./progress-feed.ts";
import type { MemoryState } from "./state.ts";
import { entryOf, notify } from "./state.ts";

/** The reference adapters, on maps: for tests of use cases and routes, without any I/O. */
export type MemorySale = {
  readonly store: EventStore;
  readonly mechanisms: Mechanisms;
  readonly feed: ProgressFeed;
  /** The issuer of one of them. */
  readonly issuerOf: (mechanism: Mechanism) => CouponIssuer;
  readonly findMechanism: (id: EventId) => Mechanism | null;
  /** Decides up to `count` queued claims of an event, as the decider would. */
  readonly decide: (id: EventId, count?: number) => void;
  /** Halts an event's line, as a log that lost records would. */
  readonly halt: (id: EventId) => void;
};

export function memorySale(options: {
  readonly nowMs: () => number;
  readonly drawCode: () => string;
  /** Whether a status question first decides the whole queue, as a fast decider would have. */
  readonly decideOnStatus?: boolean;
}): MemorySale {
  const { nowMs, drawCode } = options;
  const queueing = new Set(memoryMechanisms.filter(({ queues }) => queues).map(({ name }) => name));
  const queues = (mechanism: Mechanism): boolean => queueing.has(mechanism);
  const state: MemoryState = { entries: new Map(), nowMs, queues, drawCode, listeners: new Map() };
  const immediate = memoryCouponIssuer(state);
  const queue = memoryQueueIssuer(state, { decideOnStatus: options.decideOnStatus ?? false });
  const issuerOf = (mechanism: Mechanism): CouponIssuer =>
    queues(mechanism) ? queue.issuer : immediate;
  return {
    store: memoryEventStore(state),
    mechanisms: new Map(
      memoryMechanisms.map((facts) => [facts.name, { facts, issuer: issuerOf(facts.name) }]),
    ),
    feed: memoryProgressFeed(state),
    issuerOf,
    findMechanism: (id) => state.entries.get(id)?.event.mechanism ?? null,
    decide: queue.decide,
    halt(id) {
      entryOf(state, id).halted = true;
      notify(state, id);
    },
  };
}
