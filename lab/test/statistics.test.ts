import assert from "node:assert/strict";
import { test } from "node:test";

import { descriptorFault, median, percentile } from "@stampede/lab";

test("percentiles are values that were measured, medians the middle", () => {
  assert.equal(percentile([1, 2, 3], 50), 2);
  assert.equal(percentile([], 99), 0);
  assert.equal(median([9, 1, 5]), 5);
  assert.equal(median([4, 1, 2, 9]), 3);
});

test("too few file descriptors are told with the number to set", () => {
  const limits = [
    { process: "this process", limit: 1_024 },
    { process: "the server (pid 7)", limit: 20_000 },
  ];
  assert.match(
    descriptorFault(10_000, limits) ?? "",
    /this process may open 1024.*ulimit -n 12000/,
  );
  assert.equal(descriptorFault(800, limits), null);
  assert.equal(descriptorFault(10_000, [{ process: "unknown", limit: null }]), null);
});
