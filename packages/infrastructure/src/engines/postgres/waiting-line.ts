import type { Time } from "../time.ts";

/** Where one waits for one's turn. */
export type Turn = {
  /** Whoever comes now does not wait. */
  isFree(): boolean;
  /** Resolves with true when it is one's turn, with false where it has not come by `untilMs`. */
  enter(untilMs?: number): Promise<boolean>;
  /** Gives the permit to the next in line. */
  leave(): void;
};

/** A bounded number of permits and a bounded line for them, first come, first served. */
export type WaitingLine = Turn & {
  readonly waiting: () => number;
  /** All permits are there, so nobody waits. */
  isIdle(): boolean;
  /** Turns away everybody who waits and whoever comes later. */
  close(): void;
};

/** A line for each key: nobody waits for those who come for another one. */
export type WaitingLines = {
  of(key: string): Turn;
  /** Of all keys. */
  readonly waiting: () => number;
  readonly waitingByKey: () => Iterable<readonly [key: string, waiting: number]>;
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
  const sweep = (nowMs: number): void => {
    const late = line.slice(head).filter(({ deadlineMs }) => deadlineMs <= nowMs);
    if (late.length === 0) return;
    line = line.slice(head).filter(({ deadlineMs }) => deadlineMs > nowMs);
    head = 0;
    for (const { call } of late) call(false);
  };
  const { time } = options;
  const endSweeps = time.every(SWEEP_EVERY_MS, () => sweep(time.nowMs()));

  return {
    async enter(untilMs = time.nowMs() + options.waitMsMax) {
      if (closed || line.length - head >= options.waitersMax) return false;
      if (free > 0) {
        free -= 1;
        return true;
      }
      return new Promise((call) => line.push({ deadlineMs: untilMs, call }));
    },
    leave() {
      const waiter = next();
      if (waiter === null) free += 1;
      else waiter.call(true);
    },
    waiting: () => line.length - head,
    isFree: () => free > 0,
    isIdle: () => free === options.permits,
    close() {
      closed = true;
      endSweeps();
      sweep(Infinity);
    },
  };
}

/** Bounds are those of one key; a line that is idle is forgotten. */
export function waitingLines(options: Parameters<typeof waitingLine>[0]): WaitingLines {
  const lines = new Map<string, WaitingLine>();
  let closed = false;
  return {
    of: (key) => ({
      isFree: () => lines.get(key)?.isFree() ?? true,
      async enter(untilMs) {
        if (closed) return false;
        let line = lines.get(key);
        if (line === undefined) {
          line = waitingLine(options);
          lines.set(key, line);
        }
        return line.enter(untilMs);
      },
      leave() {
        const line = lines.get(key);
        line?.leave();
        if (line?.isIdle() !== true) return;
        line.close();
        lines.delete(key);
      },
    }),
    waiting() {
      let waiting = 0;
      for (const line of lines.values()) waiting += line.waiting();
      return waiting;
    },
    *waitingByKey() {
      for (const [key, line] of lines) yield [key, line.waiting()];
    },
    close() {
      closed = true;
      for (const line of lines.values()) line.close();
    },
  };
}
