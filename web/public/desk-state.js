/** How the desk is doing: one sentence at a time, the worst first. Pure: times are arguments. */

const SLOW_MS = 3_000;
const MS_PER_SECOND = 1_000;
/** So long the sentence about the last gap stays. */
const GAP_TOLD_MS = 5 * 60_000;

/** @typedef {import("./desk-messages.js").DeskKey} DeskKey */
/** @typedef {"starting" | "live" | "slow" | "away" | "paused" | "several"} DeskStateName */
/**
 * A value whose name ends in `Ms` is an instant, and is told as a time of day.
 *
 * @typedef {{ name: DeskStateName, key: DeskKey, values: Readonly<Record<string, number>> }} Told
 */

export function deskState() {
  /** Start times of processes that another one has taken over from. */
  /** @type {Set<number>} */
  const left = new Set();
  /** @type {number | null} */
  let startedAt = null;
  let areSeveral = false;
  /** @type {number | null} */
  let askedMs = null;
  /** @type {number | null} */
  let answeredMs = null;
  /** @type {{ sinceMs: number, status: number | null } | null} */
  let away = null;
  /** @type {{ fromMs: number, toMs: number } | null} */
  let gap = null;

  return {
    /** @param {number} atMs @returns {void} */
    asked(atMs) {
      askedMs = atMs;
    },

    /** @param {{ atMs: number, startedAt: number | null }} reading @returns {void} */
    answered(reading) {
      askedMs = null;
      if (away !== null) gap = { fromMs: away.sinceMs, toMs: reading.atMs };
      away = null;
      answeredMs = reading.atMs;
      if (reading.startedAt === startedAt || reading.startedAt === null) return;
      // A restarted process has a start time of its own; an old one that comes back is a second one.
      if (left.has(reading.startedAt)) areSeveral = true;
      if (startedAt !== null) left.add(startedAt);
      startedAt = reading.startedAt;
    },

    /** @param {{ atMs: number, status: number | null }} failure @returns {void} */
    failed({ atMs, status }) {
      askedMs = null;
      away = { sinceMs: away?.sinceMs ?? atMs, status };
    },

    /** Nobody asked for a while: the computer slept. */
    /** @param {{ fromMs: number, toMs: number }} asleep @returns {void} */
    slept(asleep) {
      gap = asleep;
    },

    /** @param {{ atMs: number, isPaused: boolean }} now @returns {Told} */
    now({ atMs, isPaused }) {
      if (away !== null && away.status !== null) {
        const values = { timeMs: away.sinceMs, status: away.status };
        return { name: "away", key: "status.noMetrics", values };
      }
      if (away !== null) {
        return { name: "away", key: "status.away", values: { timeMs: away.sinceMs } };
      }
      if (areSeveral) return { name: "several", key: "status.several", values: {} };
      if (askedMs !== null && atMs - askedMs > SLOW_MS) {
        const values = { seconds: SLOW_MS / MS_PER_SECOND };
        return { name: "slow", key: "status.slow", values };
      }
      if (isPaused) return { name: "paused", key: "status.paused", values: {} };
      if (answeredMs === null) return { name: "starting", key: "status.starting", values: {} };
      if (gap !== null && atMs - gap.toMs < GAP_TOLD_MS) {
        return { name: "live", key: "status.liveAfterGap", values: { ...gap } };
      }
      return { name: "live", key: "status.live", values: {} };
    },
  };
}
