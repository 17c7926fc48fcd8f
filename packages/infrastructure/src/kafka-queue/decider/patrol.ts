import type { EventId } from "@stampede/domain";
import type { Postgres } from "../../engines/postgres/open.ts";
import type { Kafka } from "../log/open.ts";
import type { EventLog } from "../log/topics.ts";

export type QueueLook = { readonly end: number; readonly mark: number };

/** Looks at the logs of all queues that are not halted, page by page, round after round. */
export type QueuePatrol = {
  /** Looks at one page. Rejects with `EngineFault` where an engine does not answer. */
  next(): Promise<void>;
  /** How often all of them were looked at. */
  rounds(): number;
  /** Whether a log looked broken the last time: it is looked at again with every page. */
  suspects(): boolean;
};

const PAGE_QUEUES = 200;
/** The topics' settings are looked at in the first round and then in each of these. */
const RETENTION_EVERY_ROUNDS = 5;
/** A halt is for ever, so one odd answer of a broker that restarts must not be enough. */
const LOOKS_BEFORE_HALT = 3;

/** A row of `queues`; `mark`: the offset that is decided next. */
export type QueueRow = {
  readonly event_id: EventId;
  readonly topic: string;
  readonly topic_id: string;
  readonly mark: number;
};

export function queuePatrol(options: {
  readonly kafka: Kafka;
  readonly postgres: Postgres;
  /** How long a log has to look broken; two brokers must then agree, where there are two. */
  readonly haltAfterMs: number;
  readonly halt: (eventId: EventId, reason: string) => void;
  readonly onLook: (eventId: EventId, look: QueueLook) => void;
}): QueuePatrol {
  const { kafka, postgres, haltAfterMs, halt, onLook } = options;
  const { time } = postgres;
  const suspects = new Map<EventId, { readonly looks: number; readonly sinceMs: number }>();
  let after = "";
  let round = 0;

  /** Whether it has looked broken for long enough. */
  const isDue = (eventId: EventId, broken: string | null): boolean => {
    if (broken === null) {
      suspects.delete(eventId);
      return false;
    }
    const { looks, sinceMs } = suspects.get(eventId) ?? { looks: 0, sinceMs: time.nowMs() };
    suspects.set(eventId, { looks: looks + 1, sinceMs });
    return looks + 1 >= LOOKS_BEFORE_HALT && time.nowMs() - sinceMs >= haltAfterMs;
  };
  const haltAgreed = async (due: readonly QueueRow[]): Promise<void> => {
    if (due.length === 0) return;
    const agreed = await kafka.inspectLogs(due.map(logOf), { retention: true, byTwo: true });
    for (const { event_id: eventId, topic } of due) {
      const broken = agreed.get(topic)?.broken ?? null;
      if (broken === null) continue;
      suspects.delete(eventId);
      halt(eventId, broken);
    }
  };

  return {
    async next() {
      // The suspects of the last looks come along with every page, so that no halt waits for a round.
      // The marks are read before the logs: no log may end before its mark.
      const page = await readPage(postgres, after);
      const paged = new Set(page.map((queue) => queue.event_id));
      const again = [...suspects.keys()].filter((eventId) => !paged.has(eventId));
      const queues = again.length === 0 ? page : [...page, ...(await readThese(postgres, again))];
      const retention = round % RETENTION_EVERY_ROUNDS === 0 || suspects.size > 0;
      const conditions = await kafka.inspectLogs(queues.map(logOf), { retention });
      const due: QueueRow[] = [];
      for (const queue of queues) {
        const { event_id: eventId, topic, mark } = queue;
        const condition = conditions.get(topic);
        if (isDue(eventId, condition?.broken ?? null)) due.push(queue);
        const end = condition?.end ?? null;
        if (end !== null && condition?.broken === null) onLook(eventId, { end, mark });
      }
      await haltAgreed(due);
      const full = page.length >= PAGE_QUEUES;
      after = full ? (page.at(-1)?.event_id ?? "") : "";
      if (!full) round += 1;
    },
    rounds: () => round,
    suspects: () => suspects.size > 0,
  };
}

function logOf(queue: QueueRow): QueueRow & EventLog {
  return { ...queue, topicId: queue.topic_id };
}

/** What may still be decided. */
const PATROLLED = `
  SELECT event_id, topic, topic_id, next_offset::float8 AS mark FROM queues
   WHERE halted IS NULL AND retired_at IS NULL`;

/** The next queues by id (primary key). */
async function readPage(postgres: Postgres, after: string): Promise<readonly QueueRow[]> {
  return postgres.query<QueueRow>(`${PATROLLED} AND event_id > $1 ORDER BY event_id LIMIT $2`, [
    after,
    PAGE_QUEUES,
  ]);
}

async function readThese(
  postgres: Postgres,
  eventIds: readonly EventId[],
): Promise<readonly QueueRow[]> {
  return postgres.query<QueueRow>(`${PATROLLED} AND event_id = ANY ($1)`, [eventIds]);
}
