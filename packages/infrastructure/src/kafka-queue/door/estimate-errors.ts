// How good the waits are that people are told with their tickets: for a sample of tickets, when the
// mark has passed one, the difference is published as a fact.
//
// The sample is thin on purpose. Nothing is kept for a claim that is not part of it, and of a long
// line the more distant places are taken more rarely: about 64 * (1 + ln(length / 64)) of them.
import type { EventId, Ticket } from "@stampede/domain";
import type { EventDirectory } from "../../rows/event-directory.ts";
import { publishEstimateError } from "../../engines/telemetry.ts";
import type { Time } from "../../engines/time.ts";

export type EstimateErrors = {
  /** A ticket that a person was just given. */
  told(ticket: Ticket): void;
  close(): void;
};

type Sample = { readonly ticket: number; readonly toldAtMs: number; readonly estimateMs: number };

type Samples = {
  readonly waiting: Sample[];
  /** The last ticket that was taken into the sample. */
  last: number;
};

const AHEAD_PER_STEP = 64;
/** Samples of one event whose tickets are undecided, and events that have any. */
const WAITING_MAX = 400;
const EVENTS_MAX = 100;
/** A mark is known here within a quarter of a second; looking more often would tell little more. */
const LOOK_EVERY_MS = 50;
/** Whoever still waits after this long is not measured: the sample must end some time. */
const KEPT_MS = 3_600_000;

export function estimateErrors(
  directory: Pick<EventDirectory, "peek">,
  time: Time,
): EstimateErrors {
  const events = new Map<EventId, Samples>();
  let endLooks: (() => void) | null = null;
  let closed = false;

  const stop = (): void => {
    endLooks?.();
    endLooks = null;
  };
  const look = (): void => {
    const nowMs = time.nowMs();
    for (const [eventId, { waiting }] of events) {
      const queue = directory.peek(eventId)?.queue ?? null;
      const over = queue === null || queue.halted !== null;
      const mark = queue?.nextOffset ?? 0;
      while (waiting[0] !== undefined && waiting[0].ticket < mark) {
        const { toldAtMs, estimateMs } = waiting[0];
        publishEstimateError(Math.abs(nowMs - toldAtMs - estimateMs));
        waiting.shift();
      }
      while (waiting[0] !== undefined && nowMs - waiting[0].toldAtMs > KEPT_MS) waiting.shift();
      // The next ticket makes it anew; forgetting `last` lets at most one more in.
      if (over || waiting.length === 0) events.delete(eventId);
    }
    if (events.size === 0) stop();
  };

  return {
    told({ eventId, ticket, ahead, estimate }) {
      if (estimate === null || closed) return;
      let samples = events.get(eventId);
      if (samples === undefined) {
        if (events.size >= EVENTS_MAX) return;
        samples = { waiting: [], last: Number.NEGATIVE_INFINITY };
        events.set(eventId, samples);
      }
      if (ticket - samples.last < 1 + Math.floor(ahead / AHEAD_PER_STEP)) return;
      if (samples.waiting.length >= WAITING_MAX) return;
      samples.last = ticket;
      const estimateMs = estimate.seconds * 1_000;
      samples.waiting.push({ ticket, toldAtMs: time.nowMs(), estimateMs });
      endLooks ??= time.every(LOOK_EVERY_MS, look);
    },
    close() {
      closed = true;
      stop();
    },
  };
}
