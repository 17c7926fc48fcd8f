// What an operator reads, figure by figure: the right number under the right labels.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { listenOverflows, listenOverflowsMeasures } from "../src/listen-overflows.ts";
import { makeMetrics } from "../src/metrics.ts";
import type { Metrics } from "../src/metrics.ts";
import { eventLoopShare } from "../src/saturation.ts";
import { EVENTS_MAX, eventOf, everyMeasure, saturationOf, standIns } from "./support/measures.ts";
import type { StandIns } from "./support/measures.ts";
import { parsePrometheus } from "./support/prometheus-text.ts";

type Opened = {
  readonly of: StandIns;
  readonly metrics: Metrics;
  /** The values of one family as they are scraped now, each by its labels. */
  readonly read: (name: string) => Promise<Record<string, number>>;
};

function open(t: TestContext): Opened {
  const of = standIns();
  const metrics = makeMetrics({ mechanisms: ["row-lock"], batches: ["redis-rows"] });
  metrics.add(everyMeasure(t, of));
  return { of, metrics, read: async (name) => readFamily(metrics, name) };
}

async function readFamily(metrics: Metrics, name: string): Promise<Record<string, number>> {
  const family = parsePrometheus(await metrics.registry.metrics()).get(name);
  assert.ok(family !== undefined, name);
  return Object.fromEntries(
    family.samples.map((sample) => {
      const part = sample.name.slice(name.length);
      return [[part, ...Object.values(sample.labels)].filter(Boolean).join(" "), sample.value];
    }),
  );
}

describe("an event in use", () => {
  test("shows its limit, counter, rest and opening", async (t) => {
    const { of, read } = open(t);
    of.events = [eventOf("spring")];
    assert.deepEqual(await read("stampede_event_limit"), { "spring row-lock": 100 });
    assert.deepEqual(await read("stampede_event_issued"), { "spring row-lock": 37 });
    assert.deepEqual(await read("stampede_event_remaining"), { "spring row-lock": 63 });
    assert.deepEqual(await read("stampede_event_opens_timestamp_seconds"), {
      "spring row-lock": 1_796_083_200.5,
    });
  });

  test("has no series left when it is no longer in use", async (t) => {
    const { of, metrics } = open(t);
    of.events = [eventOf("spring", { mechanism: "kafka-queue" })];
    of.counts = [
      {
        eventId: of.events[0]!.id,
        mechanism: "kafka-queue",
        couponIssues: 100,
        soldOutAtMs: 1_796_083_201_000,
      },
    ];
    const text = await metrics.registry.metrics();
    assert.equal(text.match(/event="spring"/g)?.length, 6);
    Object.assign(of, { events: [], counts: [] });
    assert.doesNotMatch(await metrics.registry.metrics(), /spring/);
  });

  test("is one of at most so many, the latest used", async (t) => {
    const { of, read } = open(t);
    of.events = Array.from({ length: EVENTS_MAX + 50 }, (_, n) => eventOf(`event-${n}`));
    const told = Object.keys(await read("stampede_event_issued"));
    assert.equal(told.length, EVENTS_MAX);
    assert.ok(told.includes("event-0 row-lock") && !told.includes("event-249 row-lock"));
  });

  test("shows its rows apart from its counter, and when it sold out only once it has", async (t) => {
    const { of, read } = open(t);
    const { id: eventId, mechanism } = eventOf("spring");
    of.counts = [{ eventId, mechanism, couponIssues: 101, soldOutAtMs: null }];
    assert.deepEqual(await read("stampede_event_coupon_issues"), { "spring row-lock": 101 });
    assert.deepEqual(await read("stampede_event_sold_out_timestamp_seconds"), {});
    of.counts = [{ eventId, mechanism, couponIssues: 101, soldOutAtMs: 1_796_083_201_250 }];
    assert.deepEqual(await read("stampede_event_sold_out_timestamp_seconds"), {
      "spring row-lock": 1_796_083_201.25,
    });
  });
});

describe("a queue", () => {
  test("shows how wrong its estimates were", async (t) => {
    const { metrics, read } = open(t);
    metrics.facts.estimateError({ errorMs: 2_000 });
    const errors = await read("stampede_queue_estimate_error_seconds");
    assert.deepEqual([errors["_bucket 1"], errors["_bucket 2.5"], errors["_sum"]], [0, 1, 2]);
  });
});

describe("the engines", () => {
  test("show whether they answer, and what their pools hold", async (t) => {
    const { read } = open(t);
    assert.deepEqual(await read("stampede_engine_up"), { postgres: 1, redis: 0 });
    assert.deepEqual(await read("stampede_postgres_pool"), {
      "shared open": 5,
      "shared idle": 2,
      "shared waiting": 7,
    });
  });

  test("show how long questions to them took, from a tenth of a millisecond on", async (t) => {
    const { metrics, read } = open(t);
    metrics.facts.roundTrip({ engine: "redis", operation: "claim", durationMs: 0.2 });
    metrics.facts.roundTrip({ engine: "kafka", operation: "produce", durationMs: 31_000 });
    const trips = await read("stampede_round_trip_seconds");
    assert.equal(trips["_bucket 0.0001 redis claim"], 0);
    assert.equal(trips["_bucket 0.00025 redis claim"], 1);
    assert.equal(trips["_bucket 30 kafka produce"], 0);
    assert.equal(trips["_bucket +Inf kafka produce"], 1);
    assert.equal(trips["_sum kafka produce"], 31);
  });

  test("show how long claims waited for the row's lock, and how large batches were", async (t) => {
    const { metrics, read } = open(t);
    metrics.facts.rowLockWait({ durationMs: 4 });
    metrics.facts.batch({ kind: "redis-rows", size: 500 });
    const waits = await read("stampede_row_lock_wait_seconds");
    assert.deepEqual([waits["_bucket 0.0025"], waits["_bucket 0.005"]], [0, 1]);
    const sizes = await read("stampede_batch_size");
    assert.deepEqual([sizes["_bucket 200 redis-rows"], sizes["_bucket 500 redis-rows"]], [0, 1]);
  });
});

describe("a claim", () => {
  // Red when the buckets end before the minute that v1's line may last: all longer waits look alike.
  test("shows how long it waited, beyond the whole minute of a line", async (t) => {
    const { metrics, read } = open(t);
    for (const seconds of [31, 59, 61]) metrics.claimAnswered("row-lock", "unavailable", seconds);
    const buckets = await read("stampede_claim_duration_seconds");
    const upTo = (le: string): number | undefined => buckets[`_bucket ${le} row-lock`];
    assert.deepEqual(["30", "45", "60", "90", "+Inf"].map(upTo), [0, 1, 2, 3, 3]);
  });
});

describe("what was mended", () => {
  test("starts at 0 for every kind, so that the first one is an increase", async (t) => {
    const { read } = open(t);
    assert.deepEqual(await read("stampede_reconciler_repairs_total"), {
      "rows-written": 0,
      merged: 0,
      refused: 0,
    });
    assert.deepEqual(await read("stampede_recoveries_total"), {
      "decider-takeover": 0,
      "reconciler-takeover": 0,
      "queue-resume": 0,
      "redis-rebuild": 0,
    });
    const failures = Object.values(await read("stampede_background_failures_total"));
    assert.equal(failures.length, 11);
    assert.ok(failures.every((value) => value === 0));
  });

  test("is counted by kind: repairs by how much, recoveries by how often", async (t) => {
    const { metrics, read } = open(t);
    metrics.facts.repair({ kind: "merged", count: 3 });
    metrics.facts.repair({ kind: "merged", count: 2 });
    metrics.facts.recovery({ kind: "redis-rebuild" });
    assert.equal((await read("stampede_reconciler_repairs_total"))["merged"], 5);
    assert.equal((await read("stampede_recoveries_total"))["redis-rebuild"], 1);
    metrics.facts.failure({ part: "leadership" });
    assert.equal((await read("stampede_background_failures_total"))["leadership"], 1);
  });
});

describe("saturation", () => {
  test("shows the highest of the last moments, although it was over before the scrape", async (t) => {
    const of = standIns();
    const full = saturationOf(t, of);
    const metrics = makeMetrics({ mechanisms: ["row-lock"], batches: ["redis-rows"] });
    metrics.add([full.measure]);
    const read = async (): Promise<number | undefined> =>
      (await readFamily(metrics, "stampede_saturation_ratio"))["redis-line"];
    of.taken["redis-line"] = 0.6;
    full.look();
    of.taken["redis-line"] = 0.1;
    assert.equal(await read(), 0.6);
    of.nowMs = 4_900;
    assert.equal(await read(), 0.6);
    // It is in the figure for one whole window more, and not for two.
    of.nowMs = 5_100;
    assert.equal(await read(), 0.6);
    of.nowMs = 10_200;
    assert.equal(await read(), 0.1);
  });

  test("forgets what was seen before a long silence, and never exceeds 1", async (t) => {
    const of = standIns();
    const full = saturationOf(t, of);
    const valueOf = (): number | undefined =>
      full.measure.read().find(({ labels }) => labels["resource"] === "redis-line")?.value;
    of.taken["redis-line"] = 1.7;
    assert.equal(valueOf(), 1);
    of.taken["redis-line"] = 0;
    of.nowMs = 60_000;
    assert.equal(valueOf(), 0);
  });

  test("names each event whose own line was full, also when it is empty again", (t) => {
    const of = standIns();
    const full = saturationOf(t, of);
    of.lines = [
      ["stuck", 0.9],
      ["busy", 0.1],
    ];
    full.look();
    of.lines = [["busy", 1.2]];
    of.nowMs = 5_100;
    assert.deepEqual(Object.fromEntries(full.ofEvents()), { busy: 1, stuck: 0.9 });
    of.nowMs = 10_200;
    assert.deepEqual(Object.fromEntries(full.ofEvents()), { busy: 1 });
  });

  test("of the event loop is its busy share of a second", async () => {
    // Before its first round Node knows nothing of a loop.
    await new Promise(setImmediate);
    const share = eventLoopShare();
    assert.equal(share(), 0);
    const untilMs = performance.now() + 1_050;
    while (performance.now() < untilMs);
    const busy = share();
    assert.ok(busy > 0.9 && busy <= 1, `${busy}`);
  });
});

describe("listen overflows", () => {
  const netstat = [
    "TcpExt: SyncookiesSent ListenOverflows ListenDrops",
    "TcpExt: 1 1355 1356",
    "IpExt: InNoRoutes ListenOverflows",
    "IpExt: 0 9",
    "",
  ].join("\n");

  test("are the kernel's own count", async (t) => {
    const { of, read } = open(t);
    of.netstat = netstat;
    assert.deepEqual(await read("stampede_listen_overflows_total"), { "": 1_355 });
  });

  test("are absent where the kernel does not tell", () => {
    assert.deepEqual(
      listenOverflowsMeasures(() => null),
      [],
    );
    assert.equal(listenOverflows("TcpExt: SyncookiesSent\nTcpExt: 1\n"), null);
    assert.equal(listenOverflows("TcpExt: ListenOverflows\n"), null);
  });

  test("are read from the kernel on Linux", { skip: process.platform !== "linux" }, () => {
    const told = listenOverflowsMeasures()[0]?.read()[0]?.value;
    assert.ok(told !== undefined && told >= 0);
  });
});
