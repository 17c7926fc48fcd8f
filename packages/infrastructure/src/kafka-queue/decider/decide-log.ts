// Decides one event's log from the mark on, for as long as this process leads.
//
// States
//   taking over --epoch + 1 committed--> reading --records--> deciding --committed--> reading
//   deciding --fault or unknown outcome--> taking over (the committed mark says where to go on)
//   deciding --stale--> ended: another decider has the event
//   reading --nothing new, nobody expects any--> ended: the patrol wakes it
//   reading --the log does not fit the mark, a newer schema, a hole, two records at one offset--> halted
//
// Deliberately not done: reading ahead while a transaction runs (a batch of 2,000 takes about as long
// to read as to decide, and the door is never waiting for it).
import { publishBatch, publishRecovery } from "../telemetry.ts";
import type { EventId } from "@stampede/domain";
import { EngineFault } from "@stampede/domain";
import type { EventDirectory } from "../postgres/event-directory.ts";
import type { Postgres } from "../postgres/open.ts";
import { decideBatch, takeOver } from "./decide-batch.ts";
import type { BatchOutcome, QueueEntry, TakenOver } from "./decide-batch.ts";
import { entriesOf } from "./log-entries.ts";
import type { LogReader, LogReading } from "./log-reader.ts";
import type { Kafka } from "./open.ts";
import { paceLimiter } from "./pace.ts";
import type { PaceLimiter } from "./pace.ts";

export type LogDeciderOptions = {
  readonly kafka: Kafka;
  readonly postgres: Postgres;
  readonly directory: EventDirectory;
  readonly halt: (eventId: EventId, reason: string) => void;
  /** Whether to wait for new records although none came for a while. */
  readonly expectsMore: (eventId: EventId) => boolean;
  readonly onError: (error: unknown) => void;
  /** So many records were decided and committed; `nextOffset` is the mark after them. */
  readonly onDecided: (count: number, nextOffset: number) => void;
  /** Where the log ends, and since when its first undecided record waits (epoch milliseconds). */
  readonly onReading: (
    eventId: EventId,
    reading: { readonly end: number; readonly mark: number; readonly sinceMs: number | null },
  ) => void;
};

const POLL_MS = 500;
const BATCH_RECORDS_MAX = 2_000;
/** An operator's change of the pace counts within a second; an opening that moved is not awaited. */
const WAIT_MS_MAX = 900;
const AFTER_FAULT_MS = 200;
const AFTER_BUG_MS = 1_000;
const QUIET_MS = 30_000;
/** A halt is for ever, so one odd answer of a broker that restarts must not be enough. */
const LOOKS = 3;
const LOOK_AGAIN_MS = 400;

/** Ends when the event rests, is halted or belongs to another decider, or when `signal` aborts. */
export async function decideLog(
  options: LogDeciderOptions,
  eventId: EventId,
  signal: AbortSignal,
): Promise<void> {
  let failed = false;
  while (!signal.aborted) {
    try {
      const taken = await takeOver(options.postgres, eventId);
      if (taken === null) return;
      if (failed) publishRecovery("queue-resume");
      failed = false;
      await decideFrom(options, taken, signal);
      return;
    } catch (error) {
      // Every fault leads back to what is committed; a bug is told, and must not end the decider.
      failed = true;
      const fault = error instanceof EngineFault;
      if (!fault) options.onError(error);
      await options.postgres.time.sleep(fault ? AFTER_FAULT_MS : AFTER_BUG_MS, signal);
    }
  }
}

async function decideFrom(
  options: LogDeciderOptions,
  taken: TakenOver,
  signal: AbortSignal,
): Promise<void> {
  const { time } = options.postgres;
  const reader = options.kafka.openReader(taken);
  // Ends the long poll that is under way: stepping down must not take half a second.
  const hangUp = (): void => void reader.close();
  signal.addEventListener("abort", hangUp, { once: true });
  const limiter = paceLimiter(time.nowMs());
  let at = taken;
  let entries: readonly QueueEntry[] = [];
  let lastRecordAtMs = time.nowMs();
  try {
    while (!signal.aborted) {
      if (entries.length === 0) {
        const next = await readNext(options, at, reader, signal);
        if (next === "halted") return;
        entries = next;
      }
      if (entries.length > 0) {
        const decided = await decideNext(options, at, entries, { limiter, signal });
        if (decided === "stale") return;
        at = decided;
        entries = entries.filter((entry) => entry.ticket >= decided.nextOffset);
        lastRecordAtMs = time.nowMs();
      } else if (time.nowMs() - lastRecordAtMs > QUIET_MS && !options.expectsMore(at.eventId)) {
        return;
      }
    }
  } finally {
    signal.removeEventListener("abort", hangUp);
    await reader.close();
  }
}

/** The next entries of the log; none where nothing came in time. */
async function readNext(
  options: LogDeciderOptions,
  at: TakenOver,
  reader: LogReader,
  signal: AbortSignal,
): Promise<readonly QueueEntry[] | "halted"> {
  let reading: LogReading;
  try {
    reading = await reader.read(at.nextOffset, POLL_MS);
  } catch (error) {
    if (!(error instanceof EngineFault)) throw error;
    // No broker, or no leader now: nothing is lost by waiting, and the queue stays ours.
    await options.postgres.time.sleep(AFTER_FAULT_MS, signal);
    return [];
  }
  if (reading.kind === "mismatch") {
    const reason = await brokenFor(options, at, signal);
    if (reason === null) return [];
    options.halt(at.eventId, reason);
    return "halted";
  }
  const { end, appendedAtMs: sinceMs } = reading;
  options.onReading(at.eventId, { end, mark: at.nextOffset, sinceMs });
  const { entries, stop } = entriesOf(at, reading.records);
  if (entries.length > 0 || stop === null) return entries;
  options.halt(at.eventId, stop);
  return "halted";
}

/** Why the log does not fit the mark; null where it does after all, or nothing can be seen. */
async function brokenFor(
  { kafka, postgres: { time } }: LogDeciderOptions,
  at: TakenOver,
  signal: AbortSignal,
): Promise<string | null> {
  let reason: string | null = null;
  for (let look = 1; look <= LOOKS; look += 1) {
    await time.sleep(LOOK_AGAIN_MS, signal);
    const logs = await kafka.inspectLogs([{ ...at, mark: at.nextOffset }], { retention: false });
    reason = logs.get(at.topic)?.broken ?? null;
    if (reason === null || signal.aborted) return null;
  }
  return reason;
}

async function decideNext(
  options: LogDeciderOptions,
  at: TakenOver,
  entries: readonly QueueEntry[],
  { limiter, signal }: { readonly limiter: PaceLimiter; readonly signal: AbortSignal },
): Promise<TakenOver | "stale"> {
  const { time } = options.postgres;
  const batch = entries.slice(0, BATCH_RECORDS_MAX);
  let openingAwaited = false;
  for (;;) {
    const startedAtMs = time.nowMs();
    const outcome = await decideBatch(options.postgres, at, batch, { limiter, openingAwaited });
    if (outcome.kind === "decided") {
      limiter.note(outcome.count, startedAtMs, time.nowMs());
      return noteDecided(options, at, outcome);
    }
    if (outcome.kind === "stale" || signal.aborted) return "stale";
    openingAwaited ||= outcome.until === "opening";
    await time.sleep(Math.min(outcome.waitMs, WAIT_MS_MAX), signal);
  }
}

function noteDecided(
  options: LogDeciderOptions,
  at: TakenOver,
  { event, count, added }: BatchOutcome & { readonly kind: "decided" },
): TakenOver {
  const { topic, topicId } = at;
  const nextOffset = at.nextOffset + count;
  const lastWinningTicket = added.at(-1)?.ticket ?? at.lastWinningTicket;
  const queue = { topic, topicId, nextOffset, lastWinningTicket, halted: null };
  options.directory.noteCommitted({ event, queue, generation: null }, added);
  publishBatch("kafka-decide", count);
  options.onDecided(count, nextOffset);
  return { ...at, nextOffset, lastWinningTicket };
}
