import assert from "node:assert/strict";
import { test } from "node:test";

import { storySvg } from "@stampede/lab/report";
import { fixtureComparison, fullFixture } from "./support/report-fixture.ts";

test("the story gives every subject a lane on one axis of time", () => {
  const svg = storySvg(fullFixture());
  for (const name of ["v1 Row lock", "v2 Redis counter", "v3 Kafka queue", "empty handler"]) {
    assert.equal(svg.split(`>${name}<`).length, 2, name);
  }
  // The same axis in all lanes: only the last one writes its seconds.
  assert.equal(svg.split(">0 s<").length, 2);
  assert.match(svg, /10,000 people claim at one instant; 100 coupons/);
});

test("the story can be shown as a file of its own, in light and dark", () => {
  const svg = storySvg(fullFixture());
  assert.match(svg, /^<svg role="img" aria-label="v1 Row lock: all answered in [^"]+"/);
  assert.match(svg, /prefers-color-scheme:dark/);
  assert.doesNotMatch(svg, /<script|href="http/);
});

test("there is no story of a comparison without a right run", () => {
  assert.throws(() => storySvg(fixtureComparison({ runs: [] })), /No run of this comparison/);
});
