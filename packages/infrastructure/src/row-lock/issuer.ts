import type { CouponIssuer } from "@stampede/domain";
import { doorRefusal, EngineFault, invariant } from "@stampede/domain";
import { publishRowLockWait } from "../telemetry.ts";
import { issueBatch, lockEvent, readUnderLock } from "./coupon-issues.ts";
import type { Lookup } from "./event-directory.ts";
import type { EventDirectory } from "./event-directory.ts";
import type { Postgres } from "./open.ts";

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
    claim: async (eventId, userId) =>
      postgres.transaction(async (sql) => {
        const askedAtMs = postgres.time.nowMs();
        const event = await lockEvent(sql, eventId);
        publishRowLockWait(postgres.time.nowMs() - askedAtMs);
        if (event === null) {
          throw new EngineFault("postgres", "not-applied", `the row of event ${eventId} is gone`);
        }
        const facts = await readUnderLock(sql, eventId, [userId]);
        const door = doorRefusal(event, facts.nowMs);
        const claim = { userId, code: drawCode(), ticket: null, door };
        const { answers } = await issueBatch(sql, event, facts, [claim]);
        const answer = answers[0];
        invariant(answer !== undefined, "a batch answers every claim");
        return answer.ok ? answer.value : { kind: "refused", refusal: answer.refusal };
      }),
    async status(eventId, userId) {
      return statusWithoutQueue(await directory.lookUp(eventId, userId));
    },
    available: () => postgres.isUp(),
  };
}

/** The status of a person where nothing queues (v1, v2). */
export function statusWithoutQueue(
  lookup: Lookup | null,
): Awaited<ReturnType<CouponIssuer["status"]>> {
  if (lookup === null) return { kind: "none" };
  if (lookup.mine !== null) return { kind: "issued", couponIssue: lookup.mine };
  return { kind: lookup.event.issued === lookup.event.limit ? "sold-out" : "none" };
}
