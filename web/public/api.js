/** The requests that the page sends. Each ends within its deadline, and none of them throws. */

import { mechanismsIn } from "./mechanisms.js";
import { classify, isEvent, record } from "./wire.js";

const CLAIM_DEADLINE_MS = 30_000;
const QUESTION_DEADLINE_MS = 10_000;

/** @typedef {import("./wire.js").Answer} Answer */
/** @typedef {import("./wire.js").CouponEvent} CouponEvent */
/** @typedef {import("./wire.js").Reply} Reply */

/** The page's local clock: it never steps. */
/** @returns {number} */
export function monotonicMs() {
  return performance.timeOrigin + performance.now();
}

/** With AUTH=dev the service believes it. */
/** @param {string} userId @returns {Record<string, string>} */
function byName(userId) {
  return { "X-User-Id": userId };
}

/**
 * @param {{ sample(sample: import("./clock.js").Sample): void }} clock learns from every answer
 * @param {(userId: string) => Record<string, string>} [credentials] the headers that say who asks
 */
export function openApi(clock, credentials = byName) {
  /**
   * @param {string} path
   * @param {{ method?: string, userId?: string, deadlineMs?: number }} [options]
   * @returns {Promise<Reply | null>} null when no whole answer came
   */
  async function send(path, { method = "GET", userId, deadlineMs = QUESTION_DEADLINE_MS } = {}) {
    const sentMs = monotonicMs();
    try {
      // Where the page is: the service may stand behind a prefix (https://shop.example/coupons/).
      const response = await fetch(`.${path}`, {
        method,
        cache: "no-store",
        headers: userId === undefined ? {} : credentials(userId),
        signal: AbortSignal.timeout(deadlineMs),
      });
      const serverMs = Date.parse(response.headers.get("date") ?? "");
      if (serverMs > 0 && isOurs(response.status)) {
        clock.sample({ sentMs, receivedMs: monotonicMs(), serverMs });
      }
      const seconds = response.headers.get("retry-after") ?? "";
      const retryAfterMs = /^\d{1,5}$/.test(seconds) ? Number(seconds) * 1000 : null;
      return { status: response.status, retryAfterMs, body: await bodyOf(response) };
    } catch {
      // fetch rejects alike for "never sent" and "sent, answer lost": nothing more is known.
      return null;
    }
  }

  return {
    /** @param {{ path: string, userId: string }} claim @returns {Promise<Answer>} */
    async claim({ path, userId }) {
      return classify(await send(path, { method: "POST", userId, deadlineMs: CLAIM_DEADLINE_MS }));
    },

    /**
     * @param {{ eventId: string, userId: string, ticket: number | null }} question
     * @returns {Promise<Answer>}
     */
    async status({ eventId, userId, ticket }) {
      const query = ticket === null ? "" : `?ticket=${ticket}`;
      return classify(await send(`/events/${eventId}/issues/me${query}`, { userId }));
    },

    /**
     * @param {{ pageSize: number, cursor?: string, all?: boolean }} page `all`: the unlisted ones too
     * @returns {Promise<{ events: CouponEvent[], next: string | null } | { retryAfterMs: number | null }>}
     */
    async events({ pageSize, cursor, all = false }) {
      const after = cursor === undefined ? "" : `&cursor=${encodeURIComponent(cursor)}`;
      const reply = await send(`/events?limit=${pageSize}${after}${all ? "&all=true" : ""}`);
      const body = record(reply?.body);
      if (reply?.status !== 200 || !Array.isArray(body["events"])) {
        return { retryAfterMs: reply?.retryAfterMs ?? null };
      }
      return {
        events: body["events"].filter((event) => isEvent(event)),
        next: typeof body["next"] === "string" ? body["next"] : null,
      };
    },

    /** @returns {Promise<readonly import("./mechanisms.js").Mechanism[] | null>} */
    async mechanisms() {
      const reply = await send("/mechanisms");
      return reply?.status === 200 ? mechanismsIn(reply.body) : null;
    },

    /** @param {string} eventId @returns {Promise<CouponEvent | null>} */
    async event(eventId) {
      const reply = await send(`/events/${eventId}`);
      return reply?.status === 200 && isEvent(reply.body) ? reply.body : null;
    },
  };
}

/** @typedef {ReturnType<typeof openApi>} Api */

/** A proxy's own answer has the proxy's Date: too many requests, or nobody behind it answered. */
/** @param {number} status @returns {boolean} */
function isOurs(status) {
  return status < 500 && status !== 429;
}

/** @param {Response} response @returns {Promise<unknown>} */
async function bodyOf(response) {
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    // Not our service's words (a proxy's page): the status alone has to do.
    return null;
  }
}
