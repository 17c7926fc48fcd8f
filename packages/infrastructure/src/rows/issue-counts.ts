// The rows themselves, counted: `issued` of an event is a counter beside them, and whether the two
// agree is seen only by somebody who does not trust the counter.
import type { EventId, Mechanism } from "@stampede/domain";
import { EngineFault } from "@stampede/domain";
import type { EventDirectory } from "./event-directory.ts";
import { publishFailure } from "../engines/telemetry.ts";
import type { Postgres, Sql } from "../engines/postgres/open.ts";

type IssueCount = {
  readonly eventId: EventId;
  readonly mechanism: Mechanism;
  /** Rows of `coupon_issues`. */
  readonly couponIssues: number;
  /** When the last coupon was issued, epoch milliseconds; null while the event is not sold out. */
  readonly soldOutAtMs: number | null;
};

export type IssueCounts = {
  /** Of the events in use, as last counted: some seconds ago, or longer while PostgreSQL is away. */
  last(): readonly IssueCount[];
  /** Counts now. Rejects with `EngineFault`. */
  count(): Promise<void>;
  /** Ends the timer. Close it before the database. */
  close(): void;
};

const COUNT_EVERY_MS = 5_000;
/** Ten thousand rows take about a millisecond, a million a hundred: at most this share of the time. */
const REST_PER_COUNTING = 50;

/** Counts every five seconds while any event is in use; one query for at most `eventsMax` events. */
export function issueCounts(
  postgres: Pick<Postgres, "query" | "time">,
  directory: Pick<EventDirectory, "known">,
  eventsMax: number,
): IssueCounts {
  const { time } = postgres;
  let counts: readonly IssueCount[] = [];
  let restUntilMs = 0;
  let running: Promise<void> | null = null;

  const countOnce = async (): Promise<void> => {
    const startedMs = time.nowMs();
    const ids = directory.known(eventsMax).map(({ event }) => event.id);
    try {
      counts = ids.length === 0 ? [] : await countRows(postgres, ids);
    } finally {
      // Also after a failure: what took long and failed would take long again.
      const endedMs = time.nowMs();
      restUntilMs = endedMs + (endedMs - startedMs) * REST_PER_COUNTING;
    }
  };
  const count = async (): Promise<void> => {
    running ??= countOnce().finally(() => {
      running = null;
    });
    return running;
  };
  const endCounting = time.every(COUNT_EVERY_MS, () => {
    if (time.nowMs() < restUntilMs) return;
    count().catch((error: unknown) => {
      // PostgreSQL is away: the next count is made when it is back.
      if (!(error instanceof EngineFault)) throw error;
      publishFailure("issue-counts", error);
    });
  });
  return { last: () => counts, count, close: endCounting };
}

/** Both reads go by the primary key; no lock is taken. */
async function countRows(sql: Sql, ids: readonly EventId[]): Promise<IssueCount[]> {
  return sql.query<IssueCount>(
    `SELECT e.id AS "eventId", e.mechanism,
            (SELECT count(*) FROM coupon_issues i WHERE i.event_id = e.id)::float8 AS "couponIssues",
            CASE WHEN e.issued = e.limit_quantity THEN
              (SELECT (extract(epoch FROM i.issued_at) * 1000)::float8 FROM coupon_issues i
                WHERE i.event_id = e.id AND i.seq = e.limit_quantity) END AS "soldOutAtMs"
       FROM events e WHERE e.id = ANY ($1)`,
    [ids],
  );
}
