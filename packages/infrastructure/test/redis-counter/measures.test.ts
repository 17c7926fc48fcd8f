import assert from "node:assert/strict";
import { test } from "node:test";
import type { EventId } from "@stampede/domain";
import { pendingAgeMeasure, redisDriftMeasure } from "../../src/redis-counter/measures.ts";

test("the reconciler shows how far Redis and the rows differ, event by event", () => {
  const measure = redisDriftMeasure(() => new Map([["spring", 2]]));
  assert.equal(measure.name, "stampede_redis_drift");
  assert.deepEqual(measure.read(), [{ labels: { event: "spring" }, value: 2 }]);
});

test("the reconciler shows how long the oldest reservations have had no row, of the ten worst events", () => {
  const ages = new Map(
    Array.from({ length: 1_000 }, (_, n) => [`event-${n}` as EventId, n * 10] as const),
  );
  const told = pendingAgeMeasure(() => ages).read();
  assert.equal(told.length, 10);
  assert.deepEqual(told[0], { labels: { event: "event-999" }, value: 9.99 });
});
