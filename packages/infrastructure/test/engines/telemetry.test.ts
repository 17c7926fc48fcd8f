// Facts on their way out of the adapters, without an engine.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { listenToFacts, publishBatch, publishRepair, timed } from "../../src/engines/telemetry.ts";
import { hearFacts } from "../support/facts.ts";

describe("a fact", () => {
  test("reaches everybody who listens, and nobody who has ended it", (t) => {
    const first = hearFacts(t);
    const sizes: number[] = [];
    const ignore = (): void => undefined;
    const end = listenToFacts({
      batch: ({ size }) => sizes.push(size),
      roundTrip: ignore,
      rowLockWait: ignore,
      estimateError: ignore,
      repair: ignore,
      recovery: ignore,
      failure: ignore,
    });
    publishBatch("redis-rows", 7);
    end();
    publishBatch("redis-rows", 8);
    assert.deepEqual(
      first.batches.map(({ size }) => size),
      [7, 8],
    );
    assert.deepEqual(sizes, [7]);
  });

  test("is not published of a repair that had nothing to repair", (t) => {
    const facts = hearFacts(t);
    publishRepair("merged", 0);
    assert.deepEqual(facts.repairs, []);
  });

  test("tells how long a call took that failed, and the failure goes on", async (t) => {
    const facts = hearFacts(t);
    const failure = new Error("the engine is away");
    const call = timed({ engine: "redis", operation: "claim" }, async () => {
      throw failure;
    });
    await assert.rejects(call, failure);
    assert.equal(facts.roundTrips.length, 1);
    const { engine, operation, durationMs } = facts.roundTrips[0]!;
    assert.deepEqual([engine, operation], ["redis", "claim"]);
    assert.ok(durationMs >= 0 && durationMs < 1_000);
  });
});
