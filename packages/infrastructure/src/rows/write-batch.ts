import type { CouponEvent, DoorRefusal, EventId } from "@stampede/domain";
import { EngineFault } from "@stampede/domain";
import { issueBatch, lockEvent, readUnderLock } from "./coupon-issues.ts";
import type { BatchClaim, IssuedBatch } from "./coupon-issues.ts";
import type { EventDirectory } from "./event-directory.ts";
import type { Postgres } from "../engines/postgres/open.ts";

/** Where claims become rows. */
export type RowWriting = {
  readonly postgres: Postgres;
  readonly directory: EventDirectory;
  readonly drawCode: () => string;
};

/** Rows of one transaction: about 20 ms of the event row's lock. */
export const BATCH_ROWS_MAX = 500;

export type Door = {
  /** Judges the event at `nowMs` by the database's clock, under the lock; null where it is open. */
  readonly refusal: (event: CouponEvent, nowMs: number) => DoorRefusal | null;
  /** Where the event opens within this, the lock is held until it has. */
  readonly earlyMsMax: number;
};

/**
 * Decides claims of one event in their order, in one transaction; answers after the commit, of which
 * the directory knows then. Repeating it is safe: a person's row is found again. Rejects with
 * `EngineFault`.
 */
export async function writeBatch(
  { postgres, directory }: Omit<RowWriting, "drawCode">,
  eventId: EventId,
  claims: readonly Pick<BatchClaim, "userId" | "code">[],
  { refusal, earlyMsMax }: Door,
): Promise<IssuedBatch> {
  const userIds = claims.map(({ userId }) => userId);
  const batch = await postgres.transaction(async (sql) => {
    const event = await lockEvent(sql, eventId);
    if (event === null) {
      throw new EngineFault("postgres", "not-applied", `the row of event ${eventId} is gone`);
    }
    let facts = await readUnderLock(sql, eventId, userIds);
    const earlyMs = event.opensAtMs - facts.nowMs;
    if (earlyMs > 0 && earlyMs <= earlyMsMax) {
      await postgres.time.sleep(Math.ceil(earlyMs) + 1);
      facts = await readUnderLock(sql, eventId, userIds);
    }
    const door = refusal(event, facts.nowMs);
    const judged = claims.map(({ userId, code }) => ({ userId, code, ticket: null, door }));
    return issueBatch(sql, event, facts, judged);
  });
  directory.noteCommitted({ event: batch.event, queue: null, generation: null }, batch.added);
  return batch;
}
