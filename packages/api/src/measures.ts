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

export function eventMeasures(directory: {
  readonly known: () => readonly { readonly event: CouponEvent }[];
}): Measure[] {
  const measure = (name: string, help: string, of: "issued" | "remaining"): Measure => ({
    name,
    help,
    type: "gauge",
    labels: ["event", "mechanism"],
    read: () =>
      directory.known().map(({ event }) => ({
        labels: { event: event.id, mechanism: event.mechanism },
        value: of === "issued" ? event.issued : event.limit - event.issued,
      })),
  });
  return [
    measure("stampede_event_issued", "Durable coupon issues of an event in use.", "issued"),
    measure("stampede_event_remaining", "Coupons left of an event in use.", "remaining"),
  ];
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
      "How long the oldest undecided record has waited.",
      () => facts().oldestUndecidedMs / 1_000,
    ),
    gauge("stampede_queues_halted", "Queues halted by this process.", () => facts().halted),
    {
      name: "stampede_decided_total",
      help: "Records decided by this process.",
      type: "counter",
      labels: [],
      read: () => [{ labels: {}, value: facts().decided }],
    },
  ];
}
