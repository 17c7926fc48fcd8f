// Reservations become rows. A reservation is never given back (a lost COMMIT may have committed it)
// and never called "not applied": whoever cannot be told in time is told "unknown", and the reconciler
// writes the row.
//
// Deliberately not done: retrying until it works. The reconciler does that, from Redis, and it also
// serves the reservations of a process that died.
import type { EventId, UserId } from "@stampede/domain";
import { publishBatch, publishRepair } from "../engines/telemetry.ts";
import type { Backlog } from "../rows/backlog.ts";
import { BatchWriter } from "../rows/batch-writer.ts";
import type { IssuedBatch } from "../rows/coupon-issues.ts";
import { BATCH_ROWS_MAX, writeBatch } from "../rows/write-batch.ts";
import type { Door, RowWriting } from "../rows/write-batch.ts";

/** A person waits no longer for the row of their reservation. */
const ANSWER_MS_MAX = 8_000;

/**
 * Whoever reserved has passed the door. A reservation can be ahead of the window by no more than our
 * clock is ahead of the database's. An event that opens later than that was moved by an operator after
 * these claims were in time.
 */
const PASSED: Door = { refusal: () => null, earlyMsMax: 1_000 };

/**
 * Turns the reservations of these persons into rows, in this order, in one transaction; answers after
 * the commit. Each attempt draws fresh codes, since the last one's may have been committed. Rejects
 * with `EngineFault`.
 */
export async function writeReservations(
  writing: RowWriting,
  eventId: EventId,
  userIds: readonly UserId[],
): Promise<IssuedBatch> {
  const claims = userIds.map((userId) => ({ userId, code: writing.drawCode() }));
  const batch = await writeBatch(writing, eventId, claims, PASSED);
  publishRepair("refused", batch.answers.filter((answer) => !answer.ok).length);
  return batch;
}

/** Writes the rows of one event's reservations, in the order of their numbers in Redis. */
export function reservationWriter(options: {
  readonly writing: RowWriting;
  readonly eventId: EventId;
  /** Told how long full transactions take. */
  readonly backlog: Backlog;
  /** Called when nothing is left to write. */
  readonly onIdle: () => void;
}): BatchWriter<number> {
  const { writing, eventId, backlog, onIdle } = options;
  const { time } = writing.postgres;
  return new BatchWriter<number>({
    time,
    owed: true,
    answerMsMax: ANSWER_MS_MAX,
    take: (line) => line.splice(0, BATCH_ROWS_MAX).toSorted((one, other) => one.item - other.item),
    begin(batch) {
      publishBatch("redis-rows", batch.length);
      const userIds = batch.map(({ userId }) => userId);
      return async () => {
        const startedMs = time.nowMs();
        const { answers } = await writeReservations(writing, eventId, userIds);
        backlog.noteDecided(userIds.length, time.nowMs() - startedMs);
        return answers;
      };
    },
    onIdle,
  });
}
