import type { EventPreparation } from "../rows/event-store.ts";
import type { Postgres } from "../engines/postgres/open.ts";
import type { Kafka } from "./log/open.ts";
import type { EventLog } from "./log/topics.ts";
import { abandonTopic, beginTopic, takeBackTopic, useTopic } from "./spare-topics.ts";

/**
 * What an event of v3 needs before it takes claims: a topic of its own, whose leader answers, and the
 * row that names it. The random part keeps apart an older event of the same id (O6) and creators of
 * the same id that race; a topic whose event was not created after all is deleted (spare-topics.ts).
 */
export function kafkaQueuePreparation({
  kafka,
  postgres,
  drawToken,
}: {
  readonly kafka: Kafka;
  readonly postgres: Postgres;
  readonly drawToken: () => string;
}): EventPreparation {
  const makeLog = async (name: string): Promise<EventLog> => {
    await beginTopic(postgres, name);
    try {
      return await kafka.createLog(name);
    } catch (error) {
      await takeBackTopic(kafka, name);
      throw error;
    }
  };
  return {
    async prepare(event) {
      const { topic, topicId } = await makeLog(`stampede.${event.id}.${drawToken().slice(0, 12)}`);
      return {
        async record(sql) {
          await useTopic(sql, topic);
          await sql.query("INSERT INTO queues (event_id, topic, topic_id) VALUES ($1, $2, $3)", [
            event.id,
            topic,
            topicId,
          ]);
        },
        // The leader has answered already, and a decider looks for new events by itself.
        finish: async () => undefined,
        abandon: async () => abandonTopic(postgres, kafka, topic),
      };
    },
  };
}
