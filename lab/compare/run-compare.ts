// `compare` and `rush`: the comparison itself, from the server to the written results.
import { mkdirSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";

import { saveRun } from "@stampede/referee";

import { startCeiling } from "../crowd/ceiling.ts";
import { nodeFlagsOf } from "../crowd/machine.ts";
import type { Sale } from "../crowd/run-sale.ts";
import { openShop, requireDescriptors, say, toExitStatus } from "../crowd/start.ts";
import { runPartOf } from "../crowd/verdict.ts";
import { availableMechanisms, chosenMechanisms, readMechanisms } from "../mechanisms.ts";
import type { Mechanism } from "../mechanisms.ts";
import { labMetrics, serveMetrics, type LabMetrics } from "../metrics.ts";
import { compare } from "./compare.ts";
import { engineFacts } from "./engines.ts";
import type { CompareOptions } from "./options.ts";
import type { Comparison, Subject } from "./result.ts";
import { readScenario, type ScenarioFile } from "./scenario.ts";
import { readTarget } from "./target.ts";

const root = join(import.meta.dirname, "..", "..");
/** Connections beside the crowd's and the watchers': those that ask and show that all are in. */
const connectionsBeside = 10;

export async function runCompare(
  options: CompareOptions,
  environment: NodeJS.ProcessEnv,
): Promise<number> {
  // Read before anything starts: a fault in a file shall not cost a minute.
  const { people, limit, perSecond, seed, streams } = options;
  const file = readScenario(options.scenario, { people, limit, perSecond, seed });
  const target = options.target === null ? null : readTarget(options.target);
  const { scenario } = file;
  const connections = scenario.people + streams + connectionsBeside;
  requireDescriptors(connections, null);
  let done = 0;
  const lost = (): string =>
    `no results were written: ${done} of ${options.rounds} rounds were complete`;
  const command = async (cleanups: AsyncDisposableStack): Promise<number> => {
    const metrics = await openMetrics(options.metricsPort, cleanups);
    const shop = await openShop(options.url, environment, cleanups);
    requireDescriptors(connections, shop.pid());
    const all = await readMechanisms(shop.url);
    const mechanisms = await availableMechanisms(shop.url, wantedOf(options, file, all));
    const ceiling = await startCeiling(nodeFlagsOf(shop.pid()));
    cleanups.defer(ceiling.close);
    const facts = await engineFacts(shop);
    const sold = keepHistory(options, scenario.limit, cleanups);
    say(`comparing ${listed(mechanisms)} and the empty handler on ${shop.origin}`);
    const comparison = await compare(
      { shop, ceiling, facts },
      {
        scenario,
        mechanisms,
        target,
        streams,
        rounds: options.rounds,
        warmUps: options.warmUps,
        sameAgainstSame: pairsOf(options, mechanisms),
        deadlineMs: options.deadlineMs,
        command: commandLine(),
      },
      { say, judged: metrics.judged, roundEnded: (round) => (done = round), sold },
    );
    await write(comparison, options.out ?? defaultFolder(comparison));
    return isRight(comparison) ? 0 : 1;
  };
  return toExitStatus("comparison", command, lost);
}

function commandLine(): string {
  const [command = "", ...rest] = process.argv.slice(2);
  return command === "rush"
    ? ["npm run rush --", ...rest].join(" ")
    : ["npm run lab --", command, ...rest].join(" ");
}

/** The mechanisms that are asked for; what a scenario is for narrows them. */
function wantedOf(
  { mechanisms: names }: CompareOptions,
  file: ScenarioFile,
  all: readonly Mechanism[],
): { readonly mechanisms: readonly Mechanism[]; readonly named: boolean } {
  const fitting = chosenMechanisms(all, file.mechanisms);
  const mechanisms = names === null ? fitting : chosenMechanisms(all, names);
  const strangers = mechanisms.filter((mechanism) => !fitting.includes(mechanism));
  if (strangers.length > 0) {
    const { name } = file.scenario;
    throw new Error(`Scenario ${name} is for ${listed(fitting)}, not ${listed(strangers)}.`);
  }
  return { mechanisms, named: names !== null };
}

function listed(mechanisms: readonly Mechanism[]): string {
  return mechanisms.map(({ name }) => name).join(", ");
}

/** Who runs against itself: as asked, else the empty handler and one quick mechanism. */
function pairsOf(
  { sameAgainstSame }: CompareOptions,
  mechanisms: readonly Mechanism[],
): readonly Subject[] {
  if (sameAgainstSame === null) {
    const quick = mechanisms.find(({ version }) => version === "v2") ?? mechanisms.at(-1);
    return [...(quick === undefined ? [] : [quick.name]), "ceiling"];
  }
  const names = sameAgainstSame.filter((name) => name !== "ceiling");
  const pairs = chosenMechanisms(mechanisms, names).map(({ name }) => name);
  return sameAgainstSame.includes("ceiling") ? [...pairs, "ceiling"] : pairs;
}

function keepHistory(
  { history }: CompareOptions,
  limit: number,
  cleanups: AsyncDisposableStack,
): (mechanism: string, sale: Sale) => void {
  if (history === null) return () => {};
  const saved = saveRun(history, { startedAt: new Date().toISOString(), command: commandLine() });
  cleanups.defer(() => saved.close());
  return (mechanism, { attempts, stored }) => {
    saved.add(runPartOf({ mechanism, limit, attempts, sale: stored }));
  };
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
  // Loaded at the end only: its chart library is large, and the crowd has this process to itself.
  const { summaryHead, writeReport } = await import("../report/index.ts");
  const { html, markdown } = await writeReport(comparison, folder);
  process.stdout.write(`\n${summaryHead(comparison)}\n`);
  for (const path of [json, html, markdown]) say(`written: ${relative(process.cwd(), path)}`);
}

/** Nothing was wrong, and every subject has figures. */
function isRight({ runs, subjects }: Comparison): boolean {
  const wrong = runs.some(({ verdict }) => verdict.kind === "wrong");
  const measured = (subject: string): boolean =>
    runs.some((run) => run.subject === subject && run.verdict.kind === "right");
  return !wrong && subjects.every(measured);
}
