import type { EventId, UserId } from "@stampede/domain";
import { EngineFault } from "@stampede/domain";
import { issueBatch, lockEvent, readUnderLock } from "../postgres/coupon-issues.ts";
import type { IssuedBatch } from "../postgres/coupon-issues.ts";
import type { EventDirectory } from "../postgres/event-directory.ts";
import type { Postgres } from "../postgres/open.ts";
import { publishRepair } from "../telemetry.ts";

/** Where reserved coupons become rows. */
export type RowWriting = {
  readonly postgres: Postgres;
  readonly directory: EventDirectory;
  readonly drawCode: () => string;
};

/** Rows of one transaction: about 20 ms of the event row's lock. */
export const BATCH_ROWS_MAX = 500;

/**
 * A reservation can be ahead of the window by no more than our clock is ahead of the database's. An
 * event that opens later than that was moved by an operator after these claims were in time.
 */
const EARLY_MS_MAX = 1_000;

/**
 * Turns the reservations of these persons into rows, in this order, in one transaction; answers
 * after the commit. Repeating it is safe: a person's row is found again. Each attempt draws fresh
 * codes, since the last one's may have been committed. Rejects with `EngineFault`.
 */
export async function writeBatch(
  writing: RowWriting,
  eventId: EventId,
  userIds: readonly UserId[],
): Promise<IssuedBatch> {
  const batch = await writing.postgres.transaction(async (sql) => {
    const event = await lockEvent(sql, eventId);
    if (event === null) {
      throw new EngineFault("postgres", "not-applied", `the row of event ${eventId} is gone`);
    }
    let facts = await readUnderLock(sql, eventId, userIds);
    const earlyMs = event.opensAtMs - facts.nowMs;
    if (earlyMs > 0 && earlyMs <= EARLY_MS_MAX) {
      await writing.postgres.time.sleep(Math.ceil(earlyMs) + 1);
      facts = await readUnderLock(sql, eventId, userIds);
    }
    const claims = userIds.map((userId) => ({
      userId,
      code: writing.drawCode(),
      ticket: null,
      door: null,
    }));
    return issueBatch(sql, event, facts, claims);
  });
  const known = { event: batch.event, queue: null, generation: null };
  writing.directory.noteCommitted(known, batch.added);
  publishRepair("refused", batch.answers.filter((answer) => !answer.ok).length);
  return batch;
}
