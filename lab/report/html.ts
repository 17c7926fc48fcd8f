import { createHash } from "node:crypto";

import type { Comparison } from "../compare/result.ts";
import { readAssets } from "./assets.ts";
import { dateText } from "./facts.ts";
import { markup, scriptJson, trusted, type Markup } from "./markup.ts";
import { latencyPlot, overTimePlot } from "./plots.ts";
import { claimsSection } from "./section-claims.ts";
import { fairnessSection } from "./section-fairness.ts";
import { laddersSection } from "./section-ladders.ts";
import { plotSection } from "./section-plots.ts";
import { runHeader, verdictSection } from "./section-run.ts";
import { tablesSection } from "./section-tables.ts";

/** The whole report as one page that asks for no other file, now or in ten years. */
export function htmlReport(comparison: Comparison): string {
  const assets = readAssets();
  const latency = latencyPlot(comparison);
  const overTime = overTimePlot(comparison);
  const drawn = [latency, overTime].filter((plot) => plot !== null);
  const scripts = drawn.length === 0 ? [] : [assets.uplotScript, assets.script];
  const { scenario, environment } = comparison;
  const title = `${scenario.name}, ${dateText(environment.startedAt)}: Stampede lab report`;
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${policyOf(scripts)}">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<link rel="icon" href="data:,">
<style>${trusted(assets.uplotStyle)}</style>
<style>${trusted(assets.style)}</style>
</head>
<body>
${runHeader(comparison)}<main>
${claimsSection(comparison)}${verdictSection(comparison)}${tablesSection(comparison)}${laddersSection(comparison)}${plotSection("latency", latency)}${plotSection("over-time", overTime)}${fairnessSection(comparison)}</main>
<footer><p>Made by Stampede's lab. Run it again with <code>${environment.command}</code> at commit <code>${environment.commit}</code>.</p></footer>
<script type="application/json" id="plots">${scriptJson(drawn)}</script>
<!-- ${trusted(assets.uplotLicense.replaceAll("--", "- -"))} -->
${scripts.map(inlined)}</body>
</html>
`.source;
}

/** Nothing may be fetched, and only the scripts that this page was made with may run. */
function policyOf(scripts: readonly string[]): string {
  const hashes = scripts.map((script) => {
    return `'sha256-${createHash("sha256").update(script).digest("base64")}'`;
  });
  const allowed = hashes.length === 0 ? "'none'" : hashes.join(" ");
  return `default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src ${allowed}`;
}

function inlined(script: string): Markup {
  return markup`<script>${trusted(script)}</script>
`;
}
