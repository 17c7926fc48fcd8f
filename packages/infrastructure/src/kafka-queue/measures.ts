import type { CouponEvent, EventId } from "@stampede/domain";
import { EVENTS_TOLD_MAX, gauge, worstEvents } from "../engines/measure.ts";
import type { Measure } from "../engines/measure.ts";
import type { DeciderFacts } from "./decider/decider.ts";
import type { UndecidedAge } from "./decider/undecided-records.ts";

/** What the process that decides tells of all lines. */
export function deciderMeasures(facts: () => DeciderFacts): Measure[] {
  return [
    gauge("stampede_decider_leading", "1 in the process that decides the queues.", () =>
      Number(facts().leading),
    ),
    gauge("stampede_decider_lag_tickets", "Undecided records of all queues.", () => facts().lag),
    gauge(
      "stampede_decider_oldest_undecided_seconds",
      "From the broker's time of appending the oldest undecided record to now by the database's clock.",
      () => facts().oldestUndecidedMs / 1_000,
    ),
    gauge("stampede_queues_halted", "Queues that are halted now.", () => facts().halted),
    {
      name: "stampede_decided_total",
      help: "Records decided by this process.",
      type: "counter",
      labels: [],
      read: () => [{ labels: {}, value: facts().decided }],
    },
  ];
}

/** By event, of the ten worst: what all queues together show may be one busy line's. */
export function undecidedAgeMeasures(
  ages: () => ReadonlyMap<EventId, UndecidedAge>,
  /** A line that rests by its operator's wish is not stuck. */
  rests: (eventId: EventId) => boolean,
): Measure[] {
  return [
    worstEvents(
      "stampede_queue_oldest_undecided_seconds",
      "How long an event's oldest undecided ticket has waited: the ten that wait longest.",
      () => [...ages()].map(([eventId, { oldestMs }]) => [eventId, oldestMs / 1_000]),
    ),
    worstEvents(
      "stampede_queue_still_seconds",
      "How long none of an event's undecided tickets was decided: the ten worst, but for those whose pace is 0.",
      () =>
        [...ages()]
          .filter(([eventId]) => !rests(eventId))
          .map(([eventId, { stillMs }]) => [eventId, stillMs / 1_000]),
    ),
  ];
}

/**
 * The line of each event of `mechanism` that is in use, 0 while nobody waits. `waiting` is null in a
 * process that does not decide now, and so does not know.
 */
export function queueLengthMeasure(
  mechanism: string,
  directory: {
    readonly known: (eventsMax: number) => readonly { readonly event: CouponEvent }[];
  },
  waiting: () => ReadonlyMap<string, number> | null,
): Measure {
  return {
    name: "stampede_queue_length",
    help: "Undecided tickets of an event's line, told by the process that decides.",
    type: "gauge",
    labels: ["event"],
    read() {
      const lengths = waiting();
      if (lengths === null) return [];
      const told = new Map<string, number>();
      for (const { event } of directory.known(EVENTS_TOLD_MAX)) {
        if (event.mechanism === mechanism) told.set(event.id, 0);
      }
      const longestFirst = [...lengths].sort(([, one], [, other]) => other - one);
      for (const [event, length] of longestFirst.slice(0, EVENTS_TOLD_MAX)) told.set(event, length);
      return [...told].map(([event, value]) => ({ labels: { event }, value }));
    },
  };
}
