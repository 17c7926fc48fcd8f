import { parseEventId } from "@stampede/domain";
import type { EventId, Mechanism } from "@stampede/domain";
import { mechanisms } from "@stampede/infrastructure";
import type { MechanismDescription } from "@stampede/infrastructure";
import type { EventFault } from "./faults.ts";
import type { Random } from "./random.ts";

/** One sale of a world. */
export type SalePlan = {
  readonly eventId: EventId;
  readonly mechanism: Mechanism;
  readonly limit: number;
  /** When the event is made: at 0, before any fault. */
  readonly madeAtMs: number;
  /** The window opens so long after the event was made. */
  readonly opensInMs: number;
  readonly pace: number | null;
  /** Persons who come before any fault: where there are any, the sale is over by then. */
  readonly earlyBirds: number;
  /** When persons come, after the event was made. */
  readonly arrivalsMs: readonly number[];
  /** Persons who come after everything is well again. */
  readonly latecomers: number;
  /** Records in the log that are no claims. */
  readonly foreignRecords: number;
  /** When this event alone is broken (`breakSale`); null: never. */
  readonly brokenAtMs: number | null;
};

/** All that a seed decides before a world begins. */
export type Plan = {
  readonly instances: number;
  readonly healsAtMs: number;
  readonly events: readonly { readonly atMs: number; readonly fault: EventFault }[];
  /** The first is the seed's own; most seeds have no other. */
  readonly sales: readonly SalePlan[];
  /** Nothing goes wrong but what breaks an event: no other one may notice that. */
  readonly calm: boolean;
};

/** What may happen in a sale, by what the mechanism stands on; more of what is listed twice. */
export function eventFaultsOf(mechanism: Mechanism): readonly EventFault[] {
  const { needs, queues } = descriptionOf(mechanism);
  return [
    "instance-crash",
    ...(needs.length > 1 ? (["instance-crash"] as const) : []),
    "instance-pause",
    ...(queues ? (["instance-pause"] as const) : []),
    "postgres-restart",
    "postgres-away",
    "sessions-terminated",
    ...(needs.includes("redis") ? REDIS_FAULTS : []),
    ...(needs.includes("kafka") ? (["kafka-away"] as const) : []),
  ];
}

const REDIS_FAULTS = [
  "redis-restart",
  "redis-emptied",
  "redis-older",
  "redis-scripts-flushed",
] as const;

export function descriptionOf(mechanism: Mechanism): MechanismDescription {
  const description = mechanisms.find(({ name }) => name === mechanism);
  if (description === undefined) throw new Error(`no mechanism is called ${mechanism}`);
  return description;
}

export function mechanismsOf({ sales }: Plan): readonly Mechanism[] {
  return [...new Set(sales.map(({ mechanism }) => mechanism))];
}

/** `random` is the seed's own sale; what stands beside it is drawn from `beside`, and changes nothing of it. */
export function planOf(mechanism: Mechanism, random: Random, beside: Random): Plan {
  const limit = random.whole(1, 14);
  const persons = Math.max(2, Math.round(limit * random.pick([0.6, 1, 1.5, 2.5, 4])));
  const healsAtMs = random.between(2_000, 6_000);
  const withinMs = random.pick([5, 100, 800, 2_500]);
  const opensInMs = random.chance(0.25) ? random.between(50, 900) : 0;
  const neighbours = beside.chance(MANY_SHARE) ? neighboursOf(beside, healsAtMs) : [];
  const sold = new Set([mechanism, ...neighbours.map((sale) => sale.mechanism)]);
  const faults = [...sold].flatMap(eventFaultsOf);
  const isQueue = descriptionOf(mechanism).queues;
  const instances = random.chance(0.75) ? 2 : 1;
  const own = {
    eventId: parseEventId("sale")!,
    mechanism,
    limit,
    madeAtMs: 0,
    opensInMs,
    earlyBirds: 0,
    brokenAtMs: null,
    pace: isQueue && random.chance(0.15) ? random.whole(20, 200) : null,
    arrivalsMs: Array.from({ length: persons }, () => random.between(0, withinMs)),
    latecomers: random.whole(1, 3),
  };
  const events = Array.from({ length: random.pick([0, 1, 2, 4, 7]) }, () => ({
    atMs: random.between(0, Math.min(healsAtMs, withinMs + 1_500)),
    fault: random.pick(faults),
  }));
  const foreignRecords = isQueue && random.chance(0.3) ? random.whole(1, 4) : 0;
  const calm = neighbours.some(({ brokenAtMs }) => brokenAtMs !== null) && beside.chance(0.5);
  const sales = [{ ...own, foreignRecords }, ...neighbours];
  return { instances, healsAtMs, events: calm ? [] : events, sales, calm };
}

/** So many seeds are worlds of several sales; one takes as long as seven of the others. */
const MANY_SHARE = 1 / 20;
const NEIGHBOURS_MAX = 11;
const LIMIT_BESIDE_MAX = 6;
const AGES = ["finished", "quiet", "new", "busy", "busy"] as const;

/** Sales of all mechanisms and ages beside the seed's own. */
function neighboursOf(random: Random, healsAtMs: number): readonly SalePlan[] {
  const broken = new Set<Mechanism>();
  return Array.from({ length: random.whole(1, NEIGHBOURS_MAX) }, (_, index) => {
    const mechanism = random.pick(mechanisms).name;
    const limit = random.whole(1, LIMIT_BESIDE_MAX);
    // One of each mechanism: two held rows of v1 are all connections that it has.
    const ages = broken.has(mechanism) ? AGES : ([...AGES, "broken"] as const);
    const age = random.pick(ages);
    if (age === "broken") broken.add(mechanism);
    const isQueue = descriptionOf(mechanism).queues;
    const persons = age === "quiet" ? 0 : Math.round(limit * random.pick([0.6, 1, 2.5]));
    return {
      eventId: parseEventId(`beside-${index + 1}`)!,
      mechanism,
      limit,
      madeAtMs: age === "new" ? random.between(100, healsAtMs - 500) : 0,
      opensInMs: age === "busy" && random.chance(0.25) ? random.between(50, 900) : 0,
      pace: isQueue && age === "busy" && random.chance(0.15) ? random.whole(20, 200) : null,
      earlyBirds: age === "finished" ? limit + random.whole(0, 2) : 0,
      arrivalsMs: Array.from({ length: persons }, () => random.between(0, 2_500)),
      latecomers: random.whole(1, 2),
      foreignRecords: isQueue && random.chance(0.2) ? random.whole(1, 2) : 0,
      brokenAtMs: age === "broken" ? random.between(0, 1_500) : null,
    };
  });
}
