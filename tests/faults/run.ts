// What `npm run faults` runs: every row of the fault matrix at least once, or those that are named.
//
//   npm run faults [-- ROW ...] [--json FILE]
//
// Prints every row with its verdict, the totals and the rows that are not run, writes the same as
// JSON (.stampede/faults.json), and fails when a row failed, never met what it claims to cover, or
// neither ran nor has a reason in not-run.ts.
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { parseArgs } from "node:util";
import { runCommand } from "../support/command.ts";
import { withTestEngines } from "../support/run-tests.ts";
import { faultless, matrixRows, rowsIn } from "./matrix.ts";
import { marks, marksOfAllRows } from "./marks.ts";
import { notRun } from "./not-run.ts";
import { faultFiles, runRows } from "./run-rows.ts";
import { CLAIMS_MIN, failuresOf, tableOf, totalsOf, totalsText } from "./summary.ts";

const CONCURRENCY = 2;
const everyMark = Object.values({ ...marks, ...marksOfAllRows });
const RUN_MS_MAX = 60 * 60_000;

await runCommand(async (signal) => ((await main(process.argv.slice(2), signal)) ? 0 : 1), {
  what: "The rows",
  msMax: RUN_MS_MAX,
});

async function main(args: readonly string[], signal: AbortSignal): Promise<boolean> {
  const { values, positionals: selected } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { json: { type: "string", default: ".stampede/faults.json" } },
  });
  const unknown = selected.filter((row) => row !== faultless && !matrixRows.includes(row));
  if (unknown.length > 0) {
    throw new Error(`${unknown.join(", ")}: no such row. Rows are called P4, K12 and so on.`);
  }
  const files = rowsIn(faultFiles())
    .filter(({ rows }) => selected.length === 0 || rows.some((row) => selected.includes(row)))
    .map(({ file }) => file);
  const told = selected.filter((row) => notRun[row] !== undefined);
  for (const row of told) console.log(`${row} is not run: ${notRun[row]}`);
  if (files.length === 0)
    throw new Error(`No test under tests/faults names ${selected.join(", ")}.`);

  const engines = ["postgres", "redis", "kafka"] as const;
  const { code, reports } = await withTestEngines(engines, signal, async (environment) =>
    runRows({ files, only: selected, concurrency: CONCURRENCY, environment, signal }),
  );
  signal.throwIfAborted();
  const failures = failuresOf(reports, {
    ...(selected.length === 0
      ? { wanted: matrixRows, marks: everyMark, claimsMin: CLAIMS_MIN, testCode: code }
      : { wanted: selected, marks: [], claimsMin: 0, testCode: null }),
    notRun,
  });
  const totals = totalsOf(reports);
  console.log(`\n${tableOf(reports)}\n\n${totalsText(totals)}`);
  if (selected.length === 0) {
    for (const [row, reason] of Object.entries(notRun)) console.log(`${row} is not run: ${reason}`);
  }
  for (const failure of failures) console.error(failure);
  mkdirSync(dirname(values.json), { recursive: true });
  const commit = commitOf();
  const command = ["npm run faults", ...(args.length === 0 ? [] : ["--", ...args])].join(" ");
  const json = { commit, command, totals, failures, notRun, rows: reports };
  writeFileSync(values.json, `${JSON.stringify(json, null, 2)}\n`);
  console.log(`Also in ${values.json}.`);
  return failures.length === 0;
}

function commitOf(): string | null {
  try {
    const stdio = ["ignore", "pipe", "ignore"] as const;
    const args = ["describe", "--always", "--dirty"];
    return execFileSync("git", args, { encoding: "utf8", stdio: [...stdio] }).trim();
  } catch {
    // Not a clone, or no git here: the figures are of an unknown commit.
    return null;
  }
}
