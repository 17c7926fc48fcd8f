import type { CouponIssuer } from "@stampede/domain";
import { doorRefusal, EngineFault, invariant } from "@stampede/domain";
import { publishRowLockWait } from "../engines/telemetry.ts";
import { issueBatch, lockEvent, readUnderLock } from "../rows/coupon-issues.ts";
import type { EventDirectory } from "../rows/event-directory.ts";
import { statusByRows } from "../rows/status.ts";
import type { Postgres } from "../engines/postgres/open.ts";

/**
 * v1, the honest baseline: every claim, a loser's too, takes the event row's lock (JPA's
 * `PESSIMISTIC_WRITE`), is judged by what the locked row says, and commits. No cache of "sold out",
 * no batches. `postgres` should be a pool of its own and small: more connections make one hot row
 * slower. Its line of waiters and their deadline are the bounds of this mechanism.
 */
export function rowLockIssuer(options: {
  readonly postgres: Postgres;
  readonly directory: EventDirectory;
  readonly drawCode: () => string;
}): CouponIssuer {
  const { postgres, directory, drawCode } = options;
  return {
    async claim(eventId, userId) {
      const issued = await postgres.transaction(async (sql) => {
        const askedAtMs = postgres.time.nowMs();
        const event = await lockEvent(sql, eventId);
        publishRowLockWait(postgres.time.nowMs() - askedAtMs);
        if (event === null) {
          throw new EngineFault("postgres", "not-applied", `the row of event ${eventId} is gone`);
        }
        const facts = await readUnderLock(sql, eventId, [userId]);
        const door = doorRefusal(event, facts.nowMs);
        const claim = { userId, code: drawCode(), ticket: null, door };
        return issueBatch(sql, event, facts, [claim]);
      }, eventId);
      // Nothing is decided by it: whoever looks from now on sees what was committed.
      directory.noteCommitted({ event: issued.event, queue: null, generation: null }, issued.added);
      const answer = issued.answers[0];
      invariant(answer !== undefined, "a batch answers every claim");
      return answer.ok ? answer.value : { kind: "refused", refusal: answer.refusal };
    },
    async status(eventId, userId) {
      return statusByRows(await directory.lookUp(eventId, userId));
    },
    available: () => postgres.isUp(),
  };
}
