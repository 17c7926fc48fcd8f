import { publishFailure } from "../telemetry.ts";
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
  /** Not up until a measurement that begins from now on has an answer; the offset stays. */
  lose(): void;
  close(): void;
};

const MEASURE_EVERY_MS = 1_000;
/** A reading is true at some moment between question and answer: quick ones are the exact ones. */
const SAMPLES_MAX = 8;
/** Two clocks drift apart by less in the seconds that samples are kept. */
const DRIFT_MS_MAX = 2;

export function databaseClock(readMs: () => Promise<number>, time: Time): DatabaseClock {
  let samples: readonly Sample[] = [];
  // Until the first measurement only, before which `openPostgres` gives the clock to nobody.
  let offsetMs = time.epochMs() - time.nowMs();
  let up = false;
  let measuring: Promise<void> | null = null;
  let losses = 0;

  const measureOnce = async (): Promise<void> => {
    const lossesBefore = losses;
    const askedMs = time.nowMs();
    try {
      const databaseMs = await readMs();
      const answeredMs = time.nowMs();
      const errorMs = (answeredMs - askedMs) / 2;
      const newest = { offsetMs: databaseMs - askedMs - errorMs, errorMs };
      // What it contradicts was before the database's clock was set, or before this machine slept.
      const agreeing = samples.filter((sample) => agree(sample, newest));
      samples = [newest, ...agreeing].slice(0, SAMPLES_MAX);
      offsetMs = samples.reduce((best, next) =>
        next.errorMs < best.errorMs ? next : best,
      ).offsetMs;
      up = losses === lossesBefore;
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
    // The offset of the last good measurement stays.
    measure().catch((error: unknown) => publishFailure("clock", error));
  });

  return {
    nowMs: () => time.nowMs() + offsetMs,
    isUp: () => up,
    measure,
    lose() {
      losses += 1;
      up = false;
    },
    close: endMeasuring,
  };
}

/** The true offset is within the error of either side. */
type Sample = { readonly offsetMs: number; readonly errorMs: number };

function agree(one: Sample, other: Sample): boolean {
  const apartMs = Math.abs(one.offsetMs - other.offsetMs);
  return apartMs <= one.errorMs + other.errorMs + DRIFT_MS_MAX;
}
