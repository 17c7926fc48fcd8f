import type { Row } from "./dashboard.ts";
import { graph } from "./panels.ts";

/** By event, so that one that is stuck hides behind no busy one. */
export function tightEvents(): Row {
  return {
    title: "Which event is it?",
    panels: [
      graph({
        title: "Saturation by event",
        description:
          "How full an event's own line is, the ten fullest. Dashed: where StampedeEventFull rings after half a minute.",
        unit: "percentunit",
        width: 12,
        max: 1,
        alarm: { from: 0.9 },
        queries: [{ expression: "event:stampede_event_saturation_ratio:max", legend: "{{event}}" }],
      }),
      graph({
        title: "Age of the oldest undecided ticket",
        description:
          "How long the first in an event's line has waited, the ten oldest. Dashed: where StampedeLineTooOld rings.",
        unit: "s",
        width: 12,
        alarm: { from: 60 },
        queries: [
          {
            expression: "max by (event) (stampede_queue_oldest_undecided_seconds)",
            legend: "{{event}}",
          },
        ],
      }),
      graph({
        title: "Reservations without a row",
        description:
          "How long an event's oldest reservation in Redis has had no row, the ten oldest. Dashed: where StampedeRowOverdue rings.",
        unit: "s",
        width: 12,
        alarm: { from: 10 },
        queries: [
          {
            expression: "max by (event) (stampede_redis_oldest_pending_seconds)",
            legend: "{{event}}",
          },
        ],
      }),
      graph({
        title: "Drift between Redis and the rows",
        description:
          "Winners in Redis without a row plus rows without a winner, when last compared. Claims under way are among them.",
        unit: "short",
        width: 12,
        queries: [
          { expression: 'event:stampede_redis_drift:max{event=~"$event"}', legend: "{{event}}" },
        ],
      }),
    ],
  };
}
