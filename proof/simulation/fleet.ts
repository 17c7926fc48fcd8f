// The processes of the service: started, killed and started again, stopped and continued.
import { EngineFault } from "@stampede/domain";
import type { EventId } from "@stampede/domain";
import type { Database } from "./engines/database.ts";
import type { Broker } from "./engines/kafka.ts";
import { hashOf } from "./engines/redis-scripts.ts";
import type { RedisServer } from "./engines/redis.ts";
import type { Faults } from "./faults.ts";
import { startInstance } from "./instance.ts";
import type { Instance } from "./instance.ts";
import { mechanismsOf } from "./plan.ts";
import type { Plan } from "./plan.ts";
import type { Random } from "./random.ts";
import { Process } from "./scheduler.ts";
import type { Scheduler } from "./scheduler.ts";

export type Engines = {
  readonly database: Database;
  readonly redis: RedisServer;
  readonly broker: Broker;
};

export type FleetOptions = {
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly faults: Faults;
  readonly marks: Set<string>;
  readonly plan: Plan;
  readonly engines: Engines;
  readonly onBug: (error: unknown) => void;
  readonly onHalt: (eventId: EventId, reason: string) => void;
};

/** Whether somebody in Redis has no row yet. */
function isReserved({ database, redis }: Engines): boolean {
  for (const [eventId] of database.tables.events) {
    const held = hashOf(redis.keys, `stampede:{${eventId}}:persons`).size;
    if (held > database.tables.issuesOf(eventId).length) return true;
  }
  return false;
}

type Place = { process: Process; instance: Instance | null };

const START_AGAIN_MS = 400;

export class Fleet {
  readonly #options: FleetOptions;
  readonly #places: Place[] = [];
  #started = 0;
  /** False while no message passes between the processes and PostgreSQL. */
  postgresReachable = true;

  constructor(options: FleetOptions) {
    this.#options = options;
  }

  startAll(): void {
    for (let place = 0; place < this.#options.plan.instances; place += 1) {
      this.#places.push({ process: this.#newProcess(), instance: null });
    }
    for (const place of this.#places) this.#start(place);
  }

  /** Those that listen, a stopped one too. */
  serving(): readonly Instance[] {
    return this.#places.flatMap(({ process, instance }) =>
      process.alive && instance !== null ? [instance] : [],
    );
  }

  crashOne(): void {
    const { random, scheduler, engines, plan, marks } = this.#options;
    const place = random.pick(this.#places);
    if (!place.process.alive) return;
    if (mechanismsOf(plan).includes("redis-counter") && isReserved(engines)) {
      marks.add("crash between reservation and commit");
    }
    place.process.die();
    place.instance = null;
    scheduler.after(random.between(50, 1_500), scheduler.outside, () => this.#revive(place));
  }

  pauseOne(): void {
    const { random, scheduler, faults } = this.#options;
    const { process } = random.pick(this.#places);
    if (!process.alive || process.held !== null) return;
    process.held = [];
    const ms = random.pick([random.between(20, 300), random.between(500, 6_000)]);
    const leftMs = Math.max(0, faults.healsAtMs - scheduler.nowMs);
    scheduler.after(Math.min(ms, leftMs), null, () => scheduler.resume(process));
  }

  /** Everything that was stopped goes on, everything that was killed is started again. */
  heal(): void {
    const { scheduler, engines } = this.#options;
    this.postgresReachable = true;
    engines.database.up = true;
    engines.redis.up = true;
    engines.broker.up = true;
    for (const place of this.#places) {
      if (place.process.held !== null) scheduler.resume(place.process);
      if (!place.process.alive) this.#revive(place);
    }
  }

  #revive(place: Place): void {
    if (place.process.alive) return;
    place.process = this.#newProcess();
    this.#start(place);
  }

  #newProcess(): Process {
    const { random } = this.#options;
    this.#started += 1;
    const wallErrorMs = random.pick([0, 0, random.between(-3_600_000, 3_600_000)]);
    return new Process(`i${this.#started}`, { startMs: random.between(0, 1e6), wallErrorMs });
  }

  #start(place: Place): void {
    const { scheduler, random, faults, plan, engines, onBug, onHalt } = this.#options;
    const { process } = place;
    const shared = { scheduler, faults, random: random.fork(`wire ${process.name}`) };
    const starting = async (): Promise<void> => {
      const instance = await startInstance({
        process,
        scheduler,
        random: random.fork(process.name),
        mechanisms: mechanismsOf(plan),
        database: {
          ...shared,
          database: engines.database,
          isReachable: () => this.postgresReachable,
        },
        redis: { ...shared, server: engines.redis },
        kafka: { ...shared, broker: engines.broker },
        onHalt,
        onError: onBug,
      });
      place.instance = instance;
    };
    scheduler.after(0, process, () => {
      starting().catch((error: unknown) => {
        if (!(error instanceof EngineFault)) onBug(error);
        // A process that cannot start ends, and its supervisor starts another one.
        process.die();
        scheduler.after(START_AGAIN_MS, scheduler.outside, () => this.#revive(place));
      });
    });
  }
}
