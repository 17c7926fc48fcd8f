import type { Bucket, Reading } from "../public/reading.js";

const BOUNDS = [0.01, 0.1, 1, Infinity];

type Counted = {
  readonly outcomes: Readonly<Record<string, number>>;
  /** How many took up to 10 ms, 100 ms, 1 s, and longer. */
  readonly took?: readonly number[];
};

/** A reading of a server where so much has been answered since it started. */
export function aReading(
  atMs: number,
  counted: Readonly<Record<string, Counted>> = {},
  changes: Partial<Reading> = {},
): Reading {
  const entries = Object.entries(counted);
  return {
    atMs,
    startedAt: 1,
    claims: new Map(
      entries.map(([mechanism, { outcomes }]) => [mechanism, new Map(Object.entries(outcomes))]),
    ),
    durations: new Map(entries.map(([mechanism, { took = [] }]) => [mechanism, histogram(took)])),
    stocks: new Map(),
    lines: new Map(),
    lag: 0,
    engines: new Map(),
    ...changes,
  };
}

function histogram(took: readonly number[]): Bucket[] {
  let count = 0;
  return BOUNDS.map((bound, index) => {
    count += took[index] ?? 0;
    return { bound, count };
  });
}
