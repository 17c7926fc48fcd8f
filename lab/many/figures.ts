// How the lines of the table are worded and what they are read from.
import { setTimeout as pause } from "node:timers/promises";

import { cpuMicrosOf } from "../compare/processes.ts";
import { milliseconds } from "../report/numbers.ts";
import type { OpenShop } from "../crowd/shop.ts";
import { percentile } from "../crowd/statistics.ts";

/** How long something at rest is watched. */
export const REST_MS = 10_000;

/** The share of a core that a process of the shop takes while nobody is there. */
export async function percentAtRest(shop: OpenShop, name: string): Promise<string> {
  await pause(3_000);
  const before = cpuMicrosOf(shop.pids())[name]?.total ?? Number.NaN;
  const startMs = performance.now();
  await pause(REST_MS);
  const used = (cpuMicrosOf(shop.pids())[name]?.total ?? Number.NaN) - before;
  return `${(used / 10 / (performance.now() - startMs)).toFixed(1)} %`;
}

/** "p50, p99" of sorted milliseconds. */
export function middleAndEnd(sorted: readonly number[]): string {
  return `${ms(percentile(sorted, 50))}, ${ms(percentile(sorted, 99))}`;
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

export function ms(value: number): string {
  return value >= 1_000 ? `${(value / 1_000).toFixed(1)} s` : milliseconds(value);
}
