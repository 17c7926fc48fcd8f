import type { Time } from "../time.ts";

/** A bounded number of permits and a bounded line for them, first come, first served. */
export type WaitingLine = {
  /** Resolves with true when it is one's turn, with false where it cannot come. */
  enter(): Promise<boolean>;
  /** Gives the permit to the next in line. */
  leave(): void;
  readonly waiting: () => number;
  /** Turns away everybody who waits and whoever comes later. */
  close(): void;
};

type Waiter = { readonly deadlineMs: number; readonly call: (turn: boolean) => void };

const SWEEP_EVERY_MS = 250;

export function waitingLine(options: {
  readonly permits: number;
  readonly waitersMax: number;
  readonly waitMsMax: number;
  readonly time: Time;
}): WaitingLine {
  let free = options.permits;
  // Taken from `head` on, cut when half of it is taken: shifting ten thousand times is slow.
  let line: Waiter[] = [];
  let head = 0;
  let closed = false;

  const next = (): Waiter | null => {
    const waiter = line[head];
    if (waiter === undefined) return null;
    head += 1;
    if (head * 2 > line.length) {
      line = line.slice(head);
      head = 0;
    }
    return waiter;
  };
  // All wait equally long, so whoever's time is up stands at the front.
  const sweep = (nowMs: number): void => {
    for (let first = line[head]; first !== undefined && first.deadlineMs <= nowMs;) {
      next()?.call(false);
      first = line[head];
    }
  };
  const { time } = options;
  const endSweeps = time.every(SWEEP_EVERY_MS, () => sweep(time.nowMs()));

  return {
    async enter() {
      if (closed || line.length - head >= options.waitersMax) return false;
      if (free > 0) {
        free -= 1;
        return true;
      }
      const deadlineMs = time.nowMs() + options.waitMsMax;
      return new Promise((call) => line.push({ deadlineMs, call }));
    },
    leave() {
      const waiter = next();
      if (waiter === null) free += 1;
      else waiter.call(true);
    },
    waiting: () => line.length - head,
    close() {
      closed = true;
      endSweeps();
      sweep(Infinity);
    },
  };
}
