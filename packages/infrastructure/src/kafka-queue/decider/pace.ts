/** Keeps a decider below an operator's pace; all times are monotonic milliseconds. */
export type PaceLimiter = {
  /** How many tickets may be decided by a transaction that starts now; 0: ask again in `waitMs`. */
  allowance(
    pace: number | null,
    nowMs: number,
  ): { readonly count: number; readonly waitMs: number };
  /** Counts a transaction that may have committed at any moment between its start and its end. */
  note(count: number, startedAtMs: number, endedAtMs: number): void;
};

const WINDOW_MS = 1_000;
/** For clocks that do not run equally fast, and readings that are rounded. */
const MARGIN_MS = 20;
/** A tenth of a second's tickets at a time: a smooth line, and few transactions. */
const CHUNKS_PER_SECOND = 10;

/**
 * Never more than `pace` tickets in any window of one second. What a predecessor decided before
 * `takenOverAtMs` is not known, so the first second counts as used up.
 */
export function paceLimiter(takenOverAtMs: number): PaceLimiter {
  let noted = [{ count: Number.POSITIVE_INFINITY, endedAtMs: takenOverAtMs }];
  let last = { count: 0, startedAtMs: takenOverAtMs };
  return {
    allowance(pace, nowMs) {
      if (pace === null) return { count: Number.POSITIVE_INFINITY, waitMs: 0 };
      // This transaction commits later than now: only what may have committed less than a second
      // before now can share a window with it.
      const counting = noted.filter((entry) => entry.endedAtMs > nowMs - WINDOW_MS - MARGIN_MS);
      const left = pace - counting.reduce((sum, entry) => sum + entry.count, 0);
      const smoothAtMs = last.startedAtMs + (last.count * 1_000) / pace;
      const first = counting[0];
      if (left <= 0 && first !== undefined) {
        return waitUntil(first.endedAtMs + WINDOW_MS + MARGIN_MS, nowMs);
      }
      if (smoothAtMs > nowMs) return waitUntil(smoothAtMs, nowMs);
      return { count: Math.min(left, Math.ceil(pace / CHUNKS_PER_SECOND)), waitMs: 0 };
    },
    note(count, startedAtMs, endedAtMs) {
      noted = noted.filter((entry) => entry.endedAtMs > endedAtMs - WINDOW_MS - MARGIN_MS);
      noted.push({ count, endedAtMs });
      last = { count, startedAtMs };
    },
  };
}

/** At least a millisecond, so that rounding never makes a wait of nothing. */
function waitUntil(atMs: number, nowMs: number): ReturnType<PaceLimiter["allowance"]> {
  return { count: 0, waitMs: Math.max(1, Math.ceil(atMs - nowMs)) };
}
