// What `npm run planted` runs: every planted bug, or those that are named.
//
//   npm run planted [-- B8 B12 ...]
//
// Shows once that the checks are green on the tree as it is. Then breaks a copy of it by each patch
// and requires that the check which is named for it turns red, for the reason that is given. Fails
// where a patch does not apply any more, or a check misses its bug.
import { runCommand } from "../support/command.ts";
import { withTestEngines } from "../support/run-tests.ts";
import { readBugs } from "./bugs.ts";
import type { PlantedBug } from "./bugs.ts";
import { inLanes, prove, proveGreen } from "./prove.ts";
import type { Verdict } from "./prove.ts";

const LANES = 2;
const RUN_MS_MAX = 20 * 60_000;

await runCommand(async (signal) => ((await main(process.argv.slice(2), signal)) ? 0 : 1), {
  what: "The checks",
  msMax: RUN_MS_MAX,
});

async function main(selected: readonly string[], signal: AbortSignal): Promise<boolean> {
  const bugs = readBugs();
  const unknown = selected.filter((name) => bugs.every(({ bug }) => bug !== name));
  if (unknown.length > 0) throw new Error(`${unknown.join(", ")}: no such bug is planted.`);
  const wanted = bugs.filter(({ bug }) => selected.length === 0 || selected.includes(bug));
  const engines = ["postgres", "redis", "kafka"] as const;
  return withTestEngines(engines, signal, async (urls) => {
    const environment = { ...process.env, ...urls };
    return proveAll(wanted, { environment, signal });
  });
}

async function proveAll(
  wanted: readonly PlantedBug[],
  running: { readonly environment: NodeJS.ProcessEnv; readonly signal: AbortSignal },
): Promise<boolean> {
  const startedMs = performance.now();
  const wrong = await proveGreen(wanted, { ...running, lanes: LANES });
  for (const line of wrong) console.error(`Not green without any bug: ${line}`);
  if (wrong.length > 0) return false;
  console.log(`Green without any bug, in ${secondsOf(performance.now() - startedMs)}.\n`);
  const verdicts: Verdict[] = [];
  await inLanes(LANES, wanted, async (bug) => {
    const verdict = await prove(bug, running);
    verdicts.push(verdict);
    const found = verdict.missed === null ? "found" : "MISSED";
    console.log(`${found.padEnd(8)}${secondsOf(verdict.ms).padStart(6)}  ${bug.patch}`);
  });
  const missed = verdicts.filter((verdict) => verdict.missed !== null);
  console.log(`\n${tableOf(verdicts)}`);
  for (const verdict of missed) console.error(`\n${verdict.bug.patch}: ${verdict.missed}`);
  const numbers = new Set(wanted.map(({ bug }) => bug)).size;
  console.log(
    `\n${verdicts.length - missed.length} of ${verdicts.length} patches of ${numbers} bugs found, ` +
      `in ${secondsOf(performance.now() - startedMs)} with the checks that are green without them.`,
  );
  return missed.length === 0;
}

/** As it stands in docs/planted-bugs.md. */
function tableOf(verdicts: readonly Verdict[]): string {
  const rows = verdicts
    .toSorted((one, other) => (one.bug.patch < other.bug.patch ? -1 : 1))
    .map(({ bug, missed, ms }) => {
      const found = missed === null ? `\`${bug.file}\`: ${bug.test}` : "**missed**";
      return `| ${bug.bug} | ${bug.what} | ${found} | ${secondsOf(ms)} |`;
    });
  return ["| bug | what is broken | found by | in |", "|---|---|---|---|", ...rows].join("\n");
}

function secondsOf(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
