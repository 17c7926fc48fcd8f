import type { EventId } from "@stampede/domain";
import type { Postgres } from "../postgres/open.ts";
import type { Kafka } from "./open.ts";

export type QueueLook = { readonly end: number; readonly mark: number };

/** Looks at the logs of all queues that are not halted, page by page, round after round. */
export type QueuePatrol = {
  /** Looks at one page. Rejects with `EngineFault` where an engine does not answer. */
  next(): Promise<void>;
};

const PAGE_QUEUES = 200;
/** The topics' settings are looked at in the first round and then in each of these. */
const RETENTION_EVERY_ROUNDS = 20;
/** A halt is for ever, so one odd answer of a broker that restarts must not be enough. */
const LOOKS_BEFORE_HALT = 3;

type Queue = {
  readonly event_id: EventId;
  readonly topic: string;
  readonly topic_id: string;
  readonly mark: number;
};

export function queuePatrol(options: {
  readonly kafka: Kafka;
  readonly postgres: Postgres;
  readonly halt: (eventId: EventId, reason: string) => void;
  readonly onLook: (eventId: EventId, look: QueueLook) => void;
}): QueuePatrol {
  const { kafka, postgres, halt, onLook } = options;
  const suspects = new Map<EventId, number>();
  let after = "";
  let round = 0;

  const judge = (eventId: EventId, broken: string | null): void => {
    if (broken === null) {
      suspects.delete(eventId);
      return;
    }
    const looks = (suspects.get(eventId) ?? 0) + 1;
    suspects.set(eventId, looks);
    if (looks < LOOKS_BEFORE_HALT) return;
    suspects.delete(eventId);
    halt(eventId, broken);
  };

  return {
    async next() {
      // The suspects of the last looks come along with every page, so that a halt takes a second and
      // not a round. The marks are read before the logs: no log may end before its mark.
      const page = await readPage(postgres, after);
      const paged = new Set(page.map((queue) => queue.event_id));
      const again = [...suspects.keys()].filter((eventId) => !paged.has(eventId));
      const queues = again.length === 0 ? page : [...page, ...(await readThese(postgres, again))];
      const retention = round % RETENTION_EVERY_ROUNDS === 0 || suspects.size > 0;
      const logs = queues.map((queue) => ({ ...queue, topicId: queue.topic_id }));
      const conditions = await kafka.inspectLogs(logs, { retention });
      for (const { event_id: eventId, topic, mark } of queues) {
        const condition = conditions.get(topic);
        judge(eventId, condition?.broken ?? null);
        const end = condition?.end ?? null;
        if (end !== null && condition?.broken === null) onLook(eventId, { end, mark });
      }
      const full = page.length >= PAGE_QUEUES;
      after = full ? (page.at(-1)?.event_id ?? "") : "";
      if (!full) round += 1;
    },
  };
}

/** The next queues by id (primary key). */
async function readPage(postgres: Postgres, after: string): Promise<readonly Queue[]> {
  return postgres.query<Queue>(
    `SELECT event_id, topic, topic_id, next_offset::float8 AS mark FROM queues
      WHERE event_id > $1 AND halted IS NULL ORDER BY event_id LIMIT $2`,
    [after, PAGE_QUEUES],
  );
}

async function readThese(
  postgres: Postgres,
  eventIds: readonly EventId[],
): Promise<readonly Queue[]> {
  return postgres.query<Queue>(
    `SELECT event_id, topic, topic_id, next_offset::float8 AS mark FROM queues
      WHERE event_id = ANY ($1) AND halted IS NULL`,
    [eventIds],
  );
}
