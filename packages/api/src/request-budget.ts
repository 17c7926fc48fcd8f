import type { UserId } from "@stampede/domain";

/**
 * How long this person at this address has to wait, in milliseconds; 0 lets the request pass. It decides
 * at once and never holds anybody, so those who pass keep their order.
 */
export type Admit = (userId: UserId, address: string) => number;

export const REQUESTS_AT_ONCE = 30;
export const REQUESTS_PER_SECOND = 5;
const PERSONS_MAX = 100_000;

const INTERVAL_MS = 1_000 / REQUESTS_PER_SECOND;
/** Beyond so much that is spent in advance a request is refused. */
const AHEAD_MS_MAX = (REQUESTS_AT_ONCE - 1) * INTERVAL_MS;
/** After so long without a request nothing is spent any more, and a person may be forgotten. */
const REFILL_MS = REQUESTS_AT_ONCE * INTERVAL_MS;

/**
 * A token bucket for each person at each address, kept as the one instant at which it will be full
 * again. By both together: a crowd behind one address does not use up each other's, and a proxy in
 * front of us makes it one for each person.
 */
export function requestBudget(monotonicMs: () => number): Admit {
  let fullAtMs = new Map<string, number>();
  let before = new Map<string, number>();
  let turnedMs = monotonicMs();

  return (userId, address) => {
    const nowMs = monotonicMs();
    // Two generations: the older one holds nobody who has asked since, and goes as a whole. Where there
    // are too many people it goes early, which forgives them something.
    if (nowMs - turnedMs > REFILL_MS || fullAtMs.size >= PERSONS_MAX) {
      before = fullAtMs;
      fullAtMs = new Map();
      turnedMs = nowMs;
    }
    // No user id holds a space.
    const who = `${userId} ${address}`;
    const fullMs = Math.max(nowMs, fullAtMs.get(who) ?? before.get(who) ?? nowMs);
    const tooEarlyMs = fullMs - nowMs - AHEAD_MS_MAX;
    if (tooEarlyMs > 0) return tooEarlyMs;
    fullAtMs.set(who, fullMs + INTERVAL_MS);
    return 0;
  };
}
