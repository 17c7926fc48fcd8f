// What `npm run soak` runs: the rows of the fault matrix again and again, in random order and each
// with a new seed, until the time is over or one of them fails.
//
//   npm run soak -- --minutes N [ROW ...]
import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { runCommand } from "../support/command.ts";
import { withTestEngines } from "../support/run-tests.ts";
import { matrixRows, rowsIn } from "./matrix.ts";
import { faultFiles, runRows } from "./run-rows.ts";
import { failuresOf, replayCommand, tableOf, totalsOf, totalsText } from "./summary.ts";
import type { RowReport } from "./support/row.ts";

const SEED_MAX = 0xffff_ffff;
const MINUTES_MAX = 7 * 24 * 60;
/** A row that has begun in time may end after it. */
const LAST_ROW_MINUTES_MAX = 15;

type RowRun = { readonly file: string; readonly row: string };

await runCommand(async (signal) => ((await main(process.argv.slice(2), signal)) ? 0 : 1), {
  what: "The rows",
  msMax: (MINUTES_MAX + LAST_ROW_MINUTES_MAX) * 60_000,
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
  const wanted = selected.length === 0 ? matrixRows : selected;
  const runs = rowsIn(faultFiles()).flatMap(({ file, rows }) =>
    rows.filter((row) => wanted.includes(row)).map((row): RowRun => ({ file, row })),
  );
  if (runs.length === 0) throw new Error(`No test names ${wanted.join(", ")}.`);
  const engines = ["postgres", "redis", "kafka"] as const;
  return withTestEngines(engines, signal, async (environment) =>
    soak(runs, { endMs: performance.now() + minutes * 60_000, environment, signal }),
  );
}

type Soaking = {
  readonly endMs: number;
  readonly environment: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
};

/** Each row once in every round, in an order of its own. */
async function soak(
  runs: readonly RowRun[],
  { endMs, environment, signal }: Soaking,
): Promise<boolean> {
  const reports: RowReport[] = [];
  let failures: readonly string[] = [];
  let queue: RowRun[] = [];
  while (failures.length === 0 && performance.now() < endMs && !signal.aborted) {
    if (queue.length === 0) queue = shuffled(runs);
    const next = queue.shift();
    if (next === undefined) break;
    const seed = randomInt(SEED_MAX);
    const only = [next.row];
    const seeded = { ...environment, STAMPEDE_FAULT_SEED: String(seed) };
    const files = [next.file];
    const run = await runRows({ files, only, concurrency: 1, environment: seeded, signal });
    if (signal.aborted) break;
    reports.push(...run.reports);
    failures = failuresOf(run.reports, {
      wanted: only,
      notRun: {},
      marks: [],
      claimsMin: 0,
      testCode: null,
    });
    if (failures.length > 0) console.error(`The same again: ${replayCommand({ ...next, seed })}`);
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
