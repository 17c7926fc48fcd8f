import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { grafanaFolder } from "./tools.ts";

type Target = { readonly refId: string; readonly expr: string; readonly instant?: boolean };

export type Panel = {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description: string;
  readonly gridPos: Record<"x" | "y" | "w" | "h", number>;
  readonly targets: readonly Target[];
  readonly fieldConfig: { readonly defaults: { readonly unit?: string } };
};

export type Dashboard = {
  readonly uid: string;
  readonly title: string;
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string }[] };
  readonly annotations: {
    readonly list: readonly { readonly name: string; readonly expr: string }[];
  };
};

export const generatedFolder = join(grafanaFolder, "generated");

/** The committed dashboards as they are: by file name, with their text. */
export const dashboardFiles: readonly {
  readonly name: string;
  readonly text: string;
  readonly dashboard: Dashboard;
}[] = readdirSync(generatedFolder)
  .toSorted()
  .map((name) => {
    const text = readFileSync(join(generatedFolder, name), "utf8");
    return { name, text, dashboard: JSON.parse(text) as Dashboard };
  });

/** What is drawn: everything but the headings of rows. */
export function drawnPanels({ panels }: Dashboard): readonly Panel[] {
  return panels.filter(({ type }) => type !== "row");
}
