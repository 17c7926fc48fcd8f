import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { prometheusFolder } from "./tools.ts";

export type Rule = {
  readonly record?: string;
  readonly alert?: string;
  readonly expr: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
};

type RuleTest = {
  readonly alert_rule_test?: readonly {
    readonly alertname: string;
    readonly exp_alerts: readonly unknown[];
  }[];
  readonly promql_expr_test?: readonly { readonly exp_samples: readonly { labels: string }[] }[];
};

export const ruleFiles = filesIn("rules");
export const ruleTestFiles = filesIn("tests");

/** Every committed rule, in the order of the files. */
export const rules: readonly Rule[] = ruleFiles.flatMap((path) => {
  const { groups } = parse(readFileSync(path, "utf8")) as { groups: { rules: Rule[] }[] };
  return groups.flatMap((group) => group.rules);
});

/** Every case of promtool's unit tests. */
export const ruleTests: readonly RuleTest[] = ruleTestFiles.flatMap(
  (path) => (parse(readFileSync(path, "utf8")) as { tests: RuleTest[] }).tests,
);

function filesIn(folder: string): readonly string[] {
  const path = join(prometheusFolder, folder);
  return readdirSync(path)
    .filter((name) => name.endsWith(".yml"))
    .toSorted()
    .map((name) => join(path, name));
}
