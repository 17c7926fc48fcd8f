// What the server tells of itself at /metrics, read before and after a run.

/** One scrape: values by name and labels, just as they are written there. */
export type Scrape = ReadonlyMap<string, number>;

const answerMsMax = 10_000;
/** Node's histogram counts from one tick of its timer to the next, which is this long when idle. */
const idleTickMs = 10;

/** Reads the metrics; null where the server has none. */
export async function scrape(url: string): Promise<Scrape | null> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(answerMsMax) });
    return answer.ok ? scrapeOf(await answer.text()) : null;
  } catch {
    // A proxy in front may well keep its metrics to itself: then they are not known.
    return null;
  }
}

export function scrapeOf(text: string): Scrape {
  const values = new Map<string, number>();
  for (const line of text.split("\n")) {
    const space = line.lastIndexOf(" ");
    if (line.startsWith("#") || space === -1) continue;
    values.set(line.slice(0, space), Number(line.slice(space + 1)));
  }
  return values;
}

/**
 * Requests to engines between two scrapes for each of `claims`, as "engine operation". Empty where
 * the server does not count them, or where the two scrapes met different processes.
 */
export function roundTripsPerClaim(
  before: Scrape | null,
  after: Scrape | null,
  claims: number,
): Record<string, number> {
  const trips: [string, number][] = [];
  for (const [key, value] of after ?? []) {
    if (!key.startsWith("stampede_round_trip_seconds_count{")) continue;
    const engine = /[{,]engine="([^"]*)"/.exec(key)?.[1];
    const operation = /[{,]operation="([^"]*)"/.exec(key)?.[1];
    const more = value - (before?.get(key) ?? 0);
    if (more < 0) return {};
    if (more > 0) trips.push([`${engine} ${operation}`, more / claims]);
  }
  return claims === 0 ? {} : Object.fromEntries(trips);
}

/**
 * How late the server's event loop was since the scrape before: prom-client starts its histogram
 * anew with each. Null where the server does not tell.
 */
export function eventLoopDelayMs(
  after: Scrape | null,
): { readonly p50: number; readonly p99: number; readonly max: number } | null {
  const delayMs = (name: string): number | null => {
    const seconds = after?.get(`nodejs_eventloop_lag_${name}_seconds`);
    if (seconds === undefined || Number.isNaN(seconds)) return null;
    return Math.max(0, seconds * 1_000 - idleTickMs);
  };
  const [p50, p99, max] = [delayMs("p50"), delayMs("p99"), delayMs("max")];
  return p50 === null || p99 === null || max === null ? null : { p50, p99, max };
}
