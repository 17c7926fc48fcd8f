import { judge as referee, type RunPart } from "@stampede/referee";
import type { Attempt } from "./history.ts";

/** A row of `coupon_issues`. */
export type StoredRow = {
  readonly seq: number;
  readonly userId: string;
  readonly code: string;
  /** RFC 3339, UTC, milliseconds. */
  readonly issuedAt: string;
  readonly ticket: number | null;
};

/** What the database holds of one event, in one snapshot; rows in order of `seq`. */
export type StoredSale = {
  readonly issued: number;
  readonly rows: readonly StoredRow[];
};

export type Violation = {
  readonly rule: string;
  /** Null where the detail says who. */
  readonly person: string | null;
  readonly detail: string;
};

/** One event's sale when nobody claims any more and nothing is queued. */
export type JudgedRun = {
  readonly mechanism: string;
  /** The limit that the event was created with. */
  readonly limit: number;
  readonly attempts: readonly Attempt[];
  readonly sale: StoredSale;
};

/**
 * A referee: all that must not be, found in a finished run; nothing found means that it was right. It
 * may take its time, to read a log for instance.
 */
export type Judge = (run: JudgedRun) => readonly Violation[] | Promise<readonly Violation[]>;

/** Asks the referee (docs/referee.md); a rule is the id of the promise that is broken. */
export function judge(run: JudgedRun): Violation[] {
  return referee(runPartOf(run)).map(({ invariant, detail }) => {
    return { rule: invariant, person: null, detail };
  });
}

/** A sale as the referee reads it, and as it is saved. */
export function runPartOf({ mechanism, limit, attempts, sale }: JudgedRun): RunPart {
  // A sale that nobody came to has no attempt to name its event by, and needs no particular name.
  const eventId = attempts[0]?.eventId ?? "unattended";
  const { issued, rows } = sale;
  return {
    events: [{ eventId, mechanism, limit, issued }],
    history: attempts,
    rows: rows.map((row) => ({ ...row, eventId })),
  };
}
