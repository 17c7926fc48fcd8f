import {
  AnnotationQueryBuilder,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  RowBuilder,
  TimePickerBuilder,
  VariableRefresh,
  VariableSort,
} from "@grafana/grafana-foundation-sdk/dashboard";
import type { Dashboard } from "@grafana/grafana-foundation-sdk/dashboard";
import { dataSource } from "./panels.ts";
import type { PanelMaker } from "./panels.ts";

export type Row = { readonly title: string; readonly panels: readonly PanelMaker[] };

/** The uid that deploy/grafana/provisioning gives the data source. */
const dataSourceUid = "stampede-prometheus";
const tag = "stampede";

/**
 * A whole dashboard: rows of panels, the variables `datasource` and `event`, and marks where an event
 * opened and was sold out. Panels get their ids by their order, so that the file is always the same.
 */
export function composeDashboard(content: {
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly rows: readonly Row[];
}): Dashboard {
  const dashboard = new DashboardBuilder(content.title)
    .uid(content.uid)
    .description(content.description)
    .tags([tag])
    .timezone("browser")
    .time({ from: "now-5m", to: "now" })
    .refresh("1s")
    .timepicker(new TimePickerBuilder().refreshIntervals(["1s", "5s", "30s", "1m"]))
    .tooltip(DashboardCursorSync.Crosshair)
    .withVariable(dataSourceVariable())
    .withVariable(eventVariable())
    .annotation(
      mark({
        name: "Opened",
        color: "green",
        metric: "stampede_event_opens_timestamp_seconds",
        text: "{{event}} ({{mechanism}}) opens",
      }),
    )
    .annotation(
      mark({
        name: "Sold out",
        color: "red",
        metric: "stampede_event_sold_out_timestamp_seconds",
        text: "{{event}} ({{mechanism}}) is sold out",
      }),
    )
    .link(
      new DashboardLinkBuilder("Stampede")
        .type(DashboardLinkType.Dashboards)
        .tags([tag])
        .includeVars(true)
        .keepTime(true),
    );
  let id = 0;
  for (const row of content.rows) {
    dashboard.withRow(new RowBuilder(row.title).id((id += 1)));
    for (const make of row.panels) dashboard.withPanel(make((id += 1)));
  }
  return dashboard.build();
}

function dataSourceVariable(): DatasourceVariableBuilder {
  return new DatasourceVariableBuilder("datasource")
    .label("Data source")
    .description("The Prometheus that scrapes the service.")
    .type("prometheus")
    .current({ selected: true, text: "Prometheus", value: dataSourceUid });
}

function eventVariable(): QueryVariableBuilder {
  const query = "label_values(stampede_event_limit, event)";
  return (
    new QueryVariableBuilder("event")
      .label("Event")
      .description("Coupon events. Claims and latencies are counted by mechanism, not by event.")
      .datasource(dataSource)
      .query({ query, refId: "events", qryType: 1 })
      .definition(query)
      .refresh(VariableRefresh.OnTimeRangeChanged)
      .sort(VariableSort.AlphabeticalAsc)
      .multi(true)
      .includeAll(true)
      // Not the list of those known now: an event that is created later is among "all" as well.
      .allValue(".*")
      .current({ selected: true, text: ["All"], value: ["$__all"] })
  );
}

/** A vertical line at the time that a gauge tells. */
function mark(line: {
  readonly name: string;
  readonly color: string;
  readonly metric: string;
  readonly text: string;
}): AnnotationQueryBuilder {
  return (
    new AnnotationQueryBuilder()
      .name(line.name)
      .datasource(dataSource)
      .enable(true)
      .iconColor(line.color)
      // Grafana reads a value for a time as milliseconds.
      .expr(`1000 * max by (event, mechanism) (${line.metric}{event=~"$event"})`)
      .useValueForTime(true)
      .step("10s")
      .titleFormat(line.name)
      .textFormat(line.text)
      .tagKeys("event,mechanism")
  );
}
