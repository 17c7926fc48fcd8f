import type { Mechanism } from "@stampede/domain";
import type { EventFault } from "./faults.ts";
import type { Random } from "./random.ts";

/** All that a seed decides before a sale begins. */
export type Plan = {
  readonly mechanism: Mechanism;
  readonly limit: number;
  readonly instances: number;
  /** The window opens so long after the event was made. */
  readonly opensInMs: number;
  readonly pace: number | null;
  /** When persons come, after the event was made. */
  readonly arrivalsMs: readonly number[];
  /** Persons who come after everything is well again. */
  readonly latecomers: number;
  readonly healsAtMs: number;
  readonly events: readonly { readonly atMs: number; readonly fault: EventFault }[];
  /** Records in the log that are no claims. */
  readonly foreignRecords: number;
};

/** More of what is listed twice. */
export const EVENT_FAULTS_OF: Readonly<Record<Mechanism, readonly EventFault[]>> = {
  "row-lock": [
    "instance-crash",
    "instance-pause",
    "postgres-restart",
    "postgres-away",
    "sessions-terminated",
  ],
  "redis-counter": [
    "instance-crash",
    "instance-crash",
    "instance-pause",
    "postgres-restart",
    "postgres-away",
    "sessions-terminated",
    "redis-restart",
    "redis-emptied",
    "redis-older",
    "redis-scripts-flushed",
  ],
  "kafka-queue": [
    "instance-crash",
    "instance-crash",
    "instance-pause",
    "instance-pause",
    "postgres-restart",
    "postgres-away",
    "sessions-terminated",
    "kafka-away",
  ],
};

export function planOf(mechanism: Mechanism, random: Random): Plan {
  const limit = random.whole(1, 14);
  const persons = Math.max(2, Math.round(limit * random.pick([0.6, 1, 1.5, 2.5, 4])));
  const healsAtMs = random.between(2_000, 6_000);
  const withinMs = random.pick([5, 100, 800, 2_500]);
  const opensInMs = random.chance(0.25) ? random.between(50, 900) : 0;
  const isQueue = mechanism === "kafka-queue";
  return {
    mechanism,
    limit,
    instances: random.chance(0.75) ? 2 : 1,
    opensInMs,
    pace: isQueue && random.chance(0.15) ? random.whole(20, 200) : null,
    arrivalsMs: Array.from({ length: persons }, () => random.between(0, withinMs)),
    latecomers: random.whole(1, 3),
    healsAtMs,
    events: Array.from({ length: random.pick([0, 1, 2, 4, 7]) }, () => ({
      atMs: random.between(0, Math.min(healsAtMs, withinMs + 1_500)),
      fault: random.pick(EVENT_FAULTS_OF[mechanism]),
    })),
    foreignRecords: isQueue && random.chance(0.3) ? random.whole(1, 4) : 0,
  };
}
