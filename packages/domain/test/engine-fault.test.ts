import assert from "node:assert/strict";
import { test } from "node:test";
import { EngineFault } from "@stampede/domain";

test("an engine's fault says which engine, whether anything may have happened, and keeps its cause", () => {
  const cause = new Error("connection reset");
  const fault = new EngineFault("redis", "unknown", "no answer to the script", {
    cause,
    retryAfterMs: 250,
  });
  assert.ok(fault instanceof Error);
  assert.equal(fault.name, "EngineFault");
  assert.equal(fault.engine, "redis");
  assert.equal(fault.outcome, "unknown");
  assert.equal(fault.message, "no answer to the script");
  assert.equal(fault.retryAfterMs, 250);
  assert.equal(fault.cause, cause);
});

test("an engine's fault without a cause has none, and is worth another try after a second", () => {
  const fault = new EngineFault("postgres", "not-applied", "the line is full");
  assert.equal("cause" in fault, false);
  assert.equal(fault.retryAfterMs, 1_000);
});

test("an engine's fault keeps a cause that is no error, undefined included", () => {
  assert.equal(new EngineFault("kafka", "unknown", "odd", { cause: "text" }).cause, "text");
  assert.ok("cause" in new EngineFault("kafka", "unknown", "odd", { cause: undefined }));
});
