// The kinds of panels that the dashboards are made of. Title, description, unit and queries are
// arguments and not calls to be forgotten.
import type { Builder } from "@grafana/grafana-foundation-sdk/cog";
import * as common from "@grafana/grafana-foundation-sdk/common";
import {
  FieldColorBuilder,
  FieldColorModeId,
  ThresholdsConfigBuilder,
  ThresholdsMode,
} from "@grafana/grafana-foundation-sdk/dashboard";
import type { Panel, Threshold } from "@grafana/grafana-foundation-sdk/dashboard";
import { DataqueryBuilder, PromQueryFormat } from "@grafana/grafana-foundation-sdk/prometheus";
import * as stats from "@grafana/grafana-foundation-sdk/stat";
import * as tables from "@grafana/grafana-foundation-sdk/table";
import * as timelines from "@grafana/grafana-foundation-sdk/timeseries";

export const dataSource: common.DataSourceRef = { type: "prometheus", uid: "${datasource}" };

export type Query = {
  readonly expression: string;
  readonly legend: string;
  /** A colour that is the same wherever the same thing is drawn. */
  readonly color?: string;
};

export type PanelMaker = (id: number) => Builder<Panel>;

/** Red from a value on, or below it; what is between has no colour of its own. */
type Alarm = { readonly from: number } | { readonly below: number };

type Content = {
  readonly title: string;
  readonly description: string;
  readonly unit: string;
  readonly queries: readonly Query[];
  /** Of the 24 columns of a row. */
  readonly width: number;
  readonly alarm?: Alarm;
  readonly warning?: Alarm;
};

const letterA = 65;
const graphHeight = 8;
const statHeight = 4;

/** Lines over time. */
export function graph(
  content: Content & {
    readonly stacked?: boolean;
    /** For what spans 1 ms to 90 s, where a linear axis would show one mechanism only. */
    readonly logarithmic?: boolean;
    readonly max?: number;
  },
): PanelMaker {
  return (id) => {
    const panel = new timelines.PanelBuilder()
      .id(id)
      .title(content.title)
      .description(content.description)
      .datasource(dataSource)
      .unit(content.unit)
      .span(content.width)
      .height(graphHeight)
      .lineWidth(2)
      .fillOpacity(content.stacked === true ? 60 : 8)
      .showPoints(common.VisibilityMode.Never)
      .thresholds(thresholds(content))
      .legend(
        new common.VizLegendOptionsBuilder()
          .displayMode(common.LegendDisplayMode.Table)
          .placement(common.LegendPlacement.Bottom)
          .showLegend(true)
          .calcs(["max", "lastNotNull"]),
      )
      .tooltip(
        new common.VizTooltipOptionsBuilder()
          .mode(common.TooltipDisplayMode.Multi)
          .sort(common.SortOrder.Descending),
      )
      .targets(targets(content.queries));
    if (content.max !== undefined) panel.max(content.max);
    if (content.logarithmic === true) {
      const type = common.ScaleDistribution.Log;
      panel.scaleDistribution(new common.ScaleDistributionConfigBuilder().type(type).log(10));
    } else {
      panel.min(0);
    }
    if (content.stacked === true) {
      panel.stacking(new common.StackingConfigBuilder().mode(common.StackingMode.Normal));
    }
    if (content.alarm !== undefined || content.warning !== undefined) {
      const mode = common.GraphThresholdsStyleMode.Dashed;
      panel.thresholdsStyle(new common.GraphThresholdsStyleConfigBuilder().mode(mode));
    }
    for (const { legend, color } of content.queries) {
      if (color !== undefined) panel.overrideByName(legend, [fixedColor(color)]);
    }
    return panel;
  };
}

/**
 * The value of each query now, large; coloured where it has an alarm or a warning. Asked for as of
 * now: the newest of a time range would stay green for minutes after its process is gone.
 */
export function stat(content: Content & { readonly whenAbsent?: string }): PanelMaker {
  return (id) => {
    const coloured = content.alarm !== undefined || content.warning !== undefined;
    const panel = new stats.PanelBuilder()
      .id(id)
      .title(content.title)
      .description(content.description)
      .datasource(dataSource)
      .unit(content.unit)
      .span(content.width)
      .height(statHeight)
      .colorMode(coloured ? common.BigValueColorMode.Background : common.BigValueColorMode.Value)
      .graphMode(common.BigValueGraphMode.None)
      .textMode(common.BigValueTextMode.ValueAndName)
      .reduceOptions(
        new common.ReduceDataOptionsBuilder().calcs(["lastNotNull"]).values(false).fields(""),
      )
      .thresholds(thresholds(content))
      .noValue(content.whenAbsent ?? "no data")
      .targets(content.queries.map((query, index) => target(query, index).instant()));
    for (const { legend, color } of content.queries) {
      if (color !== undefined && !coloured) panel.overrideByName(legend, [fixedColor(color)]);
    }
    return panel;
  };
}

/** One line for each set of `labels`, one column for each query: its newest value. */
export function table(content: Content & { readonly labels: readonly string[] }): PanelMaker {
  return (id) => {
    const names = content.queries.map(({ legend }, index) => [`Value #${refId(index)}`, legend]);
    const order = [...content.labels, ...names.map(([field]) => field)];
    return new tables.PanelBuilder()
      .id(id)
      .title(content.title)
      .description(content.description)
      .datasource(dataSource)
      .unit(content.unit)
      .span(content.width)
      .height(graphHeight)
      .thresholds(thresholds(content))
      .colorScheme(new FieldColorBuilder().mode(FieldColorModeId.Thresholds))
      .targets(
        content.queries.map((query, index) =>
          target(query, index).instant().format(PromQueryFormat.Table),
        ),
      )
      .withTransformation({ id: "merge", options: {} })
      .withTransformation({
        id: "organize",
        options: {
          excludeByName: { Time: true },
          indexByName: Object.fromEntries(order.map((field, index) => [field, index])),
          renameByName: Object.fromEntries(names),
        },
      });
  };
}

function targets(queries: readonly Query[]): DataqueryBuilder[] {
  return queries.map((query, index) => target(query, index).range());
}

function target({ expression, legend }: Query, index: number): DataqueryBuilder {
  return new DataqueryBuilder()
    .refId(refId(index))
    .datasource(dataSource)
    .expr(expression)
    .legendFormat(legend);
}

function refId(index: number): string {
  return String.fromCodePoint(letterA + index);
}

function fixedColor(color: string): { id: string; value: object } {
  return { id: "color", value: { mode: FieldColorModeId.Fixed, fixedColor: color } };
}

/** Steps in rising order, as Grafana wants them; the first has no value and holds below the second. */
function thresholds({
  alarm,
  warning,
}: Pick<Content, "alarm" | "warning">): ThresholdsConfigBuilder {
  const bounds = [
    ...(warning === undefined ? [] : [{ alarm: warning, color: "orange" }]),
    ...(alarm === undefined ? [] : [{ alarm, color: "red" }]),
  ];
  const steps: Threshold[] = [{ value: null, color: "green" }];
  for (const { alarm: bound, color } of bounds) {
    if ("from" in bound) steps.push({ value: bound.from, color });
    else steps.splice(0, 1, { value: null, color }, { value: bound.below, color: "green" });
  }
  return new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(steps);
}
