// The committed dashboards: as the code makes them, as Grafana's types want them, and complete.
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import { parse } from "yaml";
import { dashboardSchema } from "./support/dashboard-schema.ts";
import { checkDashboardTypes } from "./support/dashboard-types.ts";
import { dashboardFiles, drawnPanels, generatedFolder } from "./support/dashboards.ts";
import { grafanaFolder, outputOf, prometheusFolder } from "./support/tools.ts";

const names = ["machine-room.json", "proof.json", "sale.json"];
const validate = new Ajv2020({ allErrors: true, strictTuples: false }).compile(dashboardSchema);

test("the committed dashboards are those that npm run dashboards makes", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "stampede-dashboards-"));
  t.after(() => rmSync(folder, { recursive: true }));
  await outputOf(process.execPath, [join(grafanaFolder, "generate.ts"), folder]);
  assert.deepEqual(readdirSync(folder).toSorted(), names);
  assert.deepEqual(readdirSync(generatedFolder).toSorted(), names);
  for (const { name, text } of dashboardFiles) {
    assert.equal(text, readFileSync(join(folder, name), "utf8"), `${name}: npm run dashboards`);
  }
});

describe("Grafana's own types", () => {
  test("accept every dashboard", async () => {
    await checkDashboardTypes(dashboardFiles.map(({ text }) => text));
  });

  test("refuse a member they do not know, a value that is none, and one that is missing", async () => {
    const text = dashboardFiles[0]!.text;
    const wrong = [
      text.replace('"graphTooltip"', '"tooltips"'),
      text.replace('"colorMode": "background"', '"colorMode": "rainbow"'),
      text.replace('"showPoints": "never"', '"showDots": "never"'),
      text.replace('"expr": "engine:stampede_engine_up:min",', ""),
    ];
    for (const one of wrong) {
      assert.notEqual(one, text);
      await assert.rejects(checkDashboardTypes([one]), /error TS/);
    }
  });
});

for (const { name, dashboard } of dashboardFiles) {
  describe(name, () => {
    test("has all that the schema asks of a dashboard", () => {
      validate(dashboard);
      assert.deepEqual(validate.errors ?? [], []);
    });

    test("has panels of different ids and titles that do not lie on each other", () => {
      const { panels } = dashboard;
      const drawn = drawnPanels(dashboard);
      assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
      assert.equal(new Set(drawn.map(({ title }) => title)).size, drawn.length);
      const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) => {
        assert.ok(x + w <= 24);
        return Array.from({ length: w * h }, (_, n) => `${x + (n % w)},${y + Math.floor(n / w)}`);
      });
      assert.equal(new Set(cells).size, cells.length);
    });

    test("asks for the data source and the event, and marks opening and sold-out", () => {
      const variables = dashboard.templating.list.map((variable) => variable.name);
      assert.deepEqual(variables, ["datasource", "event"]);
      const marks = dashboard.annotations.list.map((mark) => mark.name);
      assert.deepEqual(marks, ["Opened", "Sold out"]);
    });
  });
}

describe("the schema", () => {
  const sale = dashboardFiles.find(({ name }) => name === "sale.json")!.text;
  const wrong = {
    "a panel without a description": sale.replace(/"description": "Claims answered[^\n]*/, ""),
    "a panel without a unit": sale.replace('"unit": "reqps"', '"decimals": 1'),
    "a unit that Grafana does not know": sale.replace('"unit": "reqps"', '"unit": "answers"'),
    "a panel without a query": sale.replace(/"targets": \[[^\]]*\]/, '"targets": []'),
    "a data source of one machine": sale.replaceAll("${datasource}", "PBFA97CFB590B2093"),
  };
  for (const [what, text] of Object.entries(wrong)) {
    test(`refuses ${what}`, () => {
      assert.notEqual(text, sale);
      assert.equal(validate(JSON.parse(text)), false);
    });
  }
});

describe("the provisioning", () => {
  const read = (...path: string[]): string => readFileSync(join(grafanaFolder, ...path), "utf8");

  test("makes the data source that the dashboards begin with, at the scrape's own pace", () => {
    const { datasources } = parse(read("provisioning", "datasources", "prometheus.yml"));
    const [source] = datasources;
    assert.equal(datasources.length, 1);
    for (const { text } of dashboardFiles) {
      const [variable] = JSON.parse(text).templating.list;
      assert.deepEqual(variable.current, { selected: true, text: source.name, value: source.uid });
    }
    const { global } = parse(readFileSync(join(prometheusFolder, "prometheus.yml"), "utf8"));
    assert.equal(source.jsonData.timeInterval, global.scrape_interval);
  });

  test("loads the dashboards from one folder, and the sale is the home of it", () => {
    const { providers } = parse(read("provisioning", "dashboards", "stampede.yml"));
    const { path } = providers[0].options;
    assert.match(
      read("grafana.ini"),
      new RegExp(`^default_home_dashboard_path = ${path}/sale.json$`, "m"),
    );
    assert.ok(names.includes("sale.json"));
  });
});
