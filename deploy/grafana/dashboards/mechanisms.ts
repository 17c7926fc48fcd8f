import { mechanisms as described } from "@stampede/infrastructure";
import type { Query } from "./panels.ts";

export type Mechanism = {
  /** The label's value in the metrics. */
  readonly name: string;
  /** The first part of the path of its claims: "v1", "v2" and so on. */
  readonly version: string;
  readonly title: string;
  /** Whether people stand in a line. */
  readonly queues: boolean;
  readonly color: string;
};

/** Green and red are left to thresholds. */
const colors = [
  "semi-dark-orange",
  "semi-dark-blue",
  "semi-dark-purple",
  "semi-dark-yellow",
  "light-orange",
  "light-purple",
] as const;

/** Those that the service has, each in the same colour on every dashboard. */
export const mechanisms: readonly Mechanism[] = described.map(
  ({ name, version, title, queues }, index) => ({
    name,
    version,
    title: `${version} ${title}`,
    queues,
    color: colors[index % colors.length] ?? colors[0],
  }),
);

/** What holds for those with a line alone, as the panels name them: "v3". */
export const queueing = mechanisms.filter(({ queues }) => queues);

export function versionsOf(some: readonly Mechanism[]): string {
  return some.map(({ version }) => version).join(", ");
}

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
