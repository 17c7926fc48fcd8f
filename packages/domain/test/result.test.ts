import assert from "node:assert/strict";
import { test } from "node:test";
import { ok, refuse } from "@stampede/domain";
import type { Result } from "@stampede/domain";

test("a result is read by asking whether it is ok, whatever its value", () => {
  const read = (result: Result<number | null, string>): string =>
    result.ok ? `value ${result.value}` : `refused ${result.refusal}`;
  assert.equal(read(ok(1)), "value 1");
  assert.equal(read(ok(null)), "value null");
  assert.equal(read(refuse("no")), "refused no");
  assert.equal(read(refuse("")), "refused ");
});
