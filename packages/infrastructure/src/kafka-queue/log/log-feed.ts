// The logs that this process reads: those that are read now, and those of which it only wants to know
// when something comes. A thousand quiet ones cost one request that waits; one that is busy, paced or
// slow is in a request only when its own reader asks, so that it holds up nobody.
import type { Cluster } from "../../engines/kafka/cluster.ts";
import type { Time } from "../../engines/time.ts";
import { FetchLane } from "./fetch-lane.ts";
import type { LogReading } from "./log-reading.ts";
import type { EventLog } from "./topics.ts";

export type LogReader = {
  /**
   * The records from `offset` on; waits for the first one for up to `waitMs`. Rejects with
   * `EngineFault` ("not-applied").
   */
  read(offset: number, waitMs: number): Promise<LogReading>;
  /** Ends a read that is under way: it has found nothing. */
  close(): void;
};

export type LogFeed = {
  readonly openReader: (log: EventLog) => LogReader;
  /**
   * Calls `onNews` once, when the log has a record from `offset` on, or is not what it was. Gives the
   * function that ends it.
   */
  readonly watch: (log: EventLog, offset: number, onNews: () => void) => () => void;
  close(): Promise<void>;
};

/** A reader that joins waits for the request under way: that one must not wait long. */
const READ = {
  waitMs: (logs: number) => Math.max(20, Math.round(logs / 5)),
  restMs: () => 0,
  logBytesMax: 524_288,
  onlyWhether: false,
};
/** Naming a log costs both sides some microseconds: twenty thousand are named in a second, at most. */
const WATCH = {
  waitMs: (logs: number) => Math.min(1_000, Math.max(100, logs)),
  restMs: (logs: number) => logs / 20,
  logBytesMax: 1,
  onlyWhether: true,
};
const AFTER_FAULT_MS = 250;

export function logFeed(cluster: Cluster): LogFeed {
  const reads = new FetchLane(cluster, READ);
  const watches = new FetchLane(cluster, WATCH);
  return {
    openReader: (log) => readerOf(reads, cluster.time, log),
    watch(log, offset, onNews) {
      const watch = new LogWatch(watches, cluster.time, { log, offset, onNews });
      watch.begin();
      return () => watch.end();
    },
    async close() {
      await Promise.all([reads.close(), watches.close()]);
    },
  };
}

function readerOf(reads: FetchLane, time: Time, log: EventLog): LogReader {
  let end: (() => void) | null = null;
  return {
    read: async (offset, waitMs) =>
      new Promise((resolve, reject) => {
        const emptyFromMs = time.nowMs() + waitMs;
        const leave = reads.add({ log, offset, emptyFromMs, answer: resolve, fail: reject });
        end = () => {
          leave();
          resolve({ kind: "read", records: [], end: offset, appendedAtMs: null });
        };
      }),
    close: () => end?.(),
  };
}

type Watched = {
  readonly log: EventLog;
  readonly offset: number;
  readonly onNews: () => void;
};

class LogWatch {
  readonly #watches: FetchLane;
  readonly #time: Time;
  readonly #watched: Watched;
  #leave: (() => void) | null = null;
  #isOver = false;

  constructor(watches: FetchLane, time: Time, watched: Watched) {
    this.#watches = watches;
    this.#time = time;
    this.#watched = watched;
  }

  begin(): void {
    if (this.#isOver) return;
    const { log, offset, onNews } = this.#watched;
    this.#leave = this.#watches.add({
      log,
      offset,
      emptyFromMs: Infinity,
      answer: () => {
        if (this.#isOver) return;
        this.end();
        onNews();
      },
      fail: () => {
        // Nothing is lost by waiting: the log is there when its leader is.
        if (this.#watches.isClosed) return;
        this.#leave = this.#time.after(AFTER_FAULT_MS, () => this.begin());
      },
    });
  }

  end(): void {
    this.#isOver = true;
    this.#leave?.();
  }
}
