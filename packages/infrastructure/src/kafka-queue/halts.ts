import type { EventId } from "@stampede/domain";
import { EngineFault } from "@stampede/domain";
import type { Postgres } from "../engines/postgres/open.ts";

/** Stops events whose log cannot be trusted any more, until an operator clears `queues.halted`. */
export type Halts = {
  /** Why this process has just halted an event; null where it has not (the row tells the rest). */
  reason(eventId: EventId): string | null;
  /** Whether anybody has halted it, as the rows were within the last second, or this process just now. */
  isHalted(eventId: EventId): boolean;
  /** So many events are halted, whoever did it and when. */
  count(): number;
  /** Counts here at once; the row follows as soon as PostgreSQL takes it. */
  halt(eventId: EventId, reason: string): void;
  close(): void;
};

/**
 * A log has to look broken for so long before its event is halted: longer than a broker takes that was
 * killed (its session ends after 9 s by default), or that comes back and learns what there is.
 */
export const HALT_AFTER_MS = 10_000;

/** Missing rows are written, and all of them are read, at this pace. */
const EXCHANGE_EVERY_MS = 1_000;
/** Once the row is there, every process reads it within a second: this one may forget. */
const FORGET_MS = 3_000;

/** `onHalt` is called once per halt, for the loud log line. */
export function queueHalts(
  postgres: Postgres,
  onHalt: (eventId: EventId, reason: string) => void,
): Halts {
  const halted = new Map<EventId, { readonly reason: string; writtenAtMs: number | null }>();
  let standing: ReadonlySet<EventId> = new Set();
  let closed = false;

  const writeMissing = async (): Promise<void> => {
    for (const [eventId, entry] of halted) {
      if (entry.writtenAtMs === null) {
        await writeHalt(postgres, eventId, entry.reason);
        entry.writtenAtMs = postgres.time.nowMs();
      } else if (postgres.time.nowMs() - entry.writtenAtMs > FORGET_MS) {
        halted.delete(eventId);
      }
    }
  };
  const exchange = async (): Promise<void> => {
    try {
      await writeMissing();
      standing = await readHalts(postgres);
    } catch (error) {
      // PostgreSQL is away or closed: what is halted stays so here, and the next tick writes it.
      if (!closed && !(error instanceof EngineFault)) throw error;
    }
  };
  const endExchanges = postgres.time.every(EXCHANGE_EVERY_MS, () => void exchange());
  void exchange();

  return {
    reason: (eventId) => halted.get(eventId)?.reason ?? null,
    isHalted: (eventId) => halted.has(eventId) || standing.has(eventId),
    count: () => new Set([...standing, ...halted.keys()]).size,
    halt(eventId, reason) {
      if (halted.has(eventId)) return;
      halted.set(eventId, { reason, writtenAtMs: null });
      onHalt(eventId, reason);
      void exchange();
    },
    close() {
      closed = true;
      endExchanges();
    },
  };
}

/** Keeps the first reason: what came after it is its consequence. */
export async function writeHalt(
  postgres: Postgres,
  eventId: EventId,
  reason: string,
): Promise<void> {
  await postgres.query(
    "UPDATE queues SET halted = $2 WHERE event_id = $1 AND halted IS NULL AND retired_at IS NULL RETURNING event_id",
    [eventId, reason],
  );
}

/**
 * Few rows of a table with one for each event of v3; a thousand are read in a millisecond. What an
 * operator ended needs nobody any more.
 */
async function readHalts(postgres: Postgres): Promise<ReadonlySet<EventId>> {
  const rows = await postgres.query<{ event_id: EventId }>(
    `SELECT q.event_id FROM queues q JOIN events e ON e.id = q.event_id
      WHERE q.halted IS NOT NULL AND q.retired_at IS NULL AND e.voided_at IS NULL`,
  );
  return new Set(rows.map((row) => row.event_id));
}
