/**
 * The server's clock, learned from the `Date` header of its answers.
 *
 * `Date` has whole seconds, so one answer only bounds the difference to our own clock: the server
 * read it somewhere between our sending and our receiving, and cut up to a second off. Each answer
 * narrows the bounds; a few of them together are much finer than a second. The local clock is the
 * monotonic one: a person who sets the computer's clock does not move a countdown.
 */

const HEADER_RESOLUTION_MS = 1000;

/** @typedef {{ lowMs: number, highMs: number }} Bounds of (server clock - local clock) */
/** @typedef {{ sentMs: number, receivedMs: number, serverMs: number }} Sample */

/**
 * Narrows the bounds by one more answer. Where the two exclude each other, one of the clocks was
 * set meanwhile, and the newest answer alone counts.
 *
 * @param {Bounds | null} bounds
 * @param {Sample} sample
 * @returns {Bounds}
 */
export function narrow(bounds, sample) {
  const fresh = {
    lowMs: sample.serverMs - sample.receivedMs,
    highMs: sample.serverMs + HEADER_RESOLUTION_MS - sample.sentMs,
  };
  if (bounds === null) return fresh;
  const lowMs = Math.max(bounds.lowMs, fresh.lowMs);
  const highMs = Math.min(bounds.highMs, fresh.highMs);
  return lowMs <= highMs ? { lowMs, highMs } : fresh;
}

/**
 * Before the first answer the local clock is the best guess there is.
 *
 * @param {() => number} localMs a clock that never steps
 * @returns {{ sample(sample: Sample): void, nowMs(): number }}
 */
export function serverClock(localMs) {
  /** @type {Bounds | null} */
  let bounds = null;
  return {
    sample(sample) {
      bounds = narrow(bounds, sample);
    },
    nowMs() {
      return localMs() + (bounds === null ? 0 : (bounds.lowMs + bounds.highMs) / 2);
    },
  };
}
