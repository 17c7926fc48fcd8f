// A checker is code under test: a name that it overlooks would never be looked for.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { metricNames, substitute } from "./support/promql.ts";

describe("the metrics of an expression", () => {
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ["up", ["up"]],
    ["sum by (a, b) (rate(x_total[5s]))", ["x_total"]],
    ["sum(rate(x_total{a=~\"up|down{}\", b='c'}[5s])) by (le)", ["x_total"]],
    ["a:b:c > 0 and d unless on (e) f", ["a:b:c", "d", "f"]],
    ["histogram_quantile(0.99, sum by (le) (rate(y_bucket[1m])))", ["y_bucket"]],
    ["x / ignoring(a) group_left (b) y offset 5m or 0 * vector(1)", ["x", "y"]],
    ["(x - x) * 1e3 + Inf", ["x"]],
    ["count(x\n  > bool 0.5)", ["x"]],
  ];
  for (const [expression, names] of cases) {
    test(`are found in ${JSON.stringify(expression)}`, () => {
      assert.deepEqual(metricNames(expression), names);
    });
  }
});

test("a variable that nobody substitutes is not sent to Prometheus", () => {
  assert.equal(
    substitute('rate(x{event=~"$event"}[$__rate_interval])'),
    'rate(x{event=~".*"}[4s])',
  );
  assert.throws(() => substitute("rate(x[$__typo])"), /\$__typo/);
});
