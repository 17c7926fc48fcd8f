// What /metrics tells where several workers serve: each figure as one process would have told it.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { makeMetrics } from "../src/metrics.ts";
import type { Metrics } from "../src/metrics.ts";
import { metricsOfAll } from "../src/workers/metrics-of-all.ts";
import type { MetricsOfAll, MetricsSource } from "../src/workers/metrics-of-all.ts";
import type { MetricsJson } from "../src/workers/channel.ts";
import { eventOf, everyMeasure, standIns } from "./support/measures.ts";
import type { StandIns } from "./support/measures.ts";
import { parsePrometheus } from "./support/prometheus-text.ts";

const STARTED = 1_796_083_200;
const ANSWER_MS_MAX = 50;

type FakeWorker = MetricsSource & {
  readonly of: StandIns;
  readonly metrics: Metrics;
  /** From now on it answers nobody. */
  readonly hang: () => void;
};

function fakeWorker(t: TestContext): FakeWorker {
  const of = standIns();
  const metrics = makeMetrics({ mechanisms: ["row-lock"], batches: ["redis-rows"] });
  metrics.add(everyMeasure(t, of));
  let hangs = false;
  return {
    of,
    metrics,
    async ownMetrics() {
      if (hangs) return new Promise<never>(() => undefined);
      const told = await metrics.registry.getMetricsAsJSON();
      // As it comes out of the channel.
      return structuredClone(JSON.parse(JSON.stringify(told))) as MetricsJson;
    },
    hang() {
      hangs = true;
    },
  };
}

function open(t: TestContext, count = 2): { all: MetricsOfAll; workers: Set<FakeWorker> } {
  const all = metricsOfAll({ startedAtSeconds: STARTED, answerMsMax: ANSWER_MS_MAX });
  return { all, workers: new Set(Array.from({ length: count }, () => fakeWorker(t))) };
}

const valueOf = (text: string, series: string): number | undefined => {
  const all = [...parsePrometheus(text).values()].flatMap(({ samples }) => samples);
  return all.find(({ name, labels }) => {
    const told = Object.entries(labels).map(([label, value]) => `${label}=${value}`);
    return [name, ...told].join(" ") === series;
  })?.value;
};

const ISSUED = "stampede_claims_total mechanism=row-lock outcome=issued";

describe("the metrics of all workers", () => {
  test("add up what each has done, and do not add up what all of them know", async (t) => {
    const { all, workers } = open(t);
    for (const { metrics, of } of workers) {
      of.events = [eventOf("spring")];
      metrics.claimAnswered("row-lock", "issued", 0.2);
      metrics.streams.inc();
    }
    const text = await all.read(workers);
    assert.equal(valueOf(text, ISSUED), 2);
    assert.equal(valueOf(text, "stampede_claim_duration_seconds_count mechanism=row-lock"), 2);
    assert.equal(
      valueOf(text, "stampede_claim_duration_seconds_bucket le=0.25 mechanism=row-lock"),
      2,
    );
    assert.equal(valueOf(text, "stampede_streams"), 2);
    assert.equal(valueOf(text, "stampede_event_limit event=spring mechanism=row-lock"), 100);
    assert.equal(valueOf(text, "stampede_event_issued event=spring mechanism=row-lock"), 37);
    assert.equal(valueOf(text, "stampede_workers"), 2);
    assert.equal(valueOf(text, "process_start_time_seconds"), STARTED);
  });

  test("tell the worse of two: an engine that one cannot reach, coupons that are fewer", async (t) => {
    const { all, workers } = open(t);
    const [one, other] = [...workers];
    one!.of.events = [eventOf("spring", { issued: 40 })];
    other!.of.events = [eventOf("spring", { issued: 37 })];
    one!.of.engines = { postgres: "up" };
    other!.of.engines = { postgres: "down" };
    const text = await all.read(workers);
    assert.equal(valueOf(text, "stampede_event_issued event=spring mechanism=row-lock"), 40);
    assert.equal(valueOf(text, "stampede_event_remaining event=spring mechanism=row-lock"), 60);
    assert.equal(valueOf(text, "stampede_engine_up engine=postgres"), 0);
  });

  test("take the slowest event loop and the fullest table of descriptors, not a mean", async (t) => {
    const { all, workers } = open(t);
    const text = await all.read(workers);
    const [one] = workers;
    const own = await one!.metrics.registry.metrics();
    const fds = (of: string): number => valueOf(of, "process_max_fds") ?? 0;
    assert.equal(fds(text), fds(own));
    const lag = one!.metrics.registry.getSingleMetric("nodejs_eventloop_lag_p99_seconds");
    assert.equal((lag as unknown as { aggregator: string }).aggregator, "max");
  });

  // Red when `ended` forgets what the worker had counted.
  test("never go down when a worker ends, and its gauges go with it", async (t) => {
    const { all, workers } = open(t);
    for (const { metrics } of workers) {
      metrics.claimAnswered("row-lock", "issued", 0.2);
      metrics.streams.inc();
    }
    await all.read(workers);
    for (const worker of Array.from(workers)) {
      workers.delete(worker);
      all.ended(worker);
      workers.add(fakeWorker(t));
      const text = await all.read(workers);
      assert.equal(valueOf(text, ISSUED), 2);
      assert.equal(valueOf(text, "stampede_claim_duration_seconds_sum mechanism=row-lock"), 0.4);
    }
    assert.equal(valueOf(await all.read(workers), "stampede_streams"), 0);
  });

  // Red when a silent worker is waited for, or left out of the sums.
  test("are told in time when a worker hangs, with what it had counted before", async (t) => {
    const { all, workers } = open(t);
    const [one, other] = [...workers];
    for (const { metrics } of workers) {
      metrics.claimAnswered("row-lock", "issued", 0.2);
      metrics.streams.inc();
    }
    await all.read(workers);
    one!.hang();
    other!.metrics.claimAnswered("row-lock", "issued", 0.2);
    const [text, again] = await Promise.all([all.read(workers), all.read(workers)]);
    assert.equal(text, again, "two who ask at once are told the same reading");
    assert.equal(valueOf(text, ISSUED), 3);
    assert.equal(valueOf(text, "stampede_streams"), 1);
    assert.equal(valueOf(text, "stampede_workers"), 1);
  });

  test("count nothing twice when a worker ends while it is asked", async (t) => {
    const { all, workers } = open(t);
    const [one] = [...workers];
    for (const { metrics } of workers) metrics.claimAnswered("row-lock", "issued", 0.2);
    await all.read(workers);
    one!.hang();
    const reading = all.read(workers);
    await sleep(0);
    workers.delete(one!);
    all.ended(one!);
    assert.equal(valueOf(await reading, ISSUED), 2);
    assert.equal(valueOf(await all.read(workers), ISSUED), 2);
  });
});
