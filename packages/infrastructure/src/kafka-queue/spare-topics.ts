// Topics that no queue names: of a creation that is under way or failed, and of queues that are retired.
// Each has a row of this database before it is a spare one, so that no topic is ever deleted that
// another installation on the same broker has made, or a person.
//
// States of a topic
//   begun --its queue's row is committed--> used (its row here is gone)
//   begun --its event was not added, or ten minutes--> doomed: from then on no queue can name it
//   used --retired--> doomed
//   doomed --deleted at the broker--> gone
import { EngineFault } from "@stampede/domain";
import type { Postgres, Sql } from "../engines/postgres/open.ts";
import type { Kafka } from "./log/open.ts";

/** A creation takes seconds; whoever was stopped in the middle of one for longer is told so. */
const CREATION_S_MAX = 600;
const DELETED_AT_ONCE_MAX = 50;

/** Before the topic is made. */
export async function beginTopic(sql: Sql, topic: string): Promise<void> {
  await sql.query("INSERT INTO spare_topics (topic) VALUES ($1)", [topic]);
}

/** In the transaction that adds the queue. Rejects "not-applied" where the topic is doomed. */
export async function useTopic(sql: Sql, topic: string): Promise<void> {
  const rows = await sql.query(
    "DELETE FROM spare_topics WHERE topic = $1 AND NOT doomed RETURNING topic",
    [topic],
  );
  if (rows.length === 1) return;
  throw new EngineFault("postgres", "not-applied", `making topic ${topic} took too long`);
}

/**
 * After its event was not added, as far as is known: nobody can use the topic from now on, and it goes
 * at once if Kafka takes the word. Not before: a COMMIT whose answer was lost has taken the row away.
 * Never rejects for an engine: the row that stays is what the next look goes by.
 */
export async function abandonTopic(postgres: Postgres, kafka: Kafka, topic: string): Promise<void> {
  try {
    const rows = await postgres.query(
      "UPDATE spare_topics SET doomed = true WHERE topic = $1 RETURNING topic",
      [topic],
    );
    if (rows.length === 1) await kafka.deleteLogs([topic]);
  } catch (error) {
    if (!(error instanceof EngineFault)) throw error;
  }
}

/**
 * After Kafka did not make it, as far as is known. The row stays as it is: a topic that comes about after
 * all is found by it ten minutes later. Never rejects for an engine.
 */
export async function takeBackTopic(kafka: Kafka, topic: string): Promise<void> {
  try {
    await kafka.deleteLogs([topic]);
  } catch (error) {
    if (!(error instanceof EngineFault)) throw error;
  }
}

/** In the transaction that retires the queue. */
export async function doomTopic(sql: Sql, topic: string): Promise<void> {
  await sql.query(
    `INSERT INTO spare_topics (topic, doomed) VALUES ($1, true)
     ON CONFLICT (topic) DO UPDATE SET doomed = true`,
    [topic],
  );
}

/** Deletes some of the spare topics, and gives how many. Rejects with `EngineFault`. */
export async function deleteSpareTopics(postgres: Postgres, kafka: Kafka): Promise<number> {
  await postgres.query(
    `UPDATE spare_topics SET doomed = true
      WHERE NOT doomed AND begun_at < clock_timestamp() - make_interval(secs => $1)`,
    [CREATION_S_MAX],
  );
  // What a queue still names is not deleted, whoever wrote it here by hand.
  const rows = await postgres.query<{ topic: string }>(
    `SELECT s.topic FROM spare_topics s
      WHERE s.doomed
        AND NOT EXISTS (SELECT FROM queues q WHERE q.topic = s.topic AND q.retired_at IS NULL)
      ORDER BY s.begun_at LIMIT $1`,
    [DELETED_AT_ONCE_MAX],
  );
  if (rows.length === 0) return 0;
  const gone = await kafka.deleteLogs(rows.map(({ topic }) => topic));
  await postgres.query("DELETE FROM spare_topics WHERE topic = ANY ($1) AND doomed", [gone]);
  return gone.length;
}
