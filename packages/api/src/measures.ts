// The figures that are read from adapters when Prometheus asks.
import type { CouponEvent, EngineState } from "@stampede/domain";
import type { Measure } from "./metrics.ts";

type Pool = {
  readonly usage: () => { readonly open: number; readonly idle: number; readonly waiting: number };
};

type Directory = {
  readonly known: (eventsMax: number) => readonly { readonly event: CouponEvent }[];
};

/** Of at most so many events in use, the latest used: ten minutes after the last use its series end. */
export function eventMeasures(directory: Directory, eventsMax: number): Measure[] {
  const measure = (name: string, help: string, of: (event: CouponEvent) => number): Measure => ({
    name,
    help,
    type: "gauge",
    labels: ["event", "mechanism"],
    read: () =>
      directory.known(eventsMax).map(({ event }) => ({
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
    {
      ...measure(
        "stampede_event_remaining",
        "Coupons left of an event in use.",
        (event) => event.limit - event.issued,
      ),
      ofWorkers: "min",
    },
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

export function poolMeasures(pools: ReadonlyMap<string, Pool>): Measure[] {
  return [
    {
      name: "stampede_postgres_pool",
      help: "Connections open and idle, and callers waiting for one, by pool.",
      type: "gauge",
      ofWorkers: "sum",
      labels: ["pool", "state"],
      read: () =>
        [...pools].flatMap(([pool, postgres]) =>
          Object.entries(postgres.usage()).map(([state, value]) => ({
            labels: { pool, state },
            value,
          })),
        ),
    },
  ];
}

export function engineMeasure(engines: () => Readonly<Record<string, EngineState>>): Measure {
  return {
    name: "stampede_engine_up",
    help: "1 while the engine answers; absent where it is off.",
    type: "gauge",
    ofWorkers: "min",
    labels: ["engine"],
    read: () =>
      Object.entries(engines())
        .filter(([, state]) => state !== "off")
        .map(([engine, state]) => ({ labels: { engine }, value: state === "up" ? 1 : 0 })),
  };
}
