// What an operator asks of a running sale, in Prometheus' names and base units.
import type { Claimed, ClaimCouponRefusal, Mechanism, Result } from "@stampede/domain";
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";
import { factMetrics } from "./fact-metrics.ts";
import type { FactMetrics } from "./fact-metrics.ts";

export type ClaimOutcome =
  | Claimed["kind"]
  | ClaimCouponRefusal["kind"]
  | "unavailable"
  | "outcome-unknown"
  | "error";

export type Metrics = {
  readonly registry: Registry;
  /** What /metrics answers: with several workers, of all of them. */
  readonly read: () => Promise<string>;
  readonly claimAnswered: (mechanism: Mechanism, outcome: ClaimOutcome, seconds: number) => void;
  readonly streams: { readonly inc: () => void; readonly dec: () => void };
  /** To be given what adapters publish. */
  readonly facts: FactMetrics;
  /** Adds figures that are read from adapters; all series of them at once. */
  readonly add: (measures: readonly Measure[]) => void;
};

type MetricsReader = (own: Registry) => Metrics["read"];

/** Read when Prometheus asks: `read` gives the values by label. */
export type Measure = {
  readonly name: string;
  readonly help: string;
  readonly type: "gauge" | "counter";
  /** What several workers make of their values: unless told, counters add up, and of gauges the highest. */
  readonly ofWorkers?: "sum" | "min" | "max";
  readonly labels: readonly string[];
  readonly read: () => readonly {
    readonly labels: Readonly<Record<string, string>>;
    readonly value: number;
  }[];
};

/** 1 ms to 30 s: beyond every deadline of an engine. */
const LATENCY_BUCKETS_SECONDS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30,
];
/** A claim may wait for a minute in the line at the row lock, and then for its own transaction. */
const CLAIM_BUCKETS_SECONDS = [...LATENCY_BUCKETS_SECONDS, 45, 60, 90];

const FULLEST_WORKER = new Set(["process_open_fds", "process_max_fds"]);

const OUTCOMES = [
  "issued",
  "replayed",
  "queued",
  "sold-out",
  "not-open",
  "closed",
  "paused",
  "wrong-mechanism",
  "no-such-event",
  "unavailable",
  "outcome-unknown",
  "error",
] as const satisfies readonly ClaimOutcome[];

/** Of these mechanisms and kinds of batches every series starts at 0. */
export function makeMetrics(of: {
  readonly mechanisms: readonly Mechanism[];
  readonly batches: readonly string[];
  /** Where others' figures are told with this process's own. */
  readonly readerOf?: MetricsReader | null;
}): Metrics {
  const { mechanisms, batches, readerOf } = of;
  const registry = new Registry();
  addDefaultMetrics(registry);
  const latency = new Histogram({
    name: "stampede_claim_duration_seconds",
    help: "From a claim's arrival to its answer.",
    labelNames: ["mechanism"],
    buckets: CLAIM_BUCKETS_SECONDS,
    registers: [registry],
  });
  const streams = new Gauge({
    name: "stampede_streams",
    help: "Watchers of event streams.",
    registers: [registry],
  });
  // Counted in plain numbers: finding a series by its labels costs more than adding one to it.
  // From the start: Prometheus cannot see the increase of a series that was not there before, and of a
  // rush that is over within one scrape it would see nothing at all.
  const counts = new Map<Mechanism, Map<ClaimOutcome, number>>(
    mechanisms.map((mechanism) => [mechanism, new Map(OUTCOMES.map((outcome) => [outcome, 0]))]),
  );
  for (const mechanism of mechanisms) latency.zero({ mechanism });
  registerMeasure(registry, {
    name: "stampede_claims_total",
    help: "Claims answered, by mechanism and outcome.",
    type: "counter",
    labels: ["mechanism", "outcome"],
    read: () =>
      [...counts].flatMap(([mechanism, outcomes]) =>
        [...outcomes].map(([outcome, value]) => ({ labels: { mechanism, outcome }, value })),
      ),
  });
  const durations = new Map<Mechanism, ReturnType<typeof latency.labels>>();
  return {
    registry,
    read: readerOf?.(registry) ?? (() => registry.metrics()),
    claimAnswered(mechanism, outcome, seconds) {
      const outcomes = counts.get(mechanism) ?? new Map<ClaimOutcome, number>();
      counts.set(mechanism, outcomes);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      const duration = durations.get(mechanism) ?? latency.labels({ mechanism });
      durations.set(mechanism, duration);
      duration.observe(seconds);
    },
    streams: { inc: () => streams.inc(), dec: () => streams.dec() },
    facts: factMetrics(registry, LATENCY_BUCKETS_SECONDS, batches),
    add(measures) {
      for (const measure of measures) registerMeasure(registry, measure);
    },
  };
}

export function outcomeOf(answer: Result<Claimed, ClaimCouponRefusal>): ClaimOutcome {
  return answer.ok ? answer.value.kind : answer.refusal.kind;
}

/**
 * Those of the process. Of several workers' event loops the library would tell the average, and of their
 * descriptors the sum: one that hangs, or is near its own limit, must not hide behind the others.
 */
function addDefaultMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry });
  for (const metric of registry.getMetricsAsArray()) {
    const ofTheWorst = metric.aggregator === "average" || FULLEST_WORKER.has(metric.name);
    if (ofTheWorst) metric.aggregator = "max";
  }
}

function registerMeasure(registry: Registry, measure: Measure): void {
  const { name, help, labels, read, type } = measure;
  const aggregator = measure.ofWorkers ?? (type === "gauge" ? "max" : "sum");
  const configuration = { name, help, labelNames: [...labels], registers: [], aggregator };
  const metric =
    type === "gauge"
      ? new Gauge({
          ...configuration,
          collect() {
            this.reset();
            for (const { labels: at, value } of read()) this.set(at, value);
          },
        })
      : new Counter({
          ...configuration,
          collect() {
            this.reset();
            for (const { labels: at, value } of read()) this.inc(at, value);
          },
        });
  registry.registerMetric(metric);
}
