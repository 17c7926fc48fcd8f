/** Asks the server: for its metrics, and for its events. Nothing here throws. */

import { monotonicMs, openApi } from "./api.js";
import { serverClock } from "./clock.js";
import { parseMetrics } from "./metrics-text.js";
import { readingOf } from "./reading.js";

/** In a rush the server answers late; after so long an answer would say nothing about now. */
const DEADLINE_MS = 10_000;
const EVENTS_MAX = 500;

const api = openApi(serverClock(monotonicMs));

/** @typedef {import("./reading.js").Reading} Reading */
/** @typedef {import("./wire.js").CouponEvent} CouponEvent */
/** @typedef {{ reading: Reading } | { status: number | null }} Asked null: no answer at all */

/** @returns {Promise<Asked>} */
export async function askMetrics() {
  try {
    const response = await fetch("./metrics", {
      cache: "no-store",
      signal: AbortSignal.timeout(DEADLINE_MS),
    });
    const metrics = parseMetrics(await response.text());
    // An error page, or something else that listens there now.
    if (!response.ok || metrics.published.size === 0) return { status: response.status };
    // The counters are read when the answer is written, so its arrival is nearer than our sending.
    return { reading: readingOf(metrics, monotonicMs()) };
  } catch {
    // fetch does not say why: the server is gone, or it was too slow.
    return { status: null };
  }
}

/** Also the events that the shop leaves out of its list: an operator sees all of them. */
/** @returns {Promise<readonly CouponEvent[] | null>} the newest ones; null without an answer */
export async function askEvents() {
  const reply = await api.events({ pageSize: EVENTS_MAX, all: true });
  return "events" in reply ? reply.events : null;
}

/** @returns {Promise<readonly import("./mechanisms.js").Mechanism[] | null>} null without an answer */
export async function askMechanisms() {
  return api.mechanisms();
}
