// What Grafana needs of a dashboard and what we ask of our own, as a JSON schema. It is ours: Grafana
// publishes the shape as types of its SDK (checked by dashboard-types.ts), whose options are too lax
// to see a panel without a unit or a query without an expression.

const text = { type: "string", minLength: 1 } as const;
const dataSource = {
  type: "object",
  required: ["type", "uid"],
  properties: { type: { const: "prometheus" }, uid: { const: "${datasource}" } },
} as const;

const gridPosition = {
  type: "object",
  additionalProperties: false,
  required: ["x", "y", "w", "h"],
  properties: {
    x: { type: "integer", minimum: 0, maximum: 23 },
    y: { type: "integer", minimum: 0 },
    w: { type: "integer", minimum: 1, maximum: 24 },
    h: { type: "integer", minimum: 1 },
  },
} as const;

const row = {
  type: "object",
  required: ["type", "id", "title", "gridPos", "collapsed", "panels"],
  properties: {
    type: { const: "row" },
    id: { type: "integer", minimum: 1 },
    title: text,
    gridPos: gridPosition,
    collapsed: { const: false },
    panels: { type: "array", maxItems: 0 },
  },
} as const;

const target = {
  type: "object",
  required: ["refId", "expr", "legendFormat", "datasource"],
  properties: {
    refId: { type: "string", pattern: "^[A-Z]$" },
    expr: text,
    legendFormat: text,
    datasource: dataSource,
  },
} as const;

const thresholds = {
  type: "object",
  required: ["mode", "steps"],
  properties: {
    mode: { enum: ["absolute", "percentage"] },
    steps: {
      type: "array",
      minItems: 1,
      prefixItems: [{ type: "object", properties: { value: { type: "null" } } }],
      items: {
        type: "object",
        required: ["value", "color"],
        properties: { value: { type: "number" }, color: text },
      },
    },
  },
} as const;

const panel = {
  type: "object",
  required: [
    "type",
    "id",
    "title",
    "description",
    "gridPos",
    "datasource",
    "targets",
    "fieldConfig",
  ],
  properties: {
    type: { enum: ["timeseries", "stat", "table"] },
    id: { type: "integer", minimum: 1 },
    title: text,
    description: { type: "string", minLength: 20 },
    gridPos: gridPosition,
    datasource: dataSource,
    targets: { type: "array", minItems: 1, items: target },
    fieldConfig: {
      type: "object",
      required: ["defaults", "overrides"],
      properties: {
        defaults: {
          type: "object",
          required: ["unit", "thresholds"],
          properties: {
            // The ids that Grafana knows, of those that we use: a wrong one is shown as text.
            unit: { enum: ["none", "short", "s", "bytes", "percentunit", "reqps", "cps"] },
            thresholds,
          },
        },
        overrides: { type: "array" },
      },
    },
  },
} as const;

const annotation = {
  type: "object",
  required: ["name", "datasource", "enable", "iconColor", "expr", "useValueForTime"],
  properties: {
    name: text,
    datasource: dataSource,
    enable: { const: true },
    iconColor: text,
    expr: text,
    useValueForTime: { const: true },
  },
} as const;

export const dashboardSchema = {
  type: "object",
  required: ["uid", "title", "description", "schemaVersion", "panels", "templating", "annotations"],
  properties: {
    // Forty characters is what Grafana takes.
    uid: { type: "string", pattern: "^[a-z0-9-]{1,40}$" },
    title: text,
    description: text,
    schemaVersion: { type: "integer", minimum: 36 },
    refresh: { const: "1s" },
    time: {
      type: "object",
      required: ["from", "to"],
      properties: { from: text, to: { const: "now" } },
    },
    // An id is one database's, and importing elsewhere would fail on it.
    id: { type: "null" },
    panels: {
      type: "array",
      minItems: 2,
      items: { anyOf: [row, panel] },
    },
    templating: {
      type: "object",
      required: ["list"],
      properties: {
        list: {
          type: "array",
          items: {
            type: "object",
            required: ["type", "name", "label"],
            properties: { type: { enum: ["datasource", "query"] }, name: text, label: text },
          },
        },
      },
    },
    annotations: {
      type: "object",
      required: ["list"],
      properties: { list: { type: "array", minItems: 2, items: annotation } },
    },
  },
} as const;
