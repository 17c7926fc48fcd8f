import type { EventId } from "../src/ids.ts";
import type { Mechanism } from "../src/model/coupon-event.ts";
import type { Issuers } from "../src/use-cases/claim-coupon.ts";
import type { EventStore, ProgressFeed } from "../src/ports.ts";
import { memoryEventStore } from "./event-store.ts";
import { memoryCouponIssuer } from "./coupon-issuer.ts";
import { memoryQueueIssuer } from "./queue-issuer.ts";
import { memoryProgressFeed } from "./progress-feed.ts";
import type { MemoryState } from "./state.ts";

/** The reference adapters, on maps: for tests of use cases and routes, without any I/O. */
export type MemorySale = {
  readonly store: EventStore;
  readonly issuers: Issuers;
  readonly feed: ProgressFeed;
  readonly findMechanism: (id: EventId) => Mechanism | null;
  /** Decides up to `count` queued claims of an event, as the decider would. */
  readonly decide: (id: EventId, count?: number) => void;
};

export function memorySale(options: {
  readonly nowMs: () => number;
  readonly drawCode: () => string;
  /** Whether a status question first decides the whole queue, as a fast decider would have. */
  readonly decideOnStatus?: boolean;
}): MemorySale {
  const { nowMs, drawCode } = options;
  const state: MemoryState = { entries: new Map(), nowMs, drawCode, listeners: new Map() };
  const immediate = memoryCouponIssuer(state);
  const queue = memoryQueueIssuer(state, { decideOnStatus: options.decideOnStatus ?? false });
  return {
    store: memoryEventStore(state),
    issuers: { "row-lock": immediate, "redis-counter": immediate, "kafka-queue": queue.issuer },
    feed: memoryProgressFeed(state),
    findMechanism: (id) => state.entries.get(id)?.event.mechanism ?? null,
    decide: queue.decide,
  };
}
