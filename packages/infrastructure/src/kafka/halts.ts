import type { EventId } from "@stampede/domain";
import { EngineFault } from "@stampede/domain";
import type { Postgres } from "../postgres/open.ts";

/** Stops events whose log cannot be trusted any more, until an operator clears `queues.halted`. */
export type Halts = {
  /** Why this process has just halted an event; null where it has not (the row tells the rest). */
  reason(eventId: EventId): string | null;
  /** Counts here at once; the row follows as soon as PostgreSQL takes it. */
  halt(eventId: EventId, reason: string): void;
  /** Events halted by this process since it started. */
  count(): number;
  close(): void;
};

const WRITE_AGAIN_MS = 1_000;
/** Once the row is there, every process reads it within a second: this one may forget. */
const FORGET_MS = 3_000;

/** `onHalt` is called once per halt, for the loud log line. */
export function queueHalts(
  postgres: Postgres,
  onHalt: (eventId: EventId, reason: string) => void,
): Halts {
  const halted = new Map<EventId, { readonly reason: string; writtenAtMs: number | null }>();
  let count = 0;

  const writeMissing = async (): Promise<void> => {
    for (const [eventId, entry] of halted) {
      if (entry.writtenAtMs === null) {
        await writeHalt(postgres, eventId, entry.reason);
        entry.writtenAtMs = performance.now();
      } else if (performance.now() - entry.writtenAtMs > FORGET_MS) {
        halted.delete(eventId);
      }
    }
  };
  const write = (): void => {
    writeMissing().catch((error: unknown) => {
      // PostgreSQL is away: the event stays halted here, and the next tick writes it.
      if (!(error instanceof EngineFault)) throw error;
    });
  };
  const timer = setInterval(write, WRITE_AGAIN_MS);
  timer.unref();

  return {
    reason: (eventId) => halted.get(eventId)?.reason ?? null,
    halt(eventId, reason) {
      if (halted.has(eventId)) return;
      halted.set(eventId, { reason, writtenAtMs: null });
      count += 1;
      onHalt(eventId, reason);
      write();
    },
    count: () => count,
    close: () => clearInterval(timer),
  };
}

/** Keeps the first reason: what came after it is its consequence. */
async function writeHalt(postgres: Postgres, eventId: EventId, reason: string): Promise<void> {
  await postgres.query(
    "UPDATE queues SET halted = $2 WHERE event_id = $1 AND halted IS NULL RETURNING event_id",
    [eventId, reason],
  );
}
