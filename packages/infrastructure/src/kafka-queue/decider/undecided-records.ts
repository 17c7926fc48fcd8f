import type { EventId } from "@stampede/domain";

/** What is known of the undecided records of all logs; numbers for metrics, never for a decision. */
export type UndecidedRecords = {
  /** A look from outside: where the log ended, and the mark that was committed then. */
  look(
    eventId: EventId,
    look: { readonly end: number; readonly mark: number },
    nowMs: number,
  ): void;
  /** A log decider read the log; `sinceMs` is when its first undecided record was appended. */
  read(
    eventId: EventId,
    reading: { readonly end: number; readonly mark: number; readonly sinceMs: number | null },
  ): void;
  decided(eventId: EventId, mark: number): void;
  /** Undecided records of one log. */
  waiting(eventId: EventId): number;
  /** Undecided records of each log that has any. */
  waitingByEvent(): ReadonlyMap<EventId, number>;
  facts(nowMs: number): { readonly lag: number; readonly oldestUndecidedMs: number };
  /** Of each log that has any: how long the first has waited, and how long none was decided. */
  ages(nowMs: number): ReadonlyMap<EventId, UndecidedAge>;
  clear(): void;
};

export type UndecidedAge = { readonly oldestMs: number; readonly stillMs: number };

type Entry = { end: number; mark: number; sinceMs: number | null; stillSinceMs: number };

/** `clockMs` is that of the database. */
export function undecidedRecords(clockMs: () => number): UndecidedRecords {
  // Only logs with undecided records have an entry: thousands of finished events take no memory.
  const entries = new Map<EventId, Entry>();

  const update = (
    eventId: EventId,
    { end, mark, sinceMs }: Partial<Omit<Entry, "stillSinceMs">>,
  ): void => {
    const known = entries.get(eventId);
    const entry = known ?? { end: 0, mark: 0, sinceMs: null, stillSinceMs: 0 };
    if (known === undefined || (mark ?? 0) > known.mark) entry.stillSinceMs = clockMs();
    entry.end = Math.max(entry.end, end ?? 0);
    entry.mark = Math.max(entry.mark, mark ?? 0);
    entry.sinceMs = sinceMs ?? entry.sinceMs;
    if (entry.end > entry.mark) entries.set(eventId, entry);
    else entries.delete(eventId);
  };
  return {
    look(eventId, { end, mark }, nowMs) {
      update(eventId, { end, mark, sinceMs: entries.get(eventId)?.sinceMs ?? nowMs });
    },
    read: update,
    decided: (eventId, mark) => update(eventId, { mark }),
    waiting: (eventId) => {
      const entry = entries.get(eventId);
      return entry === undefined ? 0 : entry.end - entry.mark;
    },
    waitingByEvent: () =>
      new Map([...entries].map(([eventId, { end, mark }]) => [eventId, end - mark])),
    facts(nowMs) {
      let lag = 0;
      let oldestUndecidedMs = 0;
      for (const { end, mark, sinceMs } of entries.values()) {
        lag += end - mark;
        if (sinceMs !== null) oldestUndecidedMs = Math.max(oldestUndecidedMs, nowMs - sinceMs);
      }
      return { lag, oldestUndecidedMs };
    },
    ages: (nowMs) =>
      new Map(
        [...entries].map(([eventId, { sinceMs, stillSinceMs }]) => {
          const stillMs = Math.max(0, nowMs - stillSinceMs);
          const oldestMs = sinceMs === null ? stillMs : Math.max(0, nowMs - sinceMs);
          return [eventId, { oldestMs, stillMs }];
        }),
      ),
    clear: () => entries.clear(),
  };
}
