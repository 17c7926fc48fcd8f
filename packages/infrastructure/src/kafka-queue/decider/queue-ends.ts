// How a queue ends: everybody of a finished event has a final answer, so after a while its log is deleted.
//
// States of a queue
//   going on --sold out, voided, or closed for a minute; and all of its log decided--> finished
//   finished --an operator's change--> going on
//   finished --`keepLogMs` later--> retired (its topic is doomed) --> its topic is deleted
//
// The row comes before the topic, in one transaction that holds the event's row: a crash leaves a
// topic that nobody needs, never a queue without its log. Nobody can be told a place in a log that is
// being deleted: the event has been over for a day or more, and a door goes by nothing that it read
// longer than half a day ago (`KNOWN_MS_MAX` of event-directory.ts).
import type { EventId } from "@stampede/domain";
import type { Postgres, Sql } from "../../engines/postgres/open.ts";
import { lockEvent } from "../../rows/coupon-issues.ts";
import type { Kafka } from "../log/open.ts";
import { deleteSpareTopics, doomTopic } from "../spare-topics.ts";

export type QueueEnds = {
  /** Looks at some queues. Gives whether there are more at once. Rejects with `EngineFault`. */
  next(): Promise<boolean>;
};

const PAGE_QUEUES = 200;

const FINISHED = `
  (e.issued = e.limit_quantity OR e.voided_at IS NOT NULL
   OR e.closes_at < clock_timestamp() - interval '1 minute')`;
/** Nobody waits for what is left in the log of an event that is voided. */
const GOING_ON = "q.retired_at IS NULL AND (q.halted IS NULL OR e.voided_at IS NOT NULL)";

type Candidate = {
  readonly event_id: EventId;
  readonly topic: string;
  readonly topic_id: string;
  readonly mark: number;
  readonly voided: boolean;
};

/** `keepLogMs` null keeps them for ever. */
export function queueEnds(options: {
  readonly kafka: Kafka;
  readonly postgres: Postgres;
  readonly keepLogMs: number | null;
}): QueueEnds {
  const { kafka, postgres, keepLogMs } = options;
  let after = "";

  const settlePage = async (keepSeconds: number): Promise<boolean> => {
    const page = await readCandidates(postgres, { after, keepSeconds });
    const logs = page.filter(({ voided }) => !voided).map(logOf);
    const conditions = await kafka.inspectLogs(logs, { retention: false });
    for (const { event_id: eventId, topic, mark, voided } of page) {
      const decided = voided || conditions.get(topic)?.end === mark;
      if (decided) await settle(postgres, { eventId, mark, keepSeconds });
    }
    const full = page.length === PAGE_QUEUES;
    after = full ? (page.at(-1)?.event_id ?? "") : "";
    return full;
  };

  return {
    async next() {
      const more = keepLogMs === null ? false : await settlePage(keepLogMs / 1_000);
      return (await deleteSpareTopics(postgres, kafka)) > 0 || more;
    },
  };
}

function logOf({
  topic,
  topic_id: topicId,
  mark,
}: Candidate): Parameters<Kafka["inspectLogs"]>[0][number] {
  return { topic, topicId, mark };
}

/** Those that may be finished and are not known to be, and those that have been for long enough. */
async function readCandidates(
  postgres: Postgres,
  { after, keepSeconds }: { readonly after: string; readonly keepSeconds: number },
): Promise<readonly Candidate[]> {
  return postgres.query<Candidate>(
    `SELECT q.event_id, q.topic, q.topic_id, q.next_offset::float8 AS mark,
            e.voided_at IS NOT NULL AS voided
       FROM queues q JOIN events e ON e.id = q.event_id
      WHERE q.event_id > $1 AND ${GOING_ON} AND ${FINISHED}
        AND (q.finished_at IS NULL OR q.finished_at < clock_timestamp() - make_interval(secs => $2))
      ORDER BY q.event_id LIMIT $3`,
    [after, keepSeconds, PAGE_QUEUES],
  );
}

type Settled = { readonly topic: string; readonly noted: boolean; readonly due: boolean };

/** One step further, if the queue still is as it was seen; judged under the locks of a change. */
async function settle(
  postgres: Postgres,
  at: { readonly eventId: EventId; readonly mark: number; readonly keepSeconds: number },
): Promise<void> {
  await postgres.transaction(async (sql: Sql) => {
    await lockEvent(sql, at.eventId);
    const rows = await sql.query<Settled>(
      `SELECT q.topic, q.finished_at IS NOT NULL AS noted,
              q.finished_at < clock_timestamp() - make_interval(secs => $3) AS due
         FROM queues q JOIN events e ON e.id = q.event_id
        WHERE q.event_id = $1 AND q.next_offset = $2 AND ${GOING_ON} AND ${FINISHED}
          FOR UPDATE OF q`,
      [at.eventId, at.mark, at.keepSeconds],
    );
    const [queue] = rows;
    if (queue === undefined || (queue.noted && !queue.due)) return;
    if (queue.noted) await doomTopic(sql, queue.topic);
    const column = queue.noted ? "retired_at" : "finished_at";
    await sql.query(`UPDATE queues SET ${column} = clock_timestamp() WHERE event_id = $1`, [
      at.eventId,
    ]);
  });
}
