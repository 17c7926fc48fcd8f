// A finished sale as the referee reads it, and what is not finished yet.
import type { EventId } from "@stampede/domain";
import type { Attempt, JudgedRun } from "@stampede/lab/referee";
import { hashOf } from "./engines/redis-scripts.ts";
import type { Engines } from "./fleet.ts";
import type { Plan } from "./plan.ts";

/** What L2 and L4 still miss; null: nothing. */
export function unfinished(engines: Engines, plan: Plan, eventId: EventId): string | null {
  const { database, redis, broker } = engines;
  const rows = database.tables.issuesOf(eventId);
  if (database.sessions().some(({ transaction }) => transaction !== null)) {
    return "a transaction is open";
  }
  if (plan.mechanism === "redis-counter") {
    const { persons, latched } = redisOf(redis.keys, eventId);
    const winners = new Set(rows.map(({ userId }) => userId));
    const differs = persons.length !== winners.size || persons.some((one) => !winners.has(one));
    if (rows.length === plan.limit && (differs || !latched)) {
      return "Redis does not have the end as the rows have it";
    }
    if (differs) return `Redis has ${persons.length} persons, ${winners.size} rows`;
    if (latched && rows.length < plan.limit) return "latched before the end";
  }
  const queue = database.tables.queues.get(eventId);
  if (queue === undefined) return null;
  const end = broker.logs.get(queue.topic)?.records.length ?? 0;
  return queue.nextOffset < end ? `the mark is ${queue.nextOffset} of ${end}` : null;
}

function redisOf(
  keys: Engines["redis"]["keys"],
  eventId: EventId,
): { readonly persons: string[]; readonly latched: boolean; readonly counter: number } {
  const prefix = `stampede:{${eventId}}`;
  return {
    persons: [...hashOf(keys, `${prefix}:persons`).keys()],
    latched: hashOf(keys, `${prefix}:state`).get("latch") === "1",
    counter: Number(keys.get(`${prefix}:count`) ?? 0),
  };
}

export function judgedRun(
  { database, redis, broker }: Engines,
  plan: Plan,
  sale: { readonly eventId: EventId; readonly history: readonly Attempt[] },
): JudgedRun {
  const { eventId, history } = sale;
  const { mechanism } = plan;
  const event = database.tables.events.get(eventId);
  if (event === undefined) throw new Error("the sale's event is gone");
  const queue = database.tables.queues.get(eventId);
  const log = queue === undefined ? undefined : broker.logs.get(queue.topic)?.records;
  return {
    history,
    events: [
      {
        eventId,
        mechanism,
        limit: event.limit,
        limitAtStart: plan.limit,
        issued: event.issued,
        opensAt: new Date(event.opensAtMs).toISOString(),
        decided: queue?.nextOffset ?? null,
        lastWinningTicket: event.issued === event.limit ? (queue?.lastWinningTicket ?? null) : null,
      },
    ],
    rows: database.tables.issuesOf(eventId).map((row) => ({
      ...row,
      issuedAt: new Date(row.issuedAtMs).toISOString(),
    })),
    ...(log === undefined
      ? {}
      : {
          log: new Map([
            [
              eventId as string,
              log.map(({ offset, key, value }) => ({
                eventId: eventId as string,
                offset,
                key: key?.toString() ?? null,
                value: value?.toString() ?? null,
              })),
            ],
          ]),
        }),
    ...(mechanism === "redis-counter"
      ? { redis: [{ eventId, ...redisOf(redis.keys, eventId) }] }
      : {}),
    clockErrorMs: 0,
  };
}
