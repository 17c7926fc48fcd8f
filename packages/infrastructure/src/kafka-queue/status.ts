// What became of a claim of v3. Kafka is not asked: the rows and the mark tell all, so that whoever is in
// line is told so by a process that runs without it as well.
import type { ClaimStatus, CouponIssuer, EventId, Ticket } from "@stampede/domain";
import { ahead, EngineFault, estimateWait, guaranteed } from "@stampede/domain";
import type { Postgres } from "../engines/postgres/open.ts";
import type { EventDirectory, KnownEvent, Lookup } from "../rows/event-directory.ts";
import { statusByRows } from "../rows/status.ts";
import type { Time } from "../engines/time.ts";

/**
 * The place in the line is told by a reading that began after the question, however long that takes: a
 * mark that is older than what another process told would make `ahead` grow. Only while PostgreSQL is
 * away, and nothing is decided, the mark as last read is the mark.
 */
export function queueStatus({
  postgres,
  directory,
  ticketOf,
}: {
  readonly postgres: Pick<Postgres, "isUp" | "time">;
  readonly directory: EventDirectory;
  readonly ticketOf: Tickets;
}): CouponIssuer["status"] {
  return async (eventId, userId, ticket) => {
    const { known, mine: final } = directory.look(eventId, userId, { ask: false });
    if (final !== undefined) {
      return final === null ? { kind: "sold-out" } : { kind: "issued", couponIssue: final };
    }
    const lastKnown = ticket === null || known === null ? null : inLine(known, ticket, ticketOf);
    if (lastKnown !== null && !postgres.isUp()) return lastKnown;
    try {
      const lookup = await withinMs(postgres.time, directory.lookUp(eventId, userId));
      if (lookup !== "late") return statusOf(lookup, ticket, ticketOf);
    } catch (error) {
      // It does not answer at all: it is away, which this process may not have noticed yet.
      if (lastKnown === null || !(error instanceof EngineFault)) throw error;
      return lastKnown;
    }
    if (lastKnown !== null && !postgres.isUp()) return lastKnown;
    throw new EngineFault("postgres", "not-applied", "PostgreSQL has not told in time");
  };
}

async function withinMs<Answer>(time: Time, asked: Promise<Answer>): Promise<Answer | "late"> {
  const late = Promise.withResolvers<"late">();
  const callOff = time.after(READING_MS_MAX, () => late.resolve("late"));
  try {
    return await Promise.race([asked, late.promise]);
  } finally {
    callOff();
  }
}

function statusOf(lookup: Lookup | null, ticket: number | null, ticketOf: Tickets): ClaimStatus {
  const byRows = statusByRows(lookup);
  if (lookup === null || byRows.kind !== "none") return byRows;
  if (ticket === null || ticket < (lookup.queue?.nextOffset ?? 0)) return byRows;
  return inLine(lookup, ticket, ticketOf);
}

/**
 * Undecided. A line that is halted does not move: no place in it says when one's turn comes. Where it
 * ended with everything decided, there never was such a place.
 */
function inLine(known: KnownEvent, ticket: number, ticketOf: Tickets): ClaimStatus {
  if (known.event.voided) return { kind: "voided" };
  if (known.queue?.retired === true) return { kind: "none" };
  const isHalted = (known.queue?.halted ?? null) !== null;
  return isHalted
    ? { kind: "stalled", ticket }
    : { kind: "queued", ticket: ticketOf.of(known, ticket) };
}

/** Beyond it somebody is told that nobody knows now, and asks again. */
const READING_MS_MAX = 3_000;
/** Rates change by the second, and reading them costs more than all else in an answer. */
const RATES_KEPT_MS = 50;
/** The claims of one batch are answered together, and share one look at the mark. */
const MARK_KEPT_MS = 1;
const EVENTS_KEPT_MAX = 1_000;

export type Tickets = {
  /** By the mark of this reading. */
  of(known: KnownEvent, ticket: number): Ticket;
  /** By the mark as this process knows it now; by `known` where it knows none. */
  now(known: KnownEvent, ticket: number): Ticket;
};

export function tickets(directory: EventDirectory, time: Time): Tickets {
  /** Of each event: several sales may be at their height at once. */
  const keeper = <Value>(keptMs: number, read: (eventId: EventId) => Value) => {
    const kept = new Map<EventId, { readonly value: Value; readonly atMs: number }>();
    return (eventId: EventId): Value => {
      const nowMs = time.nowMs();
      const last = kept.get(eventId);
      if (last !== undefined && nowMs - last.atMs <= keptMs) return last.value;
      if (kept.size >= EVENTS_KEPT_MAX) kept.clear();
      const value = read(eventId);
      kept.set(eventId, { value, atMs: nowMs });
      return value;
    };
  };
  const ratesOf = keeper(RATES_KEPT_MS, (eventId) => directory.recentRates(eventId));
  const knownOf = keeper(MARK_KEPT_MS, (eventId) => directory.peek(eventId));
  const made = ({ event, queue }: KnownEvent, ticket: number): Ticket => {
    const aheadCount = ahead(ticket, queue?.nextOffset ?? 0);
    const rates = event.pace === null ? ratesOf(event.id) : [event.pace];
    return {
      eventId: event.id,
      ticket,
      ahead: aheadCount,
      guaranteed: guaranteed(ticket, event.limit),
      estimate: estimateWait(aheadCount, rates),
    };
  };
  return {
    of: made,
    now: (known, ticket) => made(knownOf(known.event.id) ?? known, ticket),
  };
}
