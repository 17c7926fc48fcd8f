import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

import type { Comparison } from "../compare/result.ts";
import { htmlReport } from "./html.ts";
import { markdownSummary, summaryHead } from "./markdown.ts";

export type { Comparison } from "../compare/result.ts";
export { written } from "./numbers.ts";
export { latencyPlot, overTimePlot } from "./plots.ts";
export { storySvg } from "./story.ts";
export { htmlReport, markdownSummary, summaryHead };

/** Writes `report.html` and `summary.md` into the folder, and gives their paths. */
export async function writeReport(
  comparison: Comparison,
  folder: string,
): Promise<{ html: string; markdown: string }> {
  const paths = { html: join(folder, "report.html"), markdown: join(folder, "summary.md") };
  await mkdir(folder, { recursive: true });
  await writeFile(paths.html, htmlReport(comparison));
  await writeFile(paths.markdown, markdownSummary(comparison));
  return paths;
}
