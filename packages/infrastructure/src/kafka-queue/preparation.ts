import type { EventPreparation } from "../postgres/event-store.ts";
import type { Kafka } from "./open.ts";

/**
 * What an event of v3 needs before it takes claims: a topic of its own, whose leader answers, and the
 * row that names it. The random part keeps apart an older event of the same id (O6) and creators of
 * the same id that race; a topic whose event was not created after all is left behind empty.
 */
export function kafkaQueuePreparation(options: {
  readonly kafka: Kafka;
  readonly drawToken: () => string;
}): EventPreparation {
  return {
    async prepare(event) {
      const name = `stampede.${event.id}.${options.drawToken().slice(0, 12)}`;
      const { topic, topicId } = await options.kafka.createLog(name);
      return {
        async record(sql) {
          await sql.query("INSERT INTO queues (event_id, topic, topic_id) VALUES ($1, $2, $3)", [
            event.id,
            topic,
            topicId,
          ]);
        },
        // The leader has answered already, and a decider looks for new events by itself.
        open: async () => undefined,
      };
    },
  };
}
