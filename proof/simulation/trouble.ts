// Faults of whole engines and processes, at the moments of the plan.
import type { Engines, Fleet } from "./fleet.ts";
import type { EventFault, Faults } from "./faults.ts";
import type { Plan, SalePlan } from "./plan.ts";
import type { Random } from "./random.ts";
import type { Scheduler } from "./scheduler.ts";

export type Trouble = Engines & {
  readonly plan: Plan;
  readonly scheduler: Scheduler;
  readonly faults: Faults;
  readonly fleet: Fleet;
  readonly random: Random;
};

export function trouble(options: Trouble): void {
  const { plan, scheduler, faults, random, database, redis, broker } = options;
  for (const { atMs, fault } of plan.events) {
    scheduler.after(atMs, scheduler.outside, () => {
      if (!faults.active) return;
      faults.note(scheduler.nowMs, fault);
      strike[fault](options);
    });
  }
  scheduler.after(random.between(0, 1_000), null, () => redis.takeCopy());
  for (const { eventId, foreignRecords } of plan.sales) {
    for (let record = 0; record < foreignRecords; record += 1) {
      scheduler.after(random.between(0, 2_000), null, () => {
        const topic = database.tables.queues.get(eventId)?.topic;
        const value = random.pick([null, Buffer.from("no JSON"), Buffer.from('{"schema":1}')]);
        if (topic !== undefined) broker.appendForeign(topic, { key: null, value }, scheduler.nowMs);
      });
    }
  }
}

/**
 * What breaks this event alone. The row is free again when the faults heal; a state key of a wrong type
 * and a topic under another id stay, as they would until an operator comes.
 */
export function breakSale(
  { mechanism, eventId }: SalePlan,
  { scheduler, faults, database, redis, broker, random }: Trouble,
): void {
  faults.note(scheduler.nowMs, "event-broken");
  if (mechanism === "redis-counter") {
    redis.keys.set(`stampede:{${eventId}}:state`, "of a wrong type");
  } else if (mechanism === "kafka-queue") {
    const queue = database.tables.queues.get(eventId);
    const log = broker.logs.get(queue?.topic ?? "");
    if (log !== undefined) log.topicId = random.token();
  } else {
    const session = database.open(ENDLESS, () => undefined);
    if (session === null) return;
    const ignore = (): void => undefined;
    database.execute(session, { text: "BEGIN", values: [] }, ignore);
    database.execute(session, { text: HOLD_ROW, values: [eventId] }, ignore);
    scheduler.after(Math.max(0, faults.healsAtMs - scheduler.nowMs), null, () =>
      database.end(session),
    );
  }
}

const HOLD_ROW = "SELECT e.id FROM events e WHERE e.id = $1 FOR UPDATE";
const ENDLESS = {
  lockMsMax: Infinity,
  statementMsMax: Infinity,
  idleInTransactionMsMax: Infinity,
  idleMsMax: Infinity,
};

const strike: Readonly<Record<EventFault, (trouble: Trouble) => void>> = {
  "instance-crash": ({ fleet }) => fleet.crashOne(),
  "instance-pause": ({ fleet }) => fleet.pauseOne(),
  "postgres-restart": (at) => {
    at.database.crash();
    later(at, () => {
      at.database.up = true;
    });
  },
  "postgres-away": (at) => {
    at.fleet.postgresReachable = false;
    later(at, () => {
      at.fleet.postgresReachable = true;
    });
  },
  "redis-restart": (at) => restartRedis(at, () => undefined),
  "redis-emptied": (at) => {
    if (at.random.chance(0.5)) at.redis.empty();
    else restartRedis(at, () => at.redis.empty());
  },
  "redis-older": (at) => restartRedis(at, () => at.redis.restoreCopy()),
  "redis-scripts-flushed": ({ redis }) => redis.flushScripts(),
  "kafka-away": (at) => {
    at.broker.up = false;
    later(at, () => {
      at.broker.up = true;
    });
  },
  "sessions-terminated": ({ database, random }) => {
    for (const session of database.sessions()) if (random.chance(0.5)) database.end(session);
  },
};

function restartRedis(at: Trouble, change: () => void): void {
  at.redis.stop();
  change();
  later(at, () => {
    at.redis.up = true;
  });
}

function later({ scheduler, random }: Trouble, run: () => void): void {
  scheduler.after(random.pick([random.between(10, 200), random.between(300, 2_500)]), null, run);
}
