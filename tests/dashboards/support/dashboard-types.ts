// The committed JSON against the types that Grafana publishes (its Foundation SDK): each file becomes a
// literal that TypeScript has to accept, members that the types do not know included.
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { outputOf, repository } from "./tools.ts";

/** Enums become the values they stand for, since JSON has no names for them. */
const prelude = `
import type * as dashboard from "@grafana/grafana-foundation-sdk/dashboard";
import type { Dataquery } from "@grafana/grafana-foundation-sdk/prometheus";
import type * as stat from "@grafana/grafana-foundation-sdk/stat";
import type * as table from "@grafana/grafana-foundation-sdk/table";
import type * as timeseries from "@grafana/grafana-foundation-sdk/timeseries";

type Method = "_implementsDataqueryVariant";
type Plain<T> = 0 extends 1 & T ? T
  : T extends string ? \`\${T}\`
  : T extends readonly (infer Item)[] ? Plain<Item>[]
  : T extends object ? { [Key in keyof T as Key extends Method ? never : Key]: Plain<T[Key]> }
  : T;
type Replace<T, Added> = Omit<T, keyof Added> & Added;
type PanelOf<Type, Options, Custom> = Replace<Plain<dashboard.Panel>, {
  type: Type;
  options: Plain<Options>;
  targets: Plain<Dataquery>[];
  fieldConfig: Replace<Plain<dashboard.FieldConfigSource>, {
    defaults: Replace<Plain<dashboard.FieldConfig>, { custom?: Plain<Custom> }>;
  }>;
}>;
type AnyPanel =
  | Plain<dashboard.RowPanel>
  | PanelOf<"timeseries", timeseries.Options, timeseries.FieldConfig>
  | PanelOf<"stat", stat.Options, never>
  | PanelOf<"table", table.Options, table.FieldConfig>;
type AnyDashboard = Replace<Plain<dashboard.Dashboard>, { panels: AnyPanel[] }>;
`;

/** Rejects with the compiler's words where the text is no dashboard. */
export async function checkDashboardTypes(texts: readonly string[]): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "stampede-dashboards-"));
  try {
    // The SDK is visible to the workspace deploy only.
    symlinkSync(join(repository, "deploy", "node_modules"), join(folder, "node_modules"));
    const literals = texts.map(
      (text, n) => `export const dashboard${n}: AnyDashboard = ${text};\n`,
    );
    writeFileSync(join(folder, "dashboards.ts"), prelude + literals.join(""));
    const compilerOptions = {
      strict: true,
      noEmit: true,
      module: "nodenext",
      target: "es2024",
      skipLibCheck: true,
      types: [],
    };
    const project = join(folder, "tsconfig.json");
    writeFileSync(project, JSON.stringify({ compilerOptions, files: ["dashboards.ts"] }));
    await outputOf(join(repository, "node_modules", ".bin", "tsc"), ["-p", project]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
