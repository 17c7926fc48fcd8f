import type { Time } from "../time.ts";

/**
 * The database's clock, carried as an offset to this process's monotonic clock: windows are judged
 * by one clock on every machine, and a wrong or stepping clock of ours changes nothing. Kept as it
 * is while the database is away.
 */
export type DatabaseClock = {
  /** Epoch milliseconds by the database's clock. */
  nowMs(): number;
  /** Whether the last measurement got an answer. */
  isUp(): boolean;
  /** Measures now; rejects as the reading does. */
  measure(): Promise<void>;
  close(): void;
};

const MEASURE_EVERY_MS = 1_000;
/** A reading is true at some moment between question and answer: quick ones are the exact ones. */
const SAMPLES_MAX = 8;

export function databaseClock(readMs: () => Promise<number>, time: Time): DatabaseClock {
  let samples: { readonly offsetMs: number; readonly errorMs: number }[] = [];
  // Until the first measurement only, before which `openPostgres` gives the clock to nobody.
  let offsetMs = time.epochMs() - time.nowMs();
  let up = false;
  let measuring: Promise<void> | null = null;

  const measureOnce = async (): Promise<void> => {
    const askedMs = time.nowMs();
    try {
      const databaseMs = await readMs();
      const answeredMs = time.nowMs();
      const errorMs = (answeredMs - askedMs) / 2;
      samples = [{ offsetMs: databaseMs - askedMs - errorMs, errorMs }, ...samples].slice(
        0,
        SAMPLES_MAX,
      );
      offsetMs = samples.reduce((best, next) =>
        next.errorMs < best.errorMs ? next : best,
      ).offsetMs;
      up = true;
    } catch (error) {
      up = false;
      throw error;
    }
  };
  const measure = async (): Promise<void> => {
    measuring ??= measureOnce().finally(() => {
      measuring = null;
    });
    return measuring;
  };
  const endMeasuring = time.every(MEASURE_EVERY_MS, () => {
    // A failed measurement is told by isUp; the offset of the last good one stays.
    measure().catch(() => undefined);
  });

  return {
    nowMs: () => time.nowMs() + offsetMs,
    isUp: () => up,
    measure,
    close: endMeasuring,
  };
}
