// The figures that are read from adapters when Prometheus asks.
import type { CouponEvent } from "@stampede/domain";
import type { Measure } from "./metrics.ts";
import type { EngineState } from "./routes/health.ts";

type Pool = {
  readonly usage: () => { readonly open: number; readonly idle: number; readonly waiting: number };
};

export function gauge(name: string, help: string, read: () => number): Measure {
  return { name, help, type: "gauge", labels: [], read: () => [{ labels: {}, value: read() }] };
}

/** Every event costs seven series: beyond so many, the latest used are told. */
export const EVENTS_TOLD_MAX = 200;

type Directory = {
  readonly known: (eventsMax: number) => readonly { readonly event: CouponEvent }[];
};

/** Of the events in use: ten minutes after the last use of one, its series end. */
export function eventMeasures(directory: Directory): Measure[] {
  const measure = (name: string, help: string, of: (event: CouponEvent) => number): Measure => ({
    name,
    help,
    type: "gauge",
    labels: ["event", "mechanism"],
    read: () =>
      directory.known(EVENTS_TOLD_MAX).map(({ event }) => ({
        labels: { event: event.id, mechanism: event.mechanism },
        value: of(event),
      })),
  });
  return [
    measure("stampede_event_limit", "Coupons of an event in use.", (event) => event.limit),
    measure(
      "stampede_event_issued",
      "Durable coupon issues of an event in use, by its counter.",
      (event) => event.issued,
    ),
    measure(
      "stampede_event_remaining",
      "Coupons left of an event in use.",
      (event) => event.limit - event.issued,
    ),
    measure(
      "stampede_event_opens_timestamp_seconds",
      "When an event in use opens or opened, Unix time.",
      (event) => event.opensAtMs / 1_000,
    ),
  ];
}

/** `last` gives what was last counted in the tables. */
export function issueCountMeasures(counts: {
  readonly last: () => readonly {
    readonly eventId: string;
    readonly mechanism: string;
    readonly couponIssues: number;
    readonly soldOutAtMs: number | null;
  }[];
}): Measure[] {
  return [
    {
      name: "stampede_event_coupon_issues",
      help: "Rows of an event in use, counted in the table every 5 s.",
      type: "gauge",
      labels: ["event", "mechanism"],
      read: () =>
        counts.last().map(({ eventId, mechanism, couponIssues }) => ({
          labels: { event: eventId, mechanism },
          value: couponIssues,
        })),
    },
    {
      name: "stampede_event_sold_out_timestamp_seconds",
      help: "When the last coupon of an event in use was issued, Unix time; absent before.",
      type: "gauge",
      labels: ["event", "mechanism"],
      read: () =>
        counts
          .last()
          .flatMap(({ eventId, mechanism, soldOutAtMs }) =>
            soldOutAtMs === null
              ? []
              : [{ labels: { event: eventId, mechanism }, value: soldOutAtMs / 1_000 }],
          ),
    },
  ];
}

/** `waiting` is null in a process that does not decide now, and so does not know. */
export function queueLengthMeasure(
  directory: Directory,
  waiting: () => ReadonlyMap<string, number> | null,
): Measure {
  return {
    name: "stampede_queue_length",
    help: "Undecided tickets of an event's line, told by the process that decides.",
    type: "gauge",
    labels: ["event"],
    read() {
      const lengths = waiting();
      if (lengths === null) return [];
      const told = new Map<string, number>();
      for (const { event } of directory.known(EVENTS_TOLD_MAX)) {
        if (event.mechanism === "kafka-queue") told.set(event.id, 0);
      }
      const longestFirst = [...lengths].sort(([, one], [, other]) => other - one);
      for (const [event, length] of longestFirst.slice(0, EVENTS_TOLD_MAX)) told.set(event, length);
      return [...told].map(([event, value]) => ({ labels: { event }, value }));
    },
  };
}

/** Told by the process that reconciles. */
export function redisDriftMeasure(
  drift: (eventsMax: number) => ReadonlyMap<string, number>,
): Measure {
  return {
    name: "stampede_redis_drift",
    help: "Winners in Redis without a row plus rows without a winner, when last compared; reservations under way are among them.",
    type: "gauge",
    labels: ["event"],
    read: () => [...drift(EVENTS_TOLD_MAX)].map(([event, value]) => ({ labels: { event }, value })),
  };
}

export function poolMeasures(pools: Readonly<Record<string, Pool>>): Measure[] {
  return [
    {
      name: "stampede_postgres_pool",
      help: "Connections open and idle, and callers waiting for one, by pool.",
      type: "gauge",
      labels: ["pool", "state"],
      read: () =>
        Object.entries(pools).flatMap(([pool, postgres]) =>
          Object.entries(postgres.usage()).map(([state, value]) => ({
            labels: { pool, state },
            value,
          })),
        ),
    },
  ];
}

export function engineMeasure(engines: Readonly<Record<string, () => EngineState>>): Measure {
  return {
    name: "stampede_engine_up",
    help: "1 while the engine answers; absent where it is off.",
    type: "gauge",
    labels: ["engine"],
    read: () =>
      Object.entries(engines)
        .filter(([, state]) => state() !== "off")
        .map(([engine, state]) => ({ labels: { engine }, value: state() === "up" ? 1 : 0 })),
  };
}

export function deciderMeasures(
  facts: () => {
    readonly leading: boolean;
    readonly lag: number;
    readonly oldestUndecidedMs: number;
    readonly decided: number;
    readonly halted: number;
  },
): Measure[] {
  return [
    gauge("stampede_decider_leading", "1 in the process that decides the queues.", () =>
      Number(facts().leading),
    ),
    gauge("stampede_decider_lag_tickets", "Undecided records of all queues.", () => facts().lag),
    gauge(
      "stampede_decider_oldest_undecided_seconds",
      "From the broker's time of appending the oldest undecided record to now by the database's clock.",
      () => facts().oldestUndecidedMs / 1_000,
    ),
    gauge("stampede_queues_halted", "Queues that are halted now.", () => facts().halted),
    {
      name: "stampede_decided_total",
      help: "Records decided by this process.",
      type: "counter",
      labels: [],
      read: () => [{ labels: {}, value: facts().decided }],
    },
  ];
}
