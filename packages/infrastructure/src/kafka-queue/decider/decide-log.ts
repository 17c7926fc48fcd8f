// Decides one event's log from the mark on, for as long as this process leads.
//
// States
//   taking over --epoch + 1 committed--> reading --records--> deciding --committed--> reading
//   deciding --fault or unknown outcome--> taking over (the committed mark says where to go on)
//   deciding --stale--> ended: another decider has the event
//   reading --nothing new--> ended at its mark: whoever watches the log begins again
//   reading --the log does not fit the mark, a newer schema, a hole, two records at one offset--> halted
//
// Deliberately not done: reading ahead while a transaction runs (a batch of 2,000 takes about as long
// to read as to decide, and the door is never waiting for it).
import { publishBatch, publishFailure, publishRecovery } from "../../engines/telemetry.ts";
import type { EventId } from "@stampede/domain";
import { EngineFault } from "@stampede/domain";
import type { EventDirectory } from "../../rows/event-directory.ts";
import type { Postgres } from "../../engines/postgres/open.ts";
import { isCodeTaken } from "../../rows/coupon-issues.ts";
import { decideBatch, takeOver } from "./decide-batch.ts";
import type { BatchOptions, BatchOutcome, QueueEntry, TakenOver } from "./decide-batch.ts";
import { entriesOf } from "../log/log-entries.ts";
import type { LogReader } from "../log/log-feed.ts";
import type { LogReading } from "../log/log-reading.ts";
import type { Kafka } from "../log/open.ts";
import { paceLimiter } from "./pace.ts";
import type { PaceLimiter } from "./pace.ts";

export type LogDeciderOptions = {
  readonly kafka: Kafka;
  readonly postgres: Postgres;
  readonly directory: EventDirectory;
  /** Runs a transaction when it is its turn among those of all events; null: it will not come. */
  readonly inTurn: <Value>(run: () => Promise<Value>) => Promise<Value | null>;
  /** How long a log has to look broken; two brokers must then agree, where there are two. */
  readonly haltAfterMs: number;
  readonly halt: (eventId: EventId, reason: string) => void;
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
const QUIET_MS = 5_000;
/** A halt is for ever, so one odd answer of a broker that restarts must not be enough. */
const LOOKS = 3;
const LOOK_AGAIN_MS = 400;

/**
 * Ends when the log rests, is halted or belongs to another decider, or when `signal` aborts. Gives
 * where it rests; null otherwise.
 */
export async function decideLog(
  options: LogDeciderOptions,
  eventId: EventId,
  signal: AbortSignal,
): Promise<TakenOver | null> {
  let failed = false;
  while (!signal.aborted) {
    try {
      const taken = await options.inTurn(async () => takeOver(options.postgres, eventId));
      if (taken === null) return null;
      if (failed) publishRecovery("queue-resume");
      failed = false;
      return await decideFrom(options, taken, signal);
    } catch (error) {
      // Every fault leads back to what is committed; a bug is told, and must not end the decider.
      failed = true;
      const fault = error instanceof EngineFault;
      if (fault) publishFailure("decider", error);
      else options.onError(error);
      await options.postgres.time.sleep(fault ? AFTER_FAULT_MS : AFTER_BUG_MS, signal);
    }
  }
  return null;
}

async function decideFrom(
  options: LogDeciderOptions,
  taken: TakenOver,
  signal: AbortSignal,
): Promise<TakenOver | null> {
  const { time } = options.postgres;
  const reader = options.kafka.openReader(taken);
  // Ends the long poll that is under way: stepping down must not take half a second.
  const hangUp = (): void => reader.close();
  signal.addEventListener("abort", hangUp, { once: true });
  const limiter = paceLimiter(time.nowMs());
  let at = taken;
  let entries: readonly QueueEntry[] = [];
  let lastRecordAtMs = time.nowMs();
  try {
    while (!signal.aborted) {
      if (entries.length === 0) {
        const next = await readNext(options, at, reader, signal);
        if (next === "halted") return null;
        entries = next;
      }
      if (entries.length > 0) {
        const decided = await decideNext(options, at, entries, { limiter, signal });
        if (decided === "stale") return null;
        at = decided;
        entries = entries.filter((entry) => entry.ticket >= decided.nextOffset);
        lastRecordAtMs = time.nowMs();
      } else if (time.nowMs() - lastRecordAtMs > QUIET_MS) {
        return at;
      }
    }
    return null;
  } finally {
    signal.removeEventListener("abort", hangUp);
    reader.close();
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
    publishFailure("decider", error);
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
  { kafka, postgres: { time }, haltAfterMs }: LogDeciderOptions,
  at: TakenOver,
  signal: AbortSignal,
): Promise<string | null> {
  const untilMs = time.nowMs() + haltAfterMs;
  for (let looks = 1; ; looks += 1) {
    await time.sleep(LOOK_AGAIN_MS, signal);
    const byTwo = looks >= LOOKS && time.nowMs() >= untilMs;
    const log = { ...at, mark: at.nextOffset };
    const seen = await kafka.inspectLogs([log], { retention: false, byTwo });
    const reason = seen.get(at.topic)?.broken ?? null;
    if (reason === null || signal.aborted) return null;
    if (byTwo) return reason;
  }
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
  let codesHeld = false;
  for (;;) {
    const startedAtMs = time.nowMs();
    const how: BatchOptions = { limiter, openingAwaited, codesHeld };
    let outcome: BatchOutcome | null;
    try {
      outcome = await options.inTurn(async () => decideBatch(options.postgres, at, batch, how));
    } catch (error) {
      if (codesHeld || !isCodeTaken(error)) throw error;
      // Whoever was let in keeps what they were promised: they get another code, and it is told.
      options.onError(error);
      codesHeld = true;
      continue;
    }
    if (outcome === null) return "stale";
    if (outcome.kind === "decided") {
      limiter.note(outcome.count, startedAtMs, time.nowMs());
      return noteDecided(options, at, outcome);
    }
    if (outcome.kind === "stale" || signal.aborted) return "stale";
    openingAwaited ||= outcome.until === "opening";
    await time.sleep(Math.min(outcome.waitMs, WAIT_MS_MAX), signal);
  }
}

/** What the rows say beside the mark is the directory's to read. */
const GOING_ON = { halted: null, haltChanges: 0, retired: false } as const;

function noteDecided(
  options: LogDeciderOptions,
  at: TakenOver,
  { event, count, added }: BatchOutcome & { readonly kind: "decided" },
): TakenOver {
  const { topic, topicId } = at;
  const nextOffset = at.nextOffset + count;
  const lastWinningTicket = added.at(-1)?.ticket ?? at.lastWinningTicket;
  const queue = { topic, topicId, nextOffset, lastWinningTicket, ...GOING_ON };
  options.directory.noteCommitted({ event, queue, generation: null }, added);
  publishBatch("kafka-decide", count);
  options.onDecided(count, nextOffset);
  return { ...at, nextOffset, lastWinningTicket };
}
