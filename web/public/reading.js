/** What one answer of /metrics says about the sale. Pure: no browser, no clock. */

import { boundOf } from "./metrics-text.js";

/** @typedef {import("./metrics-text.js").Metrics} Metrics */
/** @typedef {import("./metrics-text.js").Sample} Sample */
/** @typedef {ReadonlyMap<string, ReadonlyMap<string, number>>} CountsByMechanism */
/** @typedef {{ bound: number, count: number }} Bucket holding `count` values of at most `bound` */
/** @typedef {{ mechanism: string, issued: number | null, remaining: number | null }} Stock */
/**
 * A part is null where the server does not publish it, and empty where it has nothing to say yet.
 *
 * @typedef {{
 *   atMs: number,
 *   startedAt: number | null,
 *   claims: CountsByMechanism | null,
 *   durations: ReadonlyMap<string, readonly Bucket[]> | null,
 *   stocks: ReadonlyMap<string, Stock> | null,
 *   lines: ReadonlyMap<string, number> | null,
 *   lag: number | null,
 *   engines: ReadonlyMap<string, boolean> | null,
 * }} Reading
 */

const CLAIMS = "stampede_claims_total";
const DURATION = "stampede_claim_duration_seconds";
const ISSUED = "stampede_event_issued";
const REMAINING = "stampede_event_remaining";
const LINE = "stampede_queue_length";
const LAG = "stampede_decider_lag_tickets";
const ENGINE_UP = "stampede_engine_up";
const STARTED_AT = "process_start_time_seconds";

/** @param {Metrics} metrics @param {number} atMs @returns {Reading} */
export function readingOf(metrics, atMs) {
  const { published } = metrics;
  return {
    atMs,
    startedAt: metrics.samples.get(STARTED_AT)?.[0]?.value ?? null,
    claims: published.has(CLAIMS) ? claimsOf(samplesOf(metrics, CLAIMS)) : null,
    durations: published.has(DURATION)
      ? durationsOf(samplesOf(metrics, `${DURATION}_bucket`))
      : null,
    stocks: published.has(ISSUED) || published.has(REMAINING) ? stocksOf(metrics) : null,
    lines: published.has(LINE) ? valuesBy("event", samplesOf(metrics, LINE)) : null,
    lag: metrics.samples.get(LAG)?.[0]?.value ?? null,
    engines: published.has(ENGINE_UP) ? enginesOf(samplesOf(metrics, ENGINE_UP)) : null,
  };
}

/** @param {Metrics} metrics @param {string} name @returns {readonly Sample[]} */
function samplesOf(metrics, name) {
  return metrics.samples.get(name) ?? [];
}

/** @param {readonly Sample[]} samples @returns {CountsByMechanism} */
function claimsOf(samples) {
  /** @type {Map<string, Map<string, number>>} */
  const claims = new Map();
  for (const { labels, value } of samples) {
    const { mechanism = "", outcome = "" } = labels;
    const counts = claims.get(mechanism) ?? new Map();
    counts.set(outcome, value);
    claims.set(mechanism, counts);
  }
  return claims;
}

/** @param {readonly Sample[]} samples @returns {ReadonlyMap<string, readonly Bucket[]>} */
function durationsOf(samples) {
  /** @type {Map<string, Bucket[]>} */
  const durations = new Map();
  for (const { labels, value } of samples) {
    const { mechanism = "", le } = labels;
    const bound = boundOf(le);
    if (bound === null) continue;
    const buckets = durations.get(mechanism) ?? [];
    buckets.push({ bound, count: value });
    durations.set(mechanism, buckets);
  }
  for (const buckets of durations.values()) buckets.sort((a, b) => a.bound - b.bound);
  return durations;
}

/** @param {Metrics} metrics @returns {ReadonlyMap<string, Stock>} */
function stocksOf(metrics) {
  const issued = valuesBy("event", samplesOf(metrics, ISSUED));
  const remaining = valuesBy("event", samplesOf(metrics, REMAINING));
  const all = [...samplesOf(metrics, ISSUED), ...samplesOf(metrics, REMAINING)];
  return new Map(
    all.map(({ labels: { event = "", mechanism = "" } }) => [
      event,
      { mechanism, issued: issued.get(event) ?? null, remaining: remaining.get(event) ?? null },
    ]),
  );
}

/** @param {readonly Sample[]} samples @returns {ReadonlyMap<string, boolean>} */
function enginesOf(samples) {
  const values = valuesBy("engine", samples);
  return new Map([...values].map(([engine, value]) => [engine, value === 1]));
}

/** @param {string} label @param {readonly Sample[]} samples @returns {ReadonlyMap<string, number>} */
function valuesBy(label, samples) {
  return new Map(samples.map(({ labels, value }) => [labels[label] ?? "", value]));
}
