import type { Query } from "./panels.ts";

export type Mechanism = {
  /** The label's value in the metrics. */
  readonly name: string;
  readonly title: string;
  readonly color: string;
};

/** Each in the same colour on every dashboard; green and red are left to thresholds. */
export const mechanisms: readonly Mechanism[] = [
  { name: "row-lock", title: "v1 row lock", color: "semi-dark-orange" },
  { name: "redis-counter", title: "v2 Redis counter", color: "semi-dark-blue" },
  { name: "kafka-queue", title: "v3 Kafka queue", color: "semi-dark-purple" },
];

/** One query for each mechanism, so that names and colours are the same everywhere. */
export function perMechanism(expression: (selector: string) => string): readonly Query[] {
  return mechanisms.map(({ name, title, color }) => ({
    expression: expression(`mechanism="${name}"`),
    legend: title,
    color,
  }));
}

/** p50, p95 and p99 of a histogram in the chosen time; `selector` holds label matchers. */
export function quantiles(histogram: string, selector = ""): readonly Query[] {
  const matchers = selector === "" ? "" : `{${selector}}`;
  const buckets = `sum by (le) (rate(${histogram}_bucket${matchers}[$__rate_interval]))`;
  return [
    { expression: `histogram_quantile(0.5, ${buckets})`, legend: "p50", color: "light-blue" },
    { expression: `histogram_quantile(0.95, ${buckets})`, legend: "p95", color: "semi-dark-blue" },
    { expression: `histogram_quantile(0.99, ${buckets})`, legend: "p99", color: "dark-blue" },
  ];
}
