// What `npm run soak` runs: the cases of the fault matrix again and again, in random order and each
// with a new seed, until the time is over or one of them fails.
//
//   npm run soak -- --minutes N [CASE ...]
import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { runCommand } from "../support/command.ts";
import { withTestEngines } from "../support/run-tests.ts";
import { turns, turnsNamed } from "./catalogue.ts";
import type { Turn } from "./catalogue.ts";
import type { CaseReport } from "./notes.ts";
import { runCases } from "./run-cases.ts";
import { failuresOf, replayCommand, tableOf, totalsOf, totalsText } from "./summary.ts";

const SEED_MAX = 0xffff_ffff;
const MINUTES_MAX = 7 * 24 * 60;
/** A case that has begun in time may end after it. */
const LAST_CASE_MINUTES_MAX = 15;

await runCommand(async (signal) => ((await main(process.argv.slice(2), signal)) ? 0 : 1), {
  what: "The cases",
  msMax: (MINUTES_MAX + LAST_CASE_MINUTES_MAX) * 60_000,
});

async function main(args: readonly string[], signal: AbortSignal): Promise<boolean> {
  const { values, positionals: selected } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { minutes: { type: "string" } },
  });
  const minutes = Number(values.minutes);
  if (!(minutes > 0 && minutes <= MINUTES_MAX)) {
    throw new Error(`Say how long: npm run soak -- --minutes 30 (at most ${MINUTES_MAX}).`);
  }
  const wanted = selected.length === 0 ? turns : turnsNamed(selected);
  const engines = ["postgres", "redis", "kafka"] as const;
  return withTestEngines(engines, signal, async (environment) =>
    soak(wanted, { endMs: performance.now() + minutes * 60_000, environment, signal }),
  );
}

type Soaking = {
  readonly endMs: number;
  readonly environment: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
};

/** Each case once in every round, in an order of its own. */
async function soak(
  wanted: readonly Turn[],
  { endMs, environment, signal }: Soaking,
): Promise<boolean> {
  const reports: CaseReport[] = [];
  let failures: readonly string[] = [];
  let queue: Turn[] = [];
  while (failures.length === 0 && performance.now() < endMs && !signal.aborted) {
    if (queue.length === 0) queue = shuffled(wanted);
    const next = queue.shift();
    if (next === undefined) break;
    const { key } = next;
    const seed = randomInt(SEED_MAX);
    const seeded = { ...environment, STAMPEDE_FAULT_SEED: String(seed) };
    const run = await runCases({ cases: key, lanes: 1, environment: seeded, signal });
    if (signal.aborted) break;
    reports.push(...run.reports);
    failures = failuresOf(run.reports, {
      wanted: [key],
      marks: [],
      claimsMin: 0,
      noSkips: false,
      testCode: run.code,
    });
    if (failures.length > 0) console.error(`The same again: ${replayCommand({ key, seed })}`);
  }
  console.log(`\n${tableOf(reports)}\n\n${totalsText(totalsOf(reports))}`);
  for (const failure of failures) console.error(failure);
  return failures.length === 0 && reports.length > 0;
}

function shuffled<Value>(values: readonly Value[]): Value[] {
  return values
    .map((value) => ({ value, at: randomInt(SEED_MAX) }))
    .toSorted((one, other) => one.at - other.at)
    .map(({ value }) => value);
}
