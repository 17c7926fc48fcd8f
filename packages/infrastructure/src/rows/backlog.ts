import { BATCH_ROWS_MAX } from "./write-batch.ts";

/** Whoever would wait longer is turned away before they wait in vain. */
const WAIT_MS_MAX = 4_000;
const NEWEST_SHARE = 0.3;

export type Backlog = {
  /** A transaction decided so many claims in so long. */
  noteDecided(claims: number, ms: number): void;
  /** So many more may come behind so many; whoever comes after those would wait too long. */
  room(waiting: number): number;
};

/**
 * How many claims one event may have before it that are to be decided, by what its latest
 * transactions have decided; never fewer than `least`. `perMs` is what is believed before anything
 * was measured.
 */
export function measuredBacklog(before: {
  readonly least: number;
  readonly perMs: number;
}): Backlog {
  let { perMs } = before;
  return {
    noteDecided(claims, ms) {
      // A transaction that nobody waited behind tells how few came, not how many it could decide.
      if (claims < BATCH_ROWS_MAX) return;
      perMs += NEWEST_SHARE * (claims / Math.max(ms, 1) - perMs);
    },
    room: (waiting) => {
      const most = Math.max(before.least, Math.ceil(perMs * WAIT_MS_MAX));
      return Math.max(0, most - waiting);
    },
  };
}
