// The queue of an event as the database has it, and its topic.
import { withDatabase } from "./sale.ts";
import type { Sale } from "./sale.ts";
import type { TopicAt } from "./kafka-operator.ts";

export type Queue = {
  readonly topic: string;
  readonly topicId: string;
  readonly epoch: number;
  readonly nextOffset: number;
  readonly lastWinningTicket: number | null;
  readonly halted: string | null;
  /** Records that were decided as no claims. */
  readonly rejected: readonly { readonly ticket: number; readonly reason: string }[];
};

/** The queue as the database has it now. */
export async function queueOf({ program, eventId }: Sale): Promise<Queue> {
  return withDatabase(program, async (client) => {
    const { rows } = await client.query<Omit<Queue, "rejected">>(
      `SELECT topic, topic_id AS "topicId", epoch::float8 AS epoch, halted,
              next_offset::float8 AS "nextOffset", last_winning_ticket::float8 AS "lastWinningTicket"
         FROM queues WHERE event_id = $1`,
      [eventId],
    );
    const rejected = await client.query<{ ticket: number; reason: string }>(
      "SELECT ticket::float8 AS ticket, reason FROM rejected_records WHERE event_id = $1 ORDER BY 1",
      [eventId],
    );
    return { ...rows[0]!, rejected: rejected.rows };
  });
}

export async function topicOf(sale: Sale): Promise<TopicAt> {
  return { brokers: sale.program.brokers, topic: (await queueOf(sale)).topic };
}
