import type { Dashboard } from "@grafana/grafana-foundation-sdk/dashboard";
import { composeDashboard } from "./dashboard.ts";
import type { Row } from "./dashboard.ts";
import { mechanisms, perMechanism, quantiles, queueing, versionsOf } from "./mechanisms.ts";
import type { Mechanism } from "./mechanisms.ts";
import { graph, stat } from "./panels.ts";
import type { PanelMaker } from "./panels.ts";

const rowWidth = 24;
/** More panels than this beside each other are too narrow for their legends. */
const besideMax = 4;
/** Of a panel that every mechanism has one of. */
const besideWidth = Math.floor(rowWidth / Math.min(besideMax, mechanisms.length));

/** What people get: answers per second and latency of each mechanism, the coupons left, the line. */
export function saleDashboard(): Dashboard {
  return composeDashboard({
    uid: "stampede-sale",
    title: "The sale",
    description: "What people get: answers per second, latency, coupons left and the line.",
    rows: [sideBySide(), coupons(), line()],
  });
}

function sideBySide(): Row {
  return {
    title: `${versionsOf(mechanisms)} side by side`,
    panels: [
      stat({
        title: "Answers per second now",
        description: "Claims answered in the last five seconds, whatever the answer was.",
        unit: "reqps",
        width: 12,
        queries: perMechanism((selector) => `mechanism:stampede_claims:rate5s{${selector}}`),
      }),
      stat({
        title: "p99 latency now",
        description: "Of the last ten seconds: 99 of 100 claims were answered within this time.",
        unit: "s",
        width: 12,
        queries: perMechanism(
          (selector) =>
            `mechanism:stampede_claim_duration_seconds:quantile10s{quantile="0.99", ${selector}}`,
        ),
        whenAbsent: "no claims",
      }),
      graph({
        title: "Answers per second",
        description:
          "All answers together. A rush that is over within the scrape interval looks lower than it was: its peak is what the lab measures.",
        unit: "reqps",
        width: 12,
        queries: perMechanism(
          (selector) => `sum(rate(stampede_claims_total{${selector}}[$__rate_interval]))`,
        ),
      }),
      graph({
        title: "Failed claims",
        description:
          "Answers of 5xx among all of the last minute. Refusals such as sold out are no failures. Dashed: where StampedeClaimsFail rings.",
        unit: "percentunit",
        width: 12,
        alarm: { from: 0.05 },
        queries: perMechanism(
          (selector) => `mechanism:stampede_claims_failed:ratio_rate1m{${selector}}`,
        ),
      }),
      ...mechanisms.map(latency),
      ...mechanisms.map(outcomes),
    ],
  };
}

function latency({ name, version, title, queues }: Mechanism): PanelMaker {
  return graph({
    title: `Latency, ${title}`,
    description: queues
      ? `From a claim's arrival to its answer: for ${version} that is the place in line, not the coupon.`
      : "From a claim's arrival to its answer, on a logarithmic axis.",
    unit: "s",
    width: besideWidth,
    logarithmic: true,
    queries: quantiles("stampede_claim_duration_seconds", `mechanism="${name}"`),
  });
}

function outcomes({ name, title }: Mechanism): PanelMaker {
  return graph({
    title: `Outcomes, ${title}`,
    description: "What people were told, stacked to all answers per second.",
    unit: "reqps",
    width: besideWidth,
    stacked: true,
    queries: [
      {
        expression: `sum by (outcome) (rate(stampede_claims_total{mechanism="${name}"}[$__rate_interval]))`,
        legend: "{{outcome}}",
      },
    ],
  });
}

function coupons(): Row {
  return {
    title: "Coupons",
    panels: [
      graph({
        title: "Coupons left",
        description: "The limit less the durable coupon issues, for each event in use.",
        unit: "short",
        width: 8,
        queries: [
          {
            expression: 'min by (event, mechanism) (stampede_event_remaining{event=~"$event"})',
            legend: "{{event}}",
          },
        ],
      }),
      graph({
        title: "Share issued",
        description: "Durable coupon issues by the limit: 100 % is sold out.",
        unit: "percentunit",
        width: 8,
        max: 1,
        queries: [
          {
            expression:
              'max by (event) (stampede_event_issued{event=~"$event"}) / max by (event) (stampede_event_limit{event=~"$event"})',
            legend: "{{event}}",
          },
        ],
      }),
      graph({
        title: "Coupons issued per second",
        description: `Rows that became durable. For ${versionsOf(queueing)} this is the decider's pace and not that of the answers.`,
        unit: "cps",
        width: 8,
        queries: perMechanism(
          (selector) =>
            `sum(max by (event) (rate(stampede_event_issued{event=~"$event", ${selector}}[$__rate_interval])))`,
        ),
      }),
    ],
  };
}

function line(): Row {
  return {
    title: `The line (${versionsOf(queueing)})`,
    panels: [
      graph({
        title: "People in line",
        description: "Tickets that are not decided yet, for each event.",
        unit: "short",
        width: 8,
        queries: [
          {
            expression: 'event:stampede_queue_length:max{event=~"$event"}',
            legend: "{{event}}",
          },
        ],
      }),
      graph({
        title: "Tickets decided per second",
        description: "Of all events and processes; a pace shows as a flat line.",
        unit: "cps",
        width: 8,
        queries: [
          {
            expression: "sum(rate(stampede_decided_total[$__rate_interval]))",
            legend: "decided",
            ...(queueing[0] === undefined ? {} : { color: queueing[0].color }),
          },
        ],
      }),
      graph({
        title: "Error of the waiting time told",
        description:
          "How far the wait that a person was told with the ticket lay from the real one, either way.",
        unit: "s",
        width: 8,
        queries: quantiles("stampede_queue_estimate_error_seconds"),
      }),
    ],
  };
}
