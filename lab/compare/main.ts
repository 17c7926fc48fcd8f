// `npm run lab`: compares the mechanisms under one crowd and writes what it found. See options.ts.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

import { startCeiling } from "../crowd/ceiling.ts";
import type { Mechanism } from "../crowd/history.ts";
import { nodeFlagsOf } from "../crowd/machine.ts";
import {
  availableMechanisms,
  openShop,
  requireDescriptors,
  say,
  toExitStatus,
} from "../crowd/start.ts";
import { labMetrics, serveMetrics, type LabMetrics } from "../metrics.ts";
import { writeReport } from "../report/index.ts";
import { compare } from "./compare.ts";
import { engineFacts } from "./engines.ts";
import { parseLabOptions, usage, type CompareOptions } from "./options.ts";
import type { Comparison } from "./result.ts";
import { readScenario, scenarios, type ScenarioFile } from "./scenario.ts";
import { readTarget } from "./target.ts";

const root = join(import.meta.dirname, "..", "..");
/** Connections beside the crowd's: the stream's watcher and the one that shows that all are in. */
const connectionsBeside = 10;

async function runCompare(options: CompareOptions): Promise<number> {
  // Read before anything starts: a fault in a file shall not cost a minute.
  const { people, limit, perSecond, seed } = options;
  const file = readScenario(options.scenario, { people, limit, perSecond, seed });
  const target = options.target === null ? null : readTarget(options.target);
  const { scenario } = file;
  const wanted = wantedOf(options, file);
  requireDescriptors(scenario.people + connectionsBeside, null);
  let done = 0;
  const lost = (): string =>
    `no results were written: ${done} of ${options.rounds} rounds were complete`;
  return toExitStatus(
    "comparison",
    async (cleanups) => {
      const metrics = await openMetrics(options.metricsPort, cleanups);
      const shop = await openShop(options.url, process.env, cleanups);
      requireDescriptors(scenario.people + connectionsBeside, shop.pid());
      const mechanisms = await availableMechanisms(shop, wanted);
      const ceiling = await startCeiling(nodeFlagsOf(shop.pid()));
      cleanups.defer(ceiling.close);
      const facts = await engineFacts(shop);
      say(`comparing ${[...mechanisms, "the empty handler"].join(", ")} on ${shop.origin}`);
      const comparison = await compare(
        { shop, ceiling, facts },
        {
          scenario,
          mechanisms,
          target,
          rounds: options.rounds,
          warmUps: options.warmUps,
          sameAgainstSame: options.sameAgainstSame,
          deadlineMs: options.deadlineMs,
          command: ["npm run lab --", ...process.argv.slice(2)].join(" "),
        },
        { say, judged: metrics.judged, roundEnded: (round) => (done = round) },
      );
      await write(comparison, options.out ?? defaultFolder(comparison));
      return isRight(comparison) ? 0 : 1;
    },
    lost,
  );
}

function wantedOf(
  { mechanisms }: CompareOptions,
  file: ScenarioFile,
): { readonly mechanisms: readonly Mechanism[]; readonly named: boolean } {
  const strangers = (mechanisms ?? []).filter((mechanism) => !file.mechanisms.includes(mechanism));
  if (strangers.length > 0) {
    throw new Error(
      `Scenario ${file.scenario.name} is for ${file.mechanisms.join(", ")}, not ${strangers.join(", ")}.`,
    );
  }
  return { mechanisms: mechanisms ?? file.mechanisms, named: mechanisms !== null };
}

async function openMetrics(
  port: number | null,
  cleanups: AsyncDisposableStack,
): Promise<LabMetrics> {
  const metrics = labMetrics();
  if (port === null) return metrics;
  const served = await serveMetrics(metrics, port);
  cleanups.defer(served.close);
  say(`metrics at ${served.url}`);
  return metrics;
}

function defaultFolder({ scenario, environment }: Comparison): string {
  const time = environment.startedAt.slice(0, 19).replaceAll(/[-:]/g, "").replace("T", "-");
  return join(root, ".stampede", "lab", `${scenario.name}-${time}`);
}

async function write(comparison: Comparison, folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const json = join(folder, "comparison.json");
  writeFileSync(json, `${JSON.stringify(comparison, null, 1)}\n`);
  const { html, markdown } = await writeReport(comparison, folder);
  const [summary = ""] = readFileSync(markdown, "utf8").split("\n<details>", 1);
  process.stdout.write(`${summary}\n`);
  for (const path of [json, html, markdown]) say(`written: ${relative(process.cwd(), path)}`);
}

/** Nothing was wrong, and every subject has figures. */
function isRight({ runs, subjects }: Comparison): boolean {
  const wrong = runs.some(({ verdict }) => verdict.kind === "wrong");
  const measured = (subject: string): boolean =>
    runs.some((run) => run.subject === subject && run.verdict.kind === "right");
  return !wrong && subjects.every(measured);
}

async function runReport(file: string, out: string | null): Promise<number> {
  return toExitStatus("report", async () => {
    const comparison = readComparison(file);
    const folder = out ?? dirname(file);
    mkdirSync(folder, { recursive: true });
    const { html, markdown } = await writeReport(comparison, folder);
    for (const path of [html, markdown]) say(`written: ${relative(process.cwd(), path)}`);
    return 0;
  });
}

function readComparison(file: string): Comparison {
  const value: unknown = JSON.parse(readFileSync(file, "utf8"));
  if (isComparison(value)) return value;
  throw new Error(`${file} is no comparison of this version: make it again with compare.`);
}

/** Only `compare` writes this format, so its name stands for the rest. */
function isComparison(value: unknown): value is Comparison {
  return (
    typeof value === "object" &&
    value !== null &&
    "format" in value &&
    value.format === "stampede-comparison-1"
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
    case "compare":
      try {
        return await runCompare(options);
      } catch (error) {
        // Before anything was started: a scenario or a target that is none.
        say(error instanceof Error ? error.message : String(error));
        return 2;
      }
  }
}

process.exitCode = await run();
