// `npm run jmeter`: the crowd by Apache JMeter, judged by SQL. See `usage` in options.ts.
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

import { describeMachine } from "../crowd/machine.ts";
import { peopleAtOnce, runSale } from "../crowd/run-sale.ts";
import type { OpenShop } from "../crowd/shop.ts";
import { openShop, requireDescriptors, say, toExitStatus } from "../crowd/start.ts";
import { availableMechanisms, chosenMechanisms, readMechanisms } from "../mechanisms.ts";
import type { Mechanism } from "../mechanisms.ts";
import { compare, comparisonMarkdown, comparisonText, type RoundRun } from "./comparison.ts";
import { findMaven } from "./maven.ts";
import { parseJmeterOptions, usage, type JmeterOptions } from "./options.ts";
import { jmeterVersion, runJmeter } from "./run.ts";

const root = join(import.meta.dirname, "..", "..");

async function main(options: JmeterOptions, cleanups: AsyncDisposableStack): Promise<number> {
  const tools = findMaven();
  if ("fault" in tools) throw new Error(tools.fault);
  const at = new Date().toISOString();
  const out = openFolder(options.out, at, cleanups);
  const shop = await openShop(options.url, process.env, cleanups);
  requireDescriptors(options.people, shop.pid());
  const mechanisms = chosenMechanisms(await readMechanisms(shop.url), options.mechanisms);
  const named = options.mechanisms !== null;
  const chosen = await availableMechanisms(shop.url, { mechanisms, named });
  await warmUp(options, shop, chosen);
  const runs = await runRounds(options, { shop, chosen, out, cleanups });
  const { people, limit } = options;
  const comparison = compare(runs, {
    at,
    command: process.argv.slice(2),
    machine: describeMachine(),
    versions: { JMeter: jmeterVersion, Maven: tools.maven, Java: tools.java },
    people,
    limit,
  });
  writeFileSync(join(out.folder, "comparison.json"), `${JSON.stringify(comparison, null, 2)}\n`);
  writeFileSync(join(out.folder, "summary.md"), comparisonMarkdown(comparison));
  process.stdout.write(`\n${comparisonText(comparison)}\n`);
  process.stdout.write(`\nResults and JMeter's reports (NN-vN/report/index.html): ${out.folder}\n`);
  return comparison.verdict === "right" ? 0 : 1;
}

type Rounds = {
  readonly shop: OpenShop;
  readonly chosen: readonly Mechanism[];
  readonly out: OutFolder;
  readonly cleanups: AsyncDisposableStack;
};

async function runRounds(options: JmeterOptions, rounds: Rounds): Promise<RoundRun[]> {
  const { shop, chosen, out, cleanups } = rounds;
  const runs: RoundRun[] = [];
  try {
    for (let round = 1; round <= options.rounds; round++) {
      // Reversed every second time, so that no version always follows the same other one.
      const order = round % 2 === 1 ? chosen : chosen.toReversed();
      for (const mechanism of order) {
        const { version } = mechanism;
        const name = `${String(runs.length + 1).padStart(2, "0")}-${version}`;
        say(`round ${round}, ${version}: ${options.people} JMeter threads on ${shop.origin}`);
        const crowd = { ...options, mechanism };
        const place = { folder: join(out.folder, name), report: sayIndented, cleanups };
        runs.push({ ...(await runJmeter(shop, crowd, place)), round });
      }
    }
    return runs;
  } finally {
    // Also where Maven failed: its log says why. Only an interrupt leaves nothing behind.
    if (!cleanups.disposed) out.keep();
  }
}

function sayIndented(text: string): void {
  say(`  ${text}`);
}

type OutFolder = { readonly folder: string; readonly keep: () => void };

/** A new folder for the results; it goes again where it is not kept. */
function openFolder(wanted: string | null, at: string, cleanups: AsyncDisposableStack): OutFolder {
  const time = at.replaceAll(/[:.]/g, "-");
  const folder = wanted === null ? join(root, ".stampede", "jmeter", time) : resolve(wanted);
  if (existsSync(folder) && readdirSync(folder).length > 0) {
    throw new Error(`--out ${folder} is not empty: name a new folder, or empty this one.`);
  }
  const isNew = mkdirSync(folder, { recursive: true, mode: 0o700 }) !== undefined;
  let kept = false;
  cleanups.defer(() => {
    if (kept) return;
    rmSync(folder, { recursive: true, force: true });
    if (!isNew) mkdirSync(folder);
  });
  return {
    folder,
    keep: () => {
      kept = true;
    },
  };
}

/** In full size, by the lab's own crowd: the server's compilers and pools are slow the first time. */
async function warmUp(
  { people, limit, deadlineSeconds }: JmeterOptions,
  shop: OpenShop,
  chosen: readonly Mechanism[],
): Promise<void> {
  for (const { name: mechanism, version } of chosen) {
    say(`warming ${version} up with a crowd of ${people}, not counted`);
    const deadlineMs = deadlineSeconds * 1_000;
    const arrivals = (run: string): ReturnType<typeof peopleAtOnce> => peopleAtOnce(run, people);
    const sale = await runSale(shop, { mechanism, limit, arrivals, streams: 0, deadlineMs });
    const [first] = [
      ...sale.violations.map(({ rule, detail }) => `${rule}: ${detail}`),
      ...sale.voidReasons,
    ];
    if (first !== undefined) {
      throw new Error(`The warm-up of ${version} went wrong already: ${first}. Try npm run rush.`);
    }
  }
}

const options = parseJmeterOptions(process.argv.slice(2));
if ("faults" in options) {
  say(`${options.faults.join("\n")}\n\nnpm run jmeter -- --help lists the options.`);
  process.exitCode = 2;
} else if (options.help) {
  process.stdout.write(`${usage}\n`);
} else {
  process.exitCode = await toExitStatus("JMeter run", (cleanups) => main(options, cleanups));
}
