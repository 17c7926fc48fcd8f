import type { EventId } from "@stampede/domain";
import { EVENTS_TOLD_MAX, worstEvents } from "../engines/measure.ts";
import type { Measure } from "../engines/measure.ts";

/** Told by the process that reconciles, by event, of the ten worst. */
export function pendingAgeMeasure(ages: () => ReadonlyMap<EventId, number>): Measure {
  return worstEvents(
    "stampede_redis_oldest_pending_seconds",
    "How long an event's oldest reservation has had no row, or the event could not be reconciled: the ten worst.",
    () => [...ages()].map(([eventId, ms]) => [eventId, ms / 1_000]),
  );
}

/** Told by the process that reconciles. */
export function redisDriftMeasure(
  drift: (eventsMax: number) => ReadonlyMap<string, number>,
): Measure {
  return {
    name: "stampede_redis_drift",
    help: "Winners in Redis without a row plus rows without a winner, when last compared; reservations under way are among them.",
    type: "gauge",
    labels: ["event"],
    read: () => [...drift(EVENTS_TOLD_MAX)].map(([event, value]) => ({ labels: { event }, value })),
  };
}
