import assert from "node:assert/strict";
import { test } from "node:test";
import { InvariantViolation, invariant } from "@stampede/domain";

test("an invariant that holds stops nobody", () => {
  invariant(true, "one is one");
});

test("an invariant that does not hold stops with the sentence that should have been true", () => {
  assert.throws(
    () => invariant(false, "an event never issues more than its limit"),
    (error: unknown) => {
      assert.ok(error instanceof InvariantViolation);
      assert.equal(error.name, "InvariantViolation");
      assert.equal(error.message, "violated: an event never issues more than its limit");
      return true;
    },
  );
});
