import type { EventStore, EventReading, Page, PageRequest } from "../src/ports.ts";
import { ok, refuse } from "../src/result.ts";
import type { MemoryEntry, MemoryState } from "./state.ts";
import { notify } from "./state.ts";

export function memoryEventStore(state: MemoryState): EventStore {
  const reading = (entry: MemoryEntry): EventReading => ({
    event: entry.event,
    nowMs: state.nowMs(),
  });
  return {
    async create(id, make) {
      if (state.entries.has(id)) return refuse({ kind: "event-exists" });
      const made = make(state.nowMs());
      if (!made.ok) return made;
      const queues = state.queues(made.value.mechanism);
      const entry = { event: made.value, queues, issues: [], log: [], decided: 0, halted: false };
      state.entries.set(id, entry);
      return ok(reading(entry));
    },
    async find(id) {
      const entry = state.entries.get(id);
      return entry === undefined ? null : reading(entry);
    },
    async list(page) {
      const newestFirst = [...state.entries.values()]
        .map((entry) => entry.event)
        .filter((event) => page.all || event.listed)
        .toReversed();
      const slice = pageOf(newestFirst, page);
      if (slice === null) return refuse({ kind: "cursor-unreadable" });
      return ok({ ...slice, nowMs: state.nowMs() });
    },
    async change(id, version, decide) {
      const entry = state.entries.get(id);
      if (entry === undefined) return refuse({ kind: "no-such-event" });
      if (entry.event.version !== version) return refuse({ kind: "stale-version" });
      const decided = decide(
        entry.event,
        entry.queues ? { halted: entry.halted, retired: false } : null,
      );
      if (!decided.ok) return decided;
      entry.event = decided.value;
      notify(state, id);
      return ok(reading(entry));
    },
    async issues(id, page) {
      const slice = pageOf(state.entries.get(id)?.issues ?? [], page);
      return slice === null ? refuse({ kind: "cursor-unreadable" }) : ok(slice);
    },
  };
}

/** The cursor is the number of entries before the page. Null where it is none. */
function pageOf<Entry>(all: readonly Entry[], page: PageRequest): Page<Entry> | null {
  const start = page.cursor === null ? 0 : Number(page.cursor);
  if (!Number.isSafeInteger(start) || start < 0) return null;
  const end = start + page.size;
  return { entries: all.slice(start, end), next: end < all.length ? String(end) : null };
}
