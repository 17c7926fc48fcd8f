import type { EventId } from "@stampede/domain";
import type { EventDirectory, QueueFacts } from "../../rows/event-directory.ts";
import type { EventShares } from "../../engines/measure.ts";
import type { Time } from "../../engines/time.ts";
import { claimLine } from "./claim-line.ts";
import type { ClaimLine } from "./claim-line.ts";
import type { Halts } from "../halts.ts";
import { TopicUnusable } from "../log/log-writer.ts";
import type { Kafka } from "../log/open.ts";
import { brokenTopic } from "../log/topics.ts";

/** Lines that are kept, each with its producer id; beyond them idle ones are forgotten. */
const LINES_MAX = 2_000;

export type ClaimLines = {
  of(eventId: EventId, queue: QueueFacts): ClaimLine;
  /** Makes an event's line before its first claim; does nothing where there is one already. */
  prepare(eventId: EventId, queue: QueueFacts): void;
  /** The taken share of each line that is not idle. */
  shares(): EventShares;
};

/**
 * One line per event, made when its first claim comes or is about to come. A line takes nothing while
 * the topic is not the event's own, and halts its event when the log gives an offset that it must have
 * given before (K6, K7).
 */
export function claimLines(options: {
  readonly kafka: Kafka;
  readonly time: Time;
  readonly directory: EventDirectory;
  readonly halts: Halts;
}): ClaimLines {
  const { kafka, time, directory, halts } = options;
  const lines = new Map<EventId, { readonly topicId: string; readonly line: ClaimLine }>();

  const addLine = (eventId: EventId, { topic, topicId }: QueueFacts): ClaimLine => {
    let lastTicket = -1;
    const writer = kafka.openWriter(topic, (facts) => {
      const reason = brokenTopic({ topic, topicId }, facts);
      // One broker's word: enough to append nothing, and not enough to halt (patrol.ts does).
      if (reason !== null) throw new TopicUnusable(reason);
    });
    const watchBatch = (): ((baseOffset: number, count: number) => string | null) => {
      // As known before the batch leaves: a decider may be done with it before its ack is here.
      const mark = directory.peek(eventId)?.queue?.nextOffset ?? 0;
      const least = Math.max(mark, lastTicket + 1);
      return (baseOffset, count) => {
        if (baseOffset < least) {
          const reason = `the log lost records: it gave offset ${baseOffset} after ${least - 1}`;
          halts.halt(eventId, reason);
          return reason;
        }
        lastTicket = baseOffset + count - 1;
        return null;
      };
    };
    return claimLine({ eventId, writer, time, watchBatch });
  };

  const linesOf: ClaimLines = {
    of(eventId, queue) {
      const existing = lines.get(eventId);
      if (existing?.topicId === queue.topicId) return existing.line;
      if (lines.size >= LINES_MAX) {
        for (const [id, { line }] of lines) if (line.isIdle()) lines.delete(id);
      }
      const line = addLine(eventId, queue);
      lines.set(eventId, { topicId: queue.topicId, line });
      return line;
    },
    prepare(eventId, queue) {
      if (lines.get(eventId)?.topicId === queue.topicId) return;
      void linesOf.of(eventId, queue).prepare();
    },
    *shares() {
      for (const [id, { line }] of lines) if (!line.isIdle()) yield [id, line.saturation()];
    },
  };
  return linesOf;
}
