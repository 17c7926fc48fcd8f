import type { EventId, Progress, ProgressFeed } from "@stampede/domain";
import { progressOf } from "@stampede/domain";
import type { EventDirectory } from "./event-directory.ts";
import type { Postgres } from "./open.ts";

/** Watchers are told at most ten times a second. */
const TELL_EVERY_MS = 100;

type Topic = {
  /** With the id of the frame that each began with, which may be newer than what all were told last. */
  readonly watchers: Map<(progress: Progress) => void, number>;
  last: Progress;
  readonly stop: () => void;
};

/**
 * Progress as the directory knows it. All watchers of an event share one reading, one object and
 * one timer; the window's own edges are told by the database's clock.
 */
export function directoryProgressFeed(
  directory: EventDirectory,
  { clock, time }: Pick<Postgres, "clock" | "time">,
): ProgressFeed {
  const topics = new Map<EventId, Topic>();

  const progress = (eventId: EventId): Progress | null => {
    const known = directory.peek(eventId);
    if (known === null) return null;
    const mark =
      known.queue === null
        ? null
        : {
            decided: known.queue.nextOffset,
            lastWinningTicket: known.queue.lastWinningTicket,
          };
    const perSecond = directory.perSecond(eventId);
    return progressOf(known.event, mark, { nowMs: clock.nowMs(), perSecond });
  };

  const open = (eventId: EventId, first: Progress): Topic => {
    const tell = (): void => {
      const next = progress(eventId);
      if (next === null || next.id <= topic.last.id) return;
      topic.last = next;
      for (const [watcher, firstId] of topic.watchers) if (next.id > firstId) watcher(next);
    };
    // A listener marks the event as watched: it is then read ten times a second, and never forgotten.
    const unlisten = directory.onChange(eventId, () => undefined);
    const endTelling = time.every(TELL_EVERY_MS, tell);
    const topic: Topic = {
      watchers: new Map(),
      last: first,
      stop: () => {
        unlisten();
        endTelling();
        topics.delete(eventId);
      },
    };
    topics.set(eventId, topic);
    return topic;
  };

  return {
    async watch(eventId, onProgress) {
      if ((await directory.fresh(eventId)) === null) return null;
      const now = progress(eventId);
      if (now === null) return null;
      const topic = topics.get(eventId) ?? open(eventId, now);
      const first = now.id > topic.last.id ? now : topic.last;
      topic.watchers.set(onProgress, first.id);
      onProgress(first);
      return () => {
        topic.watchers.delete(onProgress);
        if (topic.watchers.size === 0) topic.stop();
      };
    },
  };
}
