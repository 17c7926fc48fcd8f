import { setTimeout as sleep } from "node:timers/promises";

/**
 * All the time that adapters know: what passes, and what is to happen later. It comes from the
 * composition root with each engine that is opened, so that a simulated sale can have a time of its
 * own (docs/simulation.md); the linter keeps other clocks and timers out.
 */
export type Time = {
  /** Monotonic milliseconds: only differences mean anything. */
  readonly nowMs: () => number;
  /** Epoch milliseconds by this machine's clock, which may be wrong and may step. */
  readonly epochMs: () => number;
  /** Resolves after `ms`, or as soon as `signal` aborts; never rejects. */
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  /** Runs at the end of this turn of the event loop: all that arrives in the turn is there by then. */
  readonly endOfTurn: (run: () => void) => void;
  /** Runs after `ms`. Gives the function that calls it off. */
  readonly after: (ms: number, run: () => void) => () => void;
  /** Runs every `ms`, and keeps no process alive. Gives the function that ends it. */
  readonly every: (ms: number, run: () => void) => () => void;
};

const LOOK_EVERY_MS = 20;

/** Waits until `isSettled`, `msMax` at most. */
export async function untilSettled(
  time: Time,
  isSettled: () => boolean,
  msMax: number,
): Promise<void> {
  const untilMs = time.nowMs() + msMax;
  while (!isSettled() && time.nowMs() < untilMs) await time.sleep(LOOK_EVERY_MS);
}

export const systemTime: Time = {
  nowMs: () => performance.now(),
  epochMs: () => Date.now(),
  async sleep(ms, signal) {
    // Aborting is how a sleep ends early, not a failure of it.
    await sleep(ms, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
  },
  endOfTurn: (run) => void setImmediate(run),
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
  every(ms, run) {
    const timer = setInterval(run, ms);
    timer.unref();
    return () => clearInterval(timer);
  },
};

/** Words that are remembered: an error's text may hold an address or a number. */
const WORDS_MAX = 200;
const TOLD_EVERY_MS = 60_000;

/** For what is met again and again: the same words once a minute at most. */
export function oncePerMinute(time: Time, tell: (words: string) => void): (words: string) => void {
  const toldAtMs = new Map<string, number>();
  return (words) => {
    const nowMs = time.nowMs();
    if (nowMs - (toldAtMs.get(words) ?? -Infinity) < TOLD_EVERY_MS) return;
    if (toldAtMs.size >= WORDS_MAX) toldAtMs.clear();
    toldAtMs.set(words, nowMs);
    tell(words);
  };
}
