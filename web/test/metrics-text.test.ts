import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { parseMetrics } from "../public/metrics-text.js";
import { readingOf } from "../public/reading.js";

describe("the metrics' text", () => {
  test("gives names, labels and values, whatever order and space they come in", () => {
    const { samples } = parseMetrics(
      [
        "# HELP a A thing.",
        "# TYPE a counter",
        'a{mechanism="row-lock",outcome="issued"} 3',
        'a{outcome="sold-out" , mechanism="row-lock"}  4.5e2 1700000000000',
        "b 7",
        "",
      ].join("\n"),
    );
    assert.deepEqual(samples.get("a"), [
      { labels: { mechanism: "row-lock", outcome: "issued" }, value: 3 },
      { labels: { mechanism: "row-lock", outcome: "sold-out" }, value: 450 },
    ]);
    assert.deepEqual(samples.get("b"), [{ labels: {}, value: 7 }]);
  });

  test("takes quotes, backslashes, braces and line breaks out of a label", () => {
    const { samples } = parseMetrics(String.raw`a{event="x\"},b=\\\n{1}"} 1`);
    assert.deepEqual(samples.get("a")?.[0]?.labels, { event: 'x"},b=\\\n{1}' });
  });

  test("knows a metric without samples from one that the server does not have", () => {
    const { published, samples } = parseMetrics("# TYPE stampede_claims_total counter\n");
    assert.ok(published.has("stampede_claims_total"));
    assert.ok(!published.has("stampede_engine_up"));
    assert.equal(samples.size, 0);
  });

  test("leaves out what is no number: it could be neither drawn nor added", () => {
    const { samples } = parseMetrics("a NaN\na +Inf\na -Inf\na\na 1 2 3\na 1\n");
    assert.deepEqual(samples.get("a"), [{ labels: {}, value: 1 }]);
  });

  test("finds nothing in a proxy's error page", () => {
    const page = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<center>nginx</center>";
    assert.equal(parseMetrics(page).published.size, 0);
  });
});

describe("a reading", () => {
  test("holds claims, buckets, stocks, lines and engines", () => {
    const reading = readingOf(
      parseMetrics(
        [
          "process_start_time_seconds 1700000000",
          'stampede_claims_total{mechanism="kafka-queue",outcome="queued"} 9',
          'stampede_claim_duration_seconds_bucket{le="+Inf",mechanism="kafka-queue"} 9',
          'stampede_claim_duration_seconds_bucket{le="0.1",mechanism="kafka-queue"} 8',
          "# TYPE stampede_claim_duration_seconds histogram",
          'stampede_event_issued{event="spring",mechanism="kafka-queue"} 4',
          'stampede_event_remaining{event="spring",mechanism="kafka-queue"} 6',
          'stampede_queue_length{event="spring"} 5',
          "stampede_decider_lag_tickets 5",
          'stampede_engine_up{engine="kafka"} 1',
          'stampede_engine_up{engine="redis"} 0',
        ].join("\n"),
      ),
      42,
    );
    assert.deepEqual(reading, {
      atMs: 42,
      startedAt: 1_700_000_000,
      claims: new Map([["kafka-queue", new Map([["queued", 9]])]]),
      durations: new Map([
        [
          "kafka-queue",
          [
            { bound: 0.1, count: 8 },
            { bound: Infinity, count: 9 },
          ],
        ],
      ]),
      stocks: new Map([["spring", { mechanism: "kafka-queue", issued: 4, remaining: 6 }]]),
      lines: new Map([["spring", 5]]),
      lag: 5,
      engines: new Map([
        ["kafka", true],
        ["redis", false],
      ]),
    });
  });

  test("says null, and never NaN, of what the server does not publish", () => {
    const reading = readingOf(parseMetrics("up 1"), 0);
    const { atMs, ...rest } = reading;
    assert.equal(atMs, 0);
    assert.deepEqual(new Set(Object.values(rest)), new Set([null]));
  });
});
