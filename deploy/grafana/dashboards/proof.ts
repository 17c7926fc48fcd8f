import type { Dashboard } from "@grafana/grafana-foundation-sdk/dashboard";
import { composeDashboard } from "./dashboard.ts";
import type { Row } from "./dashboard.ts";
import { perMechanism } from "./mechanisms.ts";
import { graph, stat, table } from "./panels.ts";
import type { PanelMaker } from "./panels.ts";

/** Whether it was right: the lab's verdicts, and what must never be, counted past our own counters. */
export function proofDashboard(): Dashboard {
  return composeDashboard({
    uid: "stampede-proof",
    title: "The proof",
    description: "Whether it was right: verdicts, over-issue, drift, repairs and recoveries.",
    rows: [never(), mended(), lab()],
  });
}

function never(): Row {
  return {
    title: "What must never be",
    panels: [
      stat({
        title: "Coupons beyond a limit",
        description: "Rows that SQL counts beyond the limits of the events. Never anything but 0.",
        unit: "none",
        width: 6,
        alarm: { from: 1 },
        queries: [
          {
            expression: 'sum(event:stampede_event_over_issue:max{event=~"$event"})',
            legend: "over-issued",
          },
        ],
      }),
      stat({
        title: "Rows that differ from the counter",
        description:
          "Rows less the counter that people are shown, summed without sign. Not 0 for a moment while a sale runs, since the two are read at different times; 0 when it stands still.",
        unit: "none",
        width: 6,
        alarm: { from: 1 },
        queries: [
          {
            expression: 'sum(abs(event:stampede_event_counter_drift:max{event=~"$event"}))',
            legend: "difference",
          },
        ],
      }),
      stat({
        title: "Violations found by the lab",
        description:
          "What the judge of the lab's runs found, as last seen in the chosen time: the lab answers only while it runs.",
        unit: "none",
        width: 6,
        alarm: { from: 1 },
        queries: [
          {
            expression: "sum(last_over_time(stampede_lab_violations_total[$__range]))",
            legend: "violations",
          },
        ],
        whenAbsent: "no runs in this time",
      }),
      stat({
        title: "Alerts that ring",
        description: "Of the rules in deploy/prometheus/rules; docs/operating.md says what to do.",
        unit: "none",
        width: 6,
        alarm: { from: 1 },
        queries: [
          {
            expression:
              'count(ALERTS{alertstate="firing", alertname=~"Stampede.*"}) or 0 * count(up{job="stampede"})',
            legend: "firing",
          },
        ],
      }),
      everyEvent(),
    ],
  };
}

function everyEvent(): PanelMaker {
  return table({
    title: "Limit, counter and rows",
    description:
      "For each event: its limit, the counter that people are shown, and the rows that SQL counts.",
    unit: "none",
    width: 24,
    labels: ["event", "mechanism"],
    queries: [
      {
        expression: 'max by (event, mechanism) (stampede_event_limit{event=~"$event"})',
        legend: "limit",
      },
      {
        expression: 'max by (event, mechanism) (stampede_event_issued{event=~"$event"})',
        legend: "counter",
      },
      {
        expression: 'max by (event, mechanism) (stampede_event_coupon_issues{event=~"$event"})',
        legend: "rows",
      },
      {
        expression: 'event:stampede_event_over_issue:max{event=~"$event"}',
        legend: "beyond the limit",
      },
    ],
  });
}

function mended(): Row {
  return {
    title: "What was mended",
    panels: [
      graph({
        title: "Drift between Redis and the rows",
        description:
          "Winners in Redis without a row plus rows without a winner, when last compared. Claims under way are among them; what a dead process left behind goes within two seconds.",
        unit: "short",
        width: 8,
        queries: [
          { expression: 'event:stampede_redis_drift:max{event=~"$event"}', legend: "{{event}}" },
        ],
      }),
      graph({
        title: "Repairs of the reconciler",
        description: "Since the processes were started, by kind: expected after a crash only.",
        unit: "short",
        width: 8,
        queries: [
          {
            expression: "sum by (kind) (stampede_reconciler_repairs_total)",
            legend: "{{kind}}",
          },
        ],
      }),
      graph({
        title: "Recoveries",
        description:
          "Since the processes were started, by kind: a duty taken over or lost and had again, a queue decided on from its mark, a Redis filled again from the rows.",
        unit: "short",
        width: 8,
        queries: [{ expression: "sum by (kind) (stampede_recoveries_total)", legend: "{{kind}}" }],
      }),
    ],
  };
}

function lab(): Row {
  return {
    title: "The lab (npm run lab, npm run rush with --metrics-port)",
    panels: [
      graph({
        title: "Judged runs",
        description:
          "Right, wrong or void: a void run proves nothing, a wrong one has no throughput.",
        unit: "short",
        width: 12,
        queries: [
          {
            expression: "sum by (mechanism, verdict) (stampede_lab_runs_total)",
            legend: "{{mechanism}} {{verdict}}",
          },
        ],
      }),
      graph({
        title: "Answers per second of the last run",
        description: "As the crowd measured it, from its first claim to its last answer.",
        unit: "reqps",
        width: 12,
        queries: perMechanism((selector) => `max(stampede_lab_answers_per_second{${selector}})`),
      }),
    ],
  };
}
