import type { Dashboard } from "@grafana/grafana-foundation-sdk/dashboard";
import { composeDashboard } from "./dashboard.ts";
import type { Row } from "./dashboard.ts";
import { quantiles } from "./mechanisms.ts";
import { tightEvents } from "./tight-events.ts";
import { graph, stat } from "./panels.ts";
import type { PanelMaker } from "./panels.ts";

/** Where the time goes: engines, decider, lines, pools, round trips, the processes themselves. */
export function machineRoomDashboard(): Dashboard {
  return composeDashboard({
    uid: "stampede-machine-room",
    title: "The machine room",
    description: "Where the time goes: engines, decider, lines, round trips and processes.",
    rows: [health(), pressure(), tightEvents(), engines(), processes()],
  });
}

function health(): Row {
  return {
    title: "Is everything there?",
    panels: [
      stat({
        title: "Engines",
        description: "1 while every process reaches the engine; absent where it is switched off.",
        unit: "none",
        width: 6,
        alarm: { below: 1 },
        queries: [{ expression: "engine:stampede_engine_up:min", legend: "{{engine}}" }],
      }),
      stat({
        title: "Processes",
        description: "1 while the process answers Prometheus.",
        unit: "none",
        width: 6,
        alarm: { below: 1 },
        queries: [{ expression: 'up{job="stampede"}', legend: "{{instance}}" }],
      }),
      stat({
        title: "Deciders that lead",
        description: "Exactly one decides the queues; the next takes over within five seconds.",
        unit: "none",
        width: 4,
        alarm: { below: 1 },
        warning: { from: 2 },
        queries: [{ expression: "stampede:decider_leading:sum", legend: "leading" }],
        whenAbsent: "Kafka is off",
      }),
      stat({
        title: "Queues halted",
        description:
          "Queues whose log cannot be trusted any more. See the manual before clearing one.",
        unit: "none",
        width: 4,
        alarm: { from: 1 },
        queries: [{ expression: "sum(stampede_queues_halted)", legend: "halted" }],
        whenAbsent: "Kafka is off",
      }),
      stat({
        title: "Accept-queue overflows",
        description: "Connections that the kernel dropped in the last five minutes, by machine.",
        unit: "none",
        width: 4,
        alarm: { from: 1 },
        queries: [
          {
            expression: "sum by (instance) (increase(stampede_listen_overflows_total[5m]))",
            legend: "{{instance}}",
          },
        ],
        whenAbsent: "not on Linux",
      }),
    ],
  };
}

function pressure(): Row {
  return {
    title: "Where is it tight?",
    panels: [
      graph({
        title: "Saturation",
        description:
          "How full each resource is, in the worst process. Dashed: where StampedeSaturated rings after half a minute.",
        unit: "percentunit",
        width: 8,
        max: 1,
        warning: { from: 0.7 },
        alarm: { from: 0.9 },
        queries: [{ expression: "resource:stampede_saturation_ratio:max", legend: "{{resource}}" }],
      }),
      graph({
        title: "PostgreSQL pools",
        description: "Connections open and idle, and callers that wait for one, by pool.",
        unit: "short",
        width: 8,
        queries: [
          {
            expression: "sum by (pool, state) (stampede_postgres_pool)",
            legend: "{{pool}} {{state}}",
          },
        ],
      }),
      graph({
        title: "Undecided tickets",
        description: "The lag of all queues together, as the decider sees it.",
        unit: "short",
        width: 8,
        queries: [{ expression: "max(stampede_decider_lag_tickets)", legend: "tickets" }],
      }),
    ],
  };
}

function engines(): Row {
  const trips = "stampede_round_trip_seconds";
  return {
    title: "Engines",
    panels: [
      graph({
        title: "Wait for the row lock (v1)",
        description: "From asking for the lock of the event's row to having it.",
        unit: "s",
        width: 8,
        logarithmic: true,
        queries: quantiles("stampede_row_lock_wait_seconds"),
      }),
      graph({
        title: "Round trips, p99",
        description: "From a request to an engine until its reply, by what was asked.",
        unit: "s",
        width: 8,
        logarithmic: true,
        queries: [
          {
            expression: `histogram_quantile(0.99, sum by (engine, operation, le) (rate(${trips}_bucket[$__rate_interval])))`,
            legend: "{{engine}} {{operation}}",
          },
        ],
      }),
      graph({
        title: "Round trips per second",
        description: "Requests to the engines. Fewer than claims: batches are at work.",
        unit: "reqps",
        width: 8,
        queries: [
          {
            expression: `sum by (engine, operation) (rate(${trips}_count[$__rate_interval]))`,
            legend: "{{engine}} {{operation}}",
          },
        ],
      }),
      ...batches(),
    ],
  };
}

function batches(): PanelMaker[] {
  const size = "stampede_batch_size";
  return [
    graph({
      title: "Batch size, mean",
      description: "Claims that one transaction, script or produce request carried.",
      unit: "short",
      width: 12,
      queries: [
        {
          expression: `sum by (kind) (rate(${size}_sum[$__rate_interval])) / sum by (kind) (rate(${size}_count[$__rate_interval]))`,
          legend: "{{kind}}",
        },
      ],
    }),
    graph({
      title: "Batch size, p95",
      description: "One batch in twenty carried more; exact to the histogram's buckets.",
      unit: "short",
      width: 12,
      queries: [
        {
          expression: `histogram_quantile(0.95, sum by (kind, le) (rate(${size}_bucket[$__rate_interval])))`,
          legend: "{{kind}}",
        },
      ],
    }),
  ];
}

function processes(): Row {
  return {
    title: "Processes",
    panels: [
      graph({
        title: "Watchers",
        description: "Open event streams, by process.",
        unit: "short",
        width: 8,
        queries: [{ expression: "stampede_streams", legend: "{{instance}}" }],
      }),
      graph({
        title: "Event loop delay, p99",
        description: "How late timers run: everything else that the process does is as late.",
        unit: "s",
        width: 8,
        queries: [{ expression: "nodejs_eventloop_lag_p99_seconds", legend: "{{instance}}" }],
      }),
      graph({
        title: "CPU",
        description: "Cores used by the process; JavaScript itself can use one.",
        unit: "none",
        width: 8,
        queries: [
          {
            expression: "rate(process_cpu_seconds_total[$__rate_interval])",
            legend: "{{instance}} {{job}}",
          },
        ],
      }),
      graph({
        title: "Memory",
        description: "Resident, and the part of it that is JavaScript objects.",
        unit: "bytes",
        width: 8,
        queries: [
          {
            expression: 'process_resident_memory_bytes{job="stampede"}',
            legend: "{{instance}} resident",
          },
          { expression: "nodejs_heap_size_used_bytes", legend: "{{instance}} heap used" },
        ],
      }),
      ...housekeeping(),
    ],
  };
}

function housekeeping(): PanelMaker[] {
  return [
    graph({
      title: "Garbage collection",
      description: "Share of time spent collecting, by kind.",
      unit: "percentunit",
      width: 8,
      queries: [
        {
          expression:
            "sum by (instance, kind) (rate(nodejs_gc_duration_seconds_sum[$__rate_interval]))",
          legend: "{{instance}} {{kind}}",
        },
      ],
    }),
    graph({
      title: "Open files",
      description: "Connections count as files. Ten thousand people need a limit above 12,000.",
      unit: "short",
      width: 8,
      queries: [
        { expression: 'process_open_fds{job="stampede"}', legend: "{{instance}} open" },
        { expression: 'process_max_fds{job="stampede"}', legend: "{{instance}} limit" },
      ],
    }),
    graph({
      title: "Scrape time",
      description:
        "What Prometheus waits for /metrics: in a rush a scrape stands in line with the claims, and from one second on it is lost.",
      unit: "s",
      width: 8,
      alarm: { from: 1 },
      queries: [{ expression: 'scrape_duration_seconds{job="stampede"}', legend: "{{instance}}" }],
    }),
  ];
}
