import type { EventId, Progress, ProgressFeed } from "@stampede/domain";
import { EngineFault, progressOf } from "@stampede/domain";
import type { EventDirectory, KnownEvent } from "./event-directory.ts";
import { openTeller } from "./teller.ts";
import type { Postgres } from "../engines/postgres/open.ts";

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
 * one timer; the window's own edges are told by the database's clock. The longer it takes to tell all
 * watchers of this process, the less often they are told: those who claim do not wait for them.
 */
export function directoryProgressFeed(
  directory: EventDirectory,
  { clock, time }: Pick<Postgres, "clock" | "time">,
): ProgressFeed {
  const topics = new Map<EventId, Topic>();
  const tell = openTeller(time);

  const progress = (eventId: EventId): Progress | null => {
    const known = directory.peek(eventId);
    if (known === null) return null;
    const mark =
      known.queue === null
        ? null
        : {
            decided: known.queue.nextOffset,
            lastWinningTicket: known.queue.lastWinningTicket,
            halted: known.queue.halted !== null,
            haltChanges: known.queue.haltChanges,
          };
    const perSecond = directory.perSecond(eventId);
    return progressOf(known.event, mark, { nowMs: clock.nowMs(), perSecond });
  };

  const addTopic = (eventId: EventId, first: Progress): Topic => {
    let isTelling = false;
    const tellNews = (): void => {
      if (isTelling) return;
      const next = progress(eventId);
      if (next === null || next.id <= topic.last.id) return;
      topic.last = next;
      isTelling = true;
      tell({
        watchers: toldLater(topic.watchers, next),
        done: () => {
          isTelling = false;
        },
      });
    };
    // A listener marks the event as watched: it is then read ten times a second, and never forgotten.
    const unlisten = directory.onChange(eventId, () => undefined);
    const endTelling = time.every(TELL_EVERY_MS, tellNews);
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
      if ((await readNow(directory, eventId)) === null) return null;
      const now = progress(eventId);
      if (now === null) return null;
      const topic = topics.get(eventId) ?? addTopic(eventId, now);
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

/** Who began with this frame, or with a newer one, has it already. */
function* toldLater(watchers: Topic["watchers"], next: Progress): Iterable<() => void> {
  for (const [watcher, firstId] of watchers) if (next.id > firstId) yield () => watcher(next);
}

/** As of now, so that nobody sees less than what was committed before; while nothing answers, as known. */
async function readNow(directory: EventDirectory, eventId: EventId): Promise<KnownEvent | null> {
  try {
    return await directory.read(eventId);
  } catch (error) {
    const known = directory.peek(eventId);
    if (known === null || !(error instanceof EngineFault)) throw error;
    return known;
  }
}
