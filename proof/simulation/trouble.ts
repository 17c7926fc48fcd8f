// Faults of whole engines and processes, at the moments of the plan.
import type { Engines, Fleet } from "./fleet.ts";
import type { EventFault, Faults } from "./faults.ts";
import type { Plan } from "./plan.ts";
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
  const { plan, scheduler, faults, random, redis, broker } = options;
  for (const { atMs, fault } of plan.events) {
    scheduler.after(atMs, scheduler.outside, () => {
      if (!faults.active) return;
      faults.note(scheduler.nowMs, fault);
      strike[fault](options);
    });
  }
  scheduler.after(random.between(0, 1_000), null, () => redis.takeCopy());
  for (let record = 0; record < plan.foreignRecords; record += 1) {
    scheduler.after(random.between(0, 2_000), null, () => {
      const topic = [...broker.logs.keys()][0];
      const value = random.pick([null, Buffer.from("no JSON"), Buffer.from('{"schema":1}')]);
      if (topic !== undefined) broker.appendForeign(topic, { key: null, value }, scheduler.nowMs);
    });
  }
}

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
