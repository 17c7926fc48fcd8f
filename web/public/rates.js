/**
 * What happened between two readings of counters that only grow. Pure: no browser, no clock.
 *
 * The desk has seen every reading itself, so a series that is new in the second one began at 0: the
 * first claim of a mechanism counts, which Prometheus' own `rate` would miss. Counters that went
 * back, or another start time, mean another process: that interval has no rates at all, rather
 * than a spike that nobody caused.
 */

/** @typedef {import("./reading.js").Reading} Reading */
/** @typedef {import("./reading.js").Bucket} Bucket */
/** @typedef {"issued" | "queued" | "replayed" | "sold-out" | "refused" | "failed"} OutcomeGroup */
/** @typedef {{ p50: number, p95: number, p99: number }} Quantiles in seconds */
/**
 * @typedef {{ answers: number, outcomes: Readonly<Record<OutcomeGroup, number>>,
 *   latency: Quantiles | null }} Happened since the reading before
 */
/** @typedef {{ seconds: number, byMechanism: ReadonlyMap<string, Happened> }} Change */

/** @type {readonly OutcomeGroup[]} the best first; what is drawn is stacked in this order */
export const OUTCOME_GROUPS = ["issued", "queued", "replayed", "sold-out", "refused", "failed"];
/** Every other outcome is a refusal: too early, closed, paused, a wrong address. */
/** @type {Readonly<Record<string, OutcomeGroup>>} */
const GROUP_BY_OUTCOME = {
  issued: "issued",
  queued: "queued",
  replayed: "replayed",
  "sold-out": "sold-out",
  unavailable: "failed",
  "outcome-unknown": "failed",
  error: "failed",
};

/**
 * @param {Reading} before
 * @param {Reading} after
 * @returns {Change | null} null where the two cannot be compared
 */
export function changeBetween(before, after) {
  const seconds = (after.atMs - before.atMs) / 1000;
  if (after.claims === null || seconds <= 0 || isAnotherProcess(before, after)) return null;
  /** @type {Map<string, Happened>} */
  const byMechanism = new Map();
  for (const [mechanism, counts] of after.claims) {
    const outcomes = noOutcomes();
    for (const [outcome, count] of counts) {
      const group = GROUP_BY_OUTCOME[outcome] ?? "refused";
      outcomes[group] += count - (before.claims?.get(mechanism)?.get(outcome) ?? 0);
    }
    const answers = Object.values(outcomes).reduce((sum, count) => sum + count, 0);
    const buckets = bucketsBetween(
      before.durations?.get(mechanism) ?? [],
      after.durations?.get(mechanism) ?? [],
    );
    byMechanism.set(mechanism, { answers, outcomes, latency: quantilesOf(buckets) });
  }
  return { seconds, byMechanism };
}

/** @returns {Record<OutcomeGroup, number>} */
export function noOutcomes() {
  return { issued: 0, queued: 0, replayed: 0, "sold-out": 0, refused: 0, failed: 0 };
}

/** Whether the two readings are of different processes, or of one that lost its counters. */
/** @param {Reading} before @param {Reading} after @returns {boolean} */
function isAnotherProcess(before, after) {
  if (before.startedAt !== after.startedAt) return true;
  for (const [mechanism, counts] of before.claims ?? []) {
    for (const [outcome, count] of counts) {
      if ((after.claims?.get(mechanism)?.get(outcome) ?? 0) < count) return true;
    }
  }
  for (const [mechanism, buckets] of before.durations ?? []) {
    const all = buckets.at(-1)?.count ?? 0;
    if ((after.durations?.get(mechanism)?.at(-1)?.count ?? 0) < all) return true;
  }
  return false;
}

/** @param {readonly Bucket[]} before @param {readonly Bucket[]} after @returns {Bucket[]} */
function bucketsBetween(before, after) {
  const counts = new Map(before.map(({ bound, count }) => [bound, count]));
  return after.map(({ bound, count }) => ({ bound, count: count - (counts.get(bound) ?? 0) }));
}

/** @param {readonly Bucket[]} buckets @returns {Quantiles | null} */
function quantilesOf(buckets) {
  const [p50, p95, p99] = [0.5, 0.95, 0.99].map((share) => quantile(share, buckets));
  if (p50 == null || p95 == null || p99 == null) return null;
  return { p50, p95, p99 };
}

/**
 * As Prometheus' `histogram_quantile`: values lie evenly within their bucket, the first of which
 * begins at 0; of what lies beyond the last finite bound, that bound is all that is known.
 *
 * @param {number} share from 0 to 1
 * @param {readonly Bucket[]} buckets cumulative, by rising bound, the last one infinite
 * @returns {number | null} null where there are no values, or no whole histogram
 */
export function quantile(share, buckets) {
  const last = buckets.at(-1);
  if (last === undefined || last.bound !== Infinity || last.count <= 0) return null;
  if (buckets.length < 2) return null;
  const rank = share * last.count;
  const index = buckets.findIndex(({ count }) => count >= rank);
  const upper = buckets[index];
  const lower = buckets[index - 1];
  if (upper === undefined) return null;
  if (upper.bound === Infinity) return lower?.bound ?? null;
  const from = lower?.bound ?? 0;
  const below = lower?.count ?? 0;
  if (upper.count <= below) return from;
  return from + ((upper.bound - from) * (rank - below)) / (upper.count - below);
}
