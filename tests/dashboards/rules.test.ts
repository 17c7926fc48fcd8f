// The committed configuration and rules of Prometheus, by Prometheus' own checker; and that no rule is
// without a test, no alert without words.
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { describe, test } from "node:test";
import { parse } from "yaml";
import { ruleFiles, rules, ruleTestFiles, ruleTests } from "./support/rules.ts";
import {
  outputOf,
  programPath,
  prometheusFolder,
  prometheusMissing,
  repository,
} from "./support/tools.ts";

const skip = prometheusMissing();
const configPath = join(prometheusFolder, "prometheus.yml");

describe("promtool", { skip }, () => {
  test("accepts the configuration and all rules", async () => {
    await promtool("check", "config", "--lint-fatal", configPath);
    await promtool("check", "rules", "--lint-fatal", ...ruleFiles);
  });

  test("sees every rule do what its tests say", async () => {
    await promtool("test", "rules", ...ruleTestFiles);
  });

  test("would see a rule that is wrong", async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "stampede-rules-"));
    t.after(() => rmSync(folder, { recursive: true }));
    for (const name of ["rules", "tests"]) mkdirSync(join(folder, name));
    const copies = ruleTestFiles.map((path) => {
      const copy = join(folder, "tests", basename(path));
      copyFileSync(path, copy);
      return copy;
    });
    for (const path of ruleFiles) {
      const text = readFileSync(path, "utf8");
      const broken = text.replace("over_issue:max > 0", "over_issue:max > 1");
      writeFileSync(join(folder, "rules", basename(path)), broken);
    }
    await assert.rejects(promtool("test", "rules", ...copies), /StampedeOverIssue/);
  });
});

describe("the configuration of Prometheus", () => {
  test("names the jobs that rules and dashboards ask for, at the services of compose.yaml", () => {
    const { scrape_configs: jobs } = parse(readFileSync(configPath, "utf8"));
    const targets = Object.fromEntries(
      jobs.map((job: { job_name: string; static_configs: { targets: string[] }[] }) => [
        job.job_name,
        job.static_configs.flatMap(({ targets }) => targets),
      ]),
    );
    assert.deepEqual(targets, {
      stampede: ["app:3000"],
      lab: ["lab:9464"],
      postgres: ["postgres-exporter:9187"],
      redis: ["redis-exporter:9121"],
      kafka: ["kafka-exporter:9308"],
      prometheus: ["localhost:9090"],
    });
  });
});

describe("a rule", () => {
  const alertTests = ruleTests.flatMap((one) => one.alert_rule_test ?? []);
  const recorded = ruleTests
    .flatMap((one) => one.promql_expr_test ?? [])
    .flatMap(({ exp_samples: samples }) => samples.map(({ labels }) => labels));

  for (const { alert } of rules) {
    if (alert === undefined) continue;
    test(`of the alert ${alert} is seen to fire and to keep quiet`, () => {
      const cases = alertTests.filter(({ alertname }) => alertname === alert);
      assert.ok(cases.some(({ exp_alerts: expected }) => expected.length > 0));
      assert.ok(cases.some(({ exp_alerts: expected }) => expected.length === 0));
    });
  }

  for (const { record, labels = {} } of rules) {
    if (record === undefined) continue;
    const quantile = labels["quantile"];
    test(`that records ${record} ${quantile ?? ""} is seen to give a value`, () => {
      const series = recorded.filter((one) => one.split("{")[0] === record);
      const right = series.filter(
        (one) => quantile === undefined || one.includes(`quantile="${quantile}"`),
      );
      assert.ok(right.length > 0);
    });
  }
});

describe("an alert", () => {
  const manual = readFileSync(join(repository, "docs", "operating.md"), "utf8");
  // As GitHub makes them: in small letters, without punctuation, spaces as hyphens.
  const anchors = new Set(
    Array.from(manual.matchAll(/^#+ (.+)$/gm), ([, heading = ""]) =>
      heading
        .toLowerCase()
        .replace(/[^\w\- ]/g, "")
        .replaceAll(" ", "-"),
    ),
  );

  for (const { alert, labels, annotations } of rules) {
    if (alert === undefined) continue;
    test(`${alert} says how grave it is, what it means, what to do and where more stands`, () => {
      assert.match(labels?.["severity"] ?? "", /^(?:critical|warning)$/);
      assert.ok((annotations?.["summary"] ?? "").length >= 10);
      assert.ok((annotations?.["description"] ?? "").length >= 80);
      const [file, anchor = ""] = (annotations?.["runbook_url"] ?? "").split("#");
      assert.equal(file, "docs/operating.md");
      assert.ok(anchors.has(anchor), `docs/operating.md has no section #${anchor}`);
    });
  }
});

function promtool(...args: readonly string[]): Promise<string> {
  return outputOf(programPath("promtool"), args);
}
