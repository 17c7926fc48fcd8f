// `npm run lab` and `npm run rush`: compares the mechanisms under one crowd, judges every sale and
// writes what it found. See options.ts.
import { mkdirSync, readFileSync } from "node:fs";
import { dirname, relative } from "node:path";

import { say, toExitStatus } from "../crowd/start.ts";
import { sameAgainstSame } from "./noise.ts";
import { parseLabOptions, usage } from "./options.ts";
import { comparisonFormat, type Comparison } from "./result.ts";
import { scenarios } from "./scenario.ts";

async function runReport(file: string, out: string | null): Promise<number> {
  return toExitStatus("report", async () => {
    const comparison = readComparison(file);
    const folder = out ?? dirname(file);
    mkdirSync(folder, { recursive: true });
    const { writeReport } = await import("../report/index.ts");
    const { html, markdown } = await writeReport(comparison, folder);
    for (const path of [html, markdown]) say(`written: ${relative(process.cwd(), path)}`);
    return 0;
  });
}

function readComparison(file: string): Comparison {
  const value: unknown = JSON.parse(readFileSync(file, "utf8"));
  // Told anew from the runs: the rule for noise may be a better one than when they were made.
  if (isComparison(value)) return { ...value, sameAgainstSame: sameAgainstSame(value.runs) };
  throw new Error(`${file} is no comparison of this version: make it again with compare.`);
}

/** Only `compare` writes this format, so its name stands for the rest. */
function isComparison(value: unknown): value is Comparison {
  return (
    typeof value === "object" &&
    value !== null &&
    "format" in value &&
    value.format === comparisonFormat
  );
}

function listScenarios(): number {
  const lines = scenarios().map(({ name, people, limit, description }) => {
    const size = `${people.toLocaleString("en")} people, ${limit.toLocaleString("en")} coupons`;
    return `${name.padEnd(14)} ${size}\n${" ".repeat(15)}${description}\n`;
  });
  process.stdout.write(lines.join("\n"));
  return 0;
}

async function run(): Promise<number> {
  const options = parseLabOptions(process.argv.slice(2));
  if ("faults" in options) {
    say(`${options.faults.join("\n")}\n\nnpm run lab -- --help lists commands and options.`);
    return 2;
  }
  switch (options.command) {
    case "help":
      process.stdout.write(`${usage}\n`);
      return 0;
    case "scenarios":
      return listScenarios();
    case "report":
      return runReport(options.file, options.out);
    case "many": {
      const at = new Date().toISOString().replaceAll(/[:.]/g, "-");
      const workers = process.env["WORKERS"] || "1";
      const { runMany } = await import("../many/run-many.ts");
      return runMany({ ...options, workers, out: options.out ?? `.stampede/lab/many-${at}` });
    }
    case "compare":
      try {
        // Loaded where it is needed only: drivers and drawings take longer than a mistyped option.
        const { runCompare } = await import("./run-compare.ts");
        return await runCompare(options, process.env);
      } catch (error) {
        // Before anything was started: a scenario or a target that is none.
        say(error instanceof Error ? error.message : String(error));
        return 2;
      }
  }
}

process.exitCode = await run();
