import { readFileSync } from "node:fs";

import type { Comparison } from "../compare/result.ts";
import { dateText } from "./facts.ts";
import { markup, trusted } from "./markup.ts";
import { latencyPlot, overTimePlot } from "./plots.ts";
import { claimsSection } from "./section-claims.ts";
import { fairnessSection } from "./section-fairness.ts";
import { laddersSection } from "./section-ladders.ts";
import { plotSection } from "./section-plots.ts";
import { runHeader, verdictSection } from "./section-run.ts";
import { tablesSection } from "./section-tables.ts";

/** No script, and nothing may be fetched. */
const policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/** The whole report as one page that asks for no other file, now or in ten years. */
export function htmlReport(comparison: Comparison): string {
  const style = readFileSync(new URL("report.css", import.meta.url), "utf8");
  const { scenario, environment } = comparison;
  const title = `${scenario.name}, ${dateText(environment.startedAt)}: Stampede lab report`;
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<link rel="icon" href="data:,">
<style>${trusted(style)}</style>
</head>
<body>
${runHeader(comparison)}<main>
${claimsSection(comparison)}${laddersSection(comparison)}${verdictSection(comparison)}${tablesSection(comparison)}${plotSection(comparison, "latency", latencyPlot(comparison))}${plotSection(comparison, "over-time", overTimePlot(comparison))}${fairnessSection(comparison)}</main>
<footer><p>Made by Stampede's lab. Run it again with <code>${environment.command}</code> at commit <code>${environment.commit}</code>.</p></footer>
</body>
</html>
`.source;
}
