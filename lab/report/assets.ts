import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** What the page carries along, so that it needs no other file. */
export type Assets = {
  readonly style: string;
  readonly uplotStyle: string;
  readonly uplotScript: string;
  /** uPlot may be passed on only with this text. */
  readonly uplotLicense: string;
  readonly script: string;
};

export function readAssets(): Assets {
  return {
    style: [own("report.css"), own("plots.css")].join("\n"),
    uplotStyle: text(import.meta.resolve("uplot/dist/uPlot.min.css")),
    uplotScript: text(import.meta.resolve("uplot/dist/uPlot.iife.min.js")),
    uplotLicense: text(import.meta.resolve("uplot/LICENSE")),
    script: own("draw-plots.js"),
  };
}

function own(name: string): string {
  return readFileSync(new URL(name, import.meta.url), "utf8");
}

function text(url: string): string {
  return readFileSync(fileURLToPath(url), "utf8");
}
