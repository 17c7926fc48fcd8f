// What the service says of itself: whether it sees an engine, and what it counted.
import { until } from "@stampede/launcher/testing";
import type { Program } from "../../support/program.ts";

/** Waits until the service itself says of the engine that it is up, or down. */
export async function untilEngine(
  { url }: Program,
  engine: "postgres" | "redis",
  state: "up" | "down",
): Promise<void> {
  await until(async () => {
    const answer = await fetch(`${url}/readyz`);
    const { engines } = (await answer.json()) as { engines: Record<string, string> };
    return engines[engine] === state;
  }, `the service sees that ${engine} is ${state}`);
}

/** A counter of the program's metrics, with its labels as they stand in the text; 0 before it counts. */
export async function counted({ url }: Program, series: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const line = text.split("\n").find((one) => one.startsWith(`${series} `));
  return Number(line?.slice(series.length + 1) ?? 0);
}

/** How often it has rebuilt Redis from the rows. */
export const REBUILDS = 'stampede_recoveries_total{kind="redis-rebuild"}';
