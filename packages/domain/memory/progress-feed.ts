import { progressOf } from "../src/model/progress.ts";
import type { ProgressFeed } from "../src/ports.ts";
import type { MemoryState } from "./state.ts";

/** Tells every change at once; a real feed joins those of a tenth of a second. */
export function memoryProgressFeed(state: MemoryState): ProgressFeed {
  return {
    async watch(eventId, onProgress) {
      const entry = state.entries.get(eventId);
      if (entry === undefined) return null;
      let lastId = -1;
      const tell = (): void => {
        const queue = entry.queues
          ? {
              decided: entry.decided,
              lastWinningTicket: entry.issues.at(-1)?.ticket ?? null,
              halted: entry.halted,
              haltChanges: entry.halted ? 1 : 0,
            }
          : null;
        const progress = progressOf(entry.event, queue, { nowMs: state.nowMs(), perSecond: 0 });
        if (progress.id <= lastId) return;
        lastId = progress.id;
        onProgress(progress);
      };
      const listeners = state.listeners.get(eventId) ?? new Set();
      state.listeners.set(eventId, listeners);
      listeners.add(tell);
      tell();
      return () => {
        listeners.delete(tell);
      };
    },
  };
}
