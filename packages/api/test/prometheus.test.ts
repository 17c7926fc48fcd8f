// The whole of /metrics, as a Prometheus reads it: valid text, and names that say their unit.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { claim, makeEvent, openApp } from "./support/app.ts";
import { eventOf, everyMeasure, standIns } from "./support/measures.ts";
import { parsePrometheus } from "./support/prometheus-text.ts";
import type { Family, Sample } from "./support/prometheus-text.ts";

/** Every series there is: each measure, each fact, a claim, a watcher. */
async function scrape(t: TestContext): Promise<string> {
  const opened = await openApp(t);
  const { metrics, app } = opened;
  const of = standIns();
  of.events = [eventOf("spring", { mechanism: "kafka-queue" }), eventOf("a-line")];
  of.counts = of.events.map(({ id: eventId, mechanism }) => ({
    eventId,
    mechanism,
    couponIssues: 1,
    soldOutAtMs: 1_796_083_200_000,
  }));
  metrics.add(everyMeasure(t, of));
  metrics.facts.batch({ kind: "redis-script", size: 3 });
  metrics.facts.roundTrip({ engine: "redis", operation: "claim", durationMs: 1 });
  metrics.facts.roundTrip({ engine: "postgres", operation: "transaction", durationMs: 40_000 });
  metrics.facts.rowLockWait({ durationMs: 1 });
  metrics.facts.estimateError({ errorMs: 1 });
  await claim(opened, await makeEvent(opened), "ana");
  const answer = await app.inject({ url: "/metrics" });
  assert.equal(answer.statusCode, 200);
  assert.match(String(answer.headers["content-type"]), /^text\/plain; version=0\.0\.4/);
  return answer.body;
}

/** prom-client's own names are not ours to choose: some of its gauges end in _total. */
async function ours(t: TestContext): Promise<Family[]> {
  const families = parsePrometheus(await scrape(t));
  return [...families.values()].filter(({ name }) => name.startsWith("stampede_"));
}

describe("the reader of Prometheus' text", () => {
  const head = "# HELP a_total How many.\n# TYPE a_total counter\n";

  test("reads values, labels and their escapes", () => {
    const text = `${head}a_total{b="x\\"}, y",c=""} 1.5e-3\na_total{b="z"} +Inf\n`;
    assert.deepEqual(parsePrometheus(text).get("a_total")?.samples, [
      { name: "a_total", labels: { b: 'x\\"}, y', c: "" }, value: 0.0015 },
      { name: "a_total", labels: { b: "z" }, value: Infinity },
    ]);
  });

  test("refuses what a Prometheus would", () => {
    for (const text of [
      `${head}a_total 1`,
      "a_total 1\n",
      "# TYPE a_total counter\na_total 1\n",
      `${head}${head}a_total 1\n`,
      `${head.replace("counter", "number")}a_total 1\n`,
      `${head}b_total 1\n`,
      `${head}a_total_bucket{le="1"} 1\n`,
      `${head}a_total one\n`,
      `${head}a_total{b=x} 1\n`,
      `${head}a_total{b="x} 1\n`,
      `${head}a_total{b="x",b="y"} 1\n`,
      `${head}a_total{b="x"} 1\na_total{b="x"} 2\n`,
      `${head}a-total 1\n`,
    ]) {
      assert.throws(() => parsePrometheus(text), text);
    }
  });
});

describe("/metrics", () => {
  test("is text that a Prometheus reads, each family with its help, its type and a series", async (t) => {
    const families = parsePrometheus(await scrape(t));
    assert.ok(families.has("nodejs_eventloop_lag_p99_seconds"));
    assert.ok(families.has("process_cpu_seconds_total"));
    for (const { name, help, samples } of await ours(t)) {
      assert.match(help, /^[A-Z0-9].+\.$/, `the help of ${name} is a sentence`);
      assert.ok(samples.length > 0, `${name} has a series`);
    }
  });

  // Red when a figure is missing, and when one is added without being agreed with those who read it.
  test("has every figure that was agreed", async (t) => {
    const names = (await ours(t)).map(({ name }) => name.slice("stampede_".length));
    assert.deepEqual(names.sort(), AGREED);
  });

  test("names counters by _total and nothing else so, and says base units", async (t) => {
    for (const { name, type } of await ours(t)) {
      assert.match(name, /^[a-z][a-z0-9]*(?:_[a-z0-9]+)*$/);
      assert.equal(name.endsWith("_total"), type === "counter", name);
      assert.doesNotMatch(name, /_(?:ms|milliseconds|millis|minutes|percent|kb|mb)(?:_|$)/);
      assert.doesNotMatch(name, /_(?:count|sum|bucket|info)$/);
      if (type === "histogram") assert.match(name, /_(?:seconds|size)$/);
    }
  });

  test("labels by few and bounded things: no person, ticket or path", async (t) => {
    const allowed = new Set(["engine", "event", "kind", "le", "mechanism", "operation", "outcome"]);
    for (const label of ["part", "pool", "resource", "state"]) allowed.add(label);
    for (const { name, samples } of await ours(t)) {
      for (const label of samples.flatMap(({ labels }) => Object.keys(labels))) {
        assert.ok(allowed.has(label), `${name} is labelled by ${label}`);
      }
    }
  });

  test("has histograms whose buckets add up, from 1 ms to 30 s where they are latencies", async (t) => {
    const histograms = (await ours(t)).filter(({ type }) => type === "histogram");
    assert.equal(histograms.length, 5);
    for (const { name, samples } of histograms) {
      const series = Map.groupBy(samples, ({ labels }) => identityOf(labels));
      for (const parts of series.values()) assertAddsUp(name, parts);
      const bounds = new Set(samples.map(({ labels }) => Number(labels["le"])));
      const isLatency = /duration|wait|round_trip/.test(name);
      assert.ok(!isLatency || (bounds.has(0.001) && bounds.has(30)), name);
    }
  });
});

function identityOf(labels: Readonly<Record<string, string>>): string {
  const others = Object.entries(labels).filter(([label]) => label !== "le");
  return JSON.stringify(others);
}

function assertAddsUp(name: string, parts: readonly Sample[]): void {
  const buckets = parts.filter((part) => part.name === `${name}_bucket`);
  const bounds = buckets.map(({ labels }) => Number(labels["le"]?.replace("+Inf", "Infinity")));
  const counts = buckets.map(({ value }) => value);
  assert.deepEqual(
    bounds,
    bounds.toSorted((one, other) => one - other),
  );
  assert.deepEqual(
    counts,
    counts.toSorted((one, other) => one - other),
  );
  assert.equal(bounds.at(-1), Infinity);
  assert.equal(counts.at(-1), parts.find((part) => part.name === `${name}_count`)?.value);
  assert.ok(parts.some((part) => part.name === `${name}_sum`));
}

/** What dashboards and rules are built on. */
const AGREED = [
  "background_failures_total",
  "batch_size",
  "claim_duration_seconds",
  "claims_total",
  "engine_up",
  "event_coupon_issues",
  "event_issued",
  "event_limit",
  "event_opens_timestamp_seconds",
  "event_remaining",
  "event_sold_out_timestamp_seconds",
  "listen_overflows_total",
  "postgres_pool",
  "queue_estimate_error_seconds",
  "reconciler_repairs_total",
  "recoveries_total",
  "round_trip_seconds",
  "row_lock_wait_seconds",
  "saturation_ratio",
  "streams",
];
