// What `npm run planted` runs: every planted bug, those that are named, or a part of them.
//
//   npm run planted [-- B8 B12 ...]             all, or these
//   npm run planted -- --changed                those of files that changed since the last release
//   npm run planted -- --lot 10 [--seed TEXT]   some by lot, also of --changed
//   npm run planted -- --find-seeds [B8 ...]    another seed where a sale does not show its bug any more
//   npm run planted -- --write                  docs/planted-bugs.md, without running anything
//
// Shows once that the checks are green on the tree as it is. Then breaks a copy of it by each patch
// and requires that the checks which are named for it turn red, for the reason that is given. Fails
// where a patch does not apply any more, or a check misses its bug.
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { runCommand } from "../support/command.ts";
import { withTestEngines } from "../support/run-tests.ts";
import { readBugs } from "./bugs.ts";
import type { PlantedBug } from "./bugs.ts";
import { changesSinceRelease, chooseBugs } from "./choose.ts";
import { openCopies } from "./copies.ts";
import { findSeed } from "./find-seeds.ts";
import { PAGE, pageOf } from "./page.ts";
import { inLanes, prove, proveGreen } from "./prove.ts";
import type { Proving, Verdict } from "./prove.ts";

const LANES = 2;
const RUN_MS_MAX = 20 * 60_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    changed: { type: "boolean", default: false },
    lot: { type: "string" },
    seed: { type: "string", default: String(Date.now()) },
    "find-seeds": { type: "boolean", default: false },
    write: { type: "boolean", default: false },
  },
});

if (values.write) writeFileSync(PAGE, pageOf(readBugs()));
else {
  await runCommand(async (signal) => ((await main(signal)) ? 0 : 1), {
    what: "The checks",
    msMax: RUN_MS_MAX,
  });
}

async function main(signal: AbortSignal): Promise<boolean> {
  const wanted = choose();
  using copies = openCopies();
  if (values["find-seeds"]) {
    await findSeeds(wanted, { environment: process.env, signal, copies });
    return true;
  }
  // Awaited here, or the copies would be gone while the checks still run.
  return await withTestEngines(["postgres", "redis", "kafka"], signal, async (urls) => {
    const environment = { ...process.env, ...urls };
    return proveAll(wanted, { environment, signal, copies });
  });
}

function choose(): readonly PlantedBug[] {
  const bugs = readBugs();
  const unknown = positionals.filter((name) => bugs.every(({ bug }) => bug !== name));
  if (unknown.length > 0) throw new Error(`${unknown.join(", ")}: no such bug is planted.`);
  const named = bugs.filter(({ bug }) => positionals.length === 0 || positionals.includes(bug));
  const lot = values.lot === undefined ? null : Number(values.lot);
  const wish = { changed: values.changed, lot, seed: values.seed };
  const { chosen, told } = chooseBugs(named, wish, changesSinceRelease());
  console.log(told);
  return chosen;
}

async function findSeeds(wanted: readonly PlantedBug[], proving: Proving): Promise<void> {
  await inLanes(LANES, wanted, async (bug) => {
    const { sale } = bug;
    if (sale !== null) console.log(await findSeed({ ...bug, sale }, proving));
  });
}

async function proveAll(wanted: readonly PlantedBug[], proving: Proving): Promise<boolean> {
  const startedMs = performance.now();
  const wrong = await proveGreen(wanted, { ...proving, lanes: LANES });
  for (const line of wrong) console.error(`Not green without any bug: ${line}`);
  if (wrong.length > 0) return false;
  console.log(`Green without any bug, in ${secondsOf(performance.now() - startedMs)}.\n`);
  const verdicts: Verdict[] = [];
  await inLanes(LANES, wanted, async (bug) => {
    const verdict = await prove(bug, proving);
    verdicts.push(verdict);
    const found = verdict.missed === null ? "found" : "MISSED";
    console.log(`${found.padEnd(8)}${secondsOf(verdict.ms).padStart(6)}  ${bug.patch}`);
  });
  const missed = verdicts.filter((verdict) => verdict.missed !== null);
  for (const verdict of missed) console.error(`\n${verdict.bug.patch}: ${verdict.missed}`);
  const numbers = new Set(wanted.map(({ bug }) => bug)).size;
  console.log(
    `\n${verdicts.length - missed.length} of ${verdicts.length} patches of ${numbers} bugs found, ` +
      `in ${secondsOf(performance.now() - startedMs)} with the checks that are green without them.`,
  );
  return missed.length === 0;
}

function secondsOf(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
