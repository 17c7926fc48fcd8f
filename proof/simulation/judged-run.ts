// A finished sale as the referee reads it, and what is not finished yet.
import type { EventId } from "@stampede/domain";
import type { Attempt, JudgedRun } from "@stampede/referee";
import { hashOf } from "./engines/redis-scripts.ts";
import type { Engines } from "./fleet.ts";
import type { SalePlan } from "./plan.ts";

/** What L2 and L4 still miss; null: nothing. */
export function unfinished(engines: Engines, plan: SalePlan): string | null {
  const { database, broker } = engines;
  const { eventId } = plan;
  const rows = database.tables.issuesOf(eventId);
  if (database.sessions().some(({ transaction }) => transaction !== null)) {
    return "a transaction is open";
  }
  if (plan.mechanism === "redis-counter") {
    const { persons, finished } = redisOf(engines, eventId);
    if (rows.length === plan.limit) return finished ? null : "Redis still holds a finished sale";
    const winners = new Set(rows.map(({ userId }) => userId));
    const differs = persons.length !== winners.size || persons.some((one) => !winners.has(one));
    if (differs) return `Redis has ${persons.length} persons, ${winners.size} rows`;
  }
  const queue = database.tables.queues.get(eventId);
  if (queue === undefined) return null;
  const end = broker.logs.get(queue.topic)?.records.length ?? 0;
  return queue.nextOffset < end ? `the mark is ${queue.nextOffset} of ${end}` : null;
}

/** What Redis holds of the sale; nothing at all, and no generation is named, where it is finished. */
function redisOf(
  { database, redis: { keys } }: Engines,
  eventId: EventId,
): { readonly persons: string[]; readonly finished: boolean; readonly counter: number } {
  const prefix = `stampede:{${eventId}}`;
  const holds = [...keys.keys()].some((name) => name.startsWith(prefix));
  return {
    persons: [...hashOf(keys, `${prefix}:persons`).keys()],
    finished: !holds && !database.tables.generations.has(eventId),
    counter: Number(keys.get(`${prefix}:count`) ?? 0),
  };
}

/** All sales of a world as one run. */
export function judgedWorld(
  engines: Engines,
  sales: readonly { readonly plan: SalePlan; readonly history: readonly Attempt[] }[],
): JudgedRun {
  const runs = sales.map(({ plan, history }) => judgedRun(engines, plan, history));
  const history = runs.flatMap((run) => run.history).map((attempt, id) => ({ ...attempt, id }));
  const logs = runs.flatMap(({ log }) => [...(log ?? [])]);
  return {
    history,
    events: runs.flatMap(({ events }) => events),
    rows: runs.flatMap(({ rows }) => rows),
    ...(logs.length === 0 ? {} : { log: new Map(logs) }),
    redis: runs.flatMap((run) => run.redis ?? []),
    clockErrorMs: 0,
  };
}

function judgedRun(engines: Engines, plan: SalePlan, history: readonly Attempt[]): JudgedRun {
  const { eventId, mechanism } = plan;
  const { database, broker } = engines;
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
    ...(mechanism === "redis-counter" && plan.brokenAtMs === null
      ? { redis: [{ eventId, ...redisOf(engines, eventId) }] }
      : {}),
  };
}
