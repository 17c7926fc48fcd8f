// What `npm run faults` runs: every case of the fault matrix, those of a level, or those that are named.
//
//   npm run faults [-- CASE ...] [--level test|proof|all] [--workers N] [--json FILE] [--list]
//
// Prints every case with its verdict, the totals and the cases that are not run, writes the same as JSON
// (.stampede/faults.json), and fails when a case was wrong, late or void, or did not report. --list tells
// what there is and runs nothing.
import { parseArgs } from "node:util";
import { runCommand } from "../support/command.ts";
import { withTestEngines } from "../support/run-tests.ts";
import { isLevel, LEVELS, turnsNamed, turnsOfLevel } from "./catalogue.ts";
import type { Level, Turn } from "./catalogue.ts";
import { marks, marksOfAllCases } from "./marks.ts";
import type { CaseReport } from "./notes.ts";
import { readResult, TEST_RESULT, writeResult } from "./result.ts";
import { runCases } from "./run-cases.ts";
import { CLAIMS_MIN, failuresOf, listOf, tableOf, totalsOf, totalsText } from "./summary.ts";
import type { Expectation } from "./summary.ts";

const RUN_MS_MAX = 60 * 60_000;

type Wanted = Pick<Expectation, "marks" | "claimsMin"> & { readonly others: readonly CaseReport[] };

const ofNamed: Wanted = { marks: [], claimsMin: 0, others: [] };

await runCommand(async (signal) => ((await main(process.argv.slice(2), signal)) ? 0 : 1), {
  what: "The cases",
  msMax: RUN_MS_MAX,
});

async function main(args: readonly string[], signal: AbortSignal): Promise<boolean> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      level: { type: "string", default: "all" },
      workers: { type: "string" },
      json: { type: "string", default: ".stampede/faults.json" },
      list: { type: "boolean", default: false },
    },
  });
  const { level, workers } = values;
  // Inherited by the lanes and their programs, and told with the command that repeats a case.
  if (workers !== undefined) process.env["STAMPEDE_TEST_WORKERS"] = workers;
  if (!isLevel(level)) throw new Error(`A level is one of ${LEVELS.join(", ")}.`);
  const turns = positionals.length === 0 ? turnsOfLevel(level) : turnsNamed(positionals);
  if (values.list) {
    console.log(listOf(turns));
    return true;
  }
  const engines = ["postgres", "redis", "kafka"] as const;
  const { code, reports } = await withTestEngines(engines, signal, async (environment) =>
    runCases({
      cases: positionals.length === 0 ? level : turns.map(({ key }) => key).join(" "),
      lanes: turns.length === 1 ? 1 : 2,
      environment,
      signal,
    }),
  );
  signal.throwIfAborted();
  const named = positionals.length > 0;
  const { others, ...wanted } = named ? ofNamed : ofLevel(level);
  const failures = failuresOf([...reports, ...others], {
    ...wanted,
    wanted: turns.map(({ key }: Turn) => key),
    noSkips: process.env["STAMPEDE_NO_SKIPS"] === "1",
    testCode: code,
  });
  const totals = totalsOf(reports);
  console.log(`\n${tableOf(reports)}\n\n${totalsText(totals)}`);
  for (const failure of failures) console.error(failure);
  const command = ["npm run faults", ...(args.length === 0 ? [] : ["--", ...args])].join(" ");
  writeResult(values.json, { command, totals, failures, cases: reports });
  console.log(`Also in ${values.json}.`);
  return failures.length === 0;
}

/**
 * Claims and rare situations are counted over all cases of `npm test` and `npm run proof` together: what
 * the tests of this commit have met is not wanted of the proof once more.
 */
function ofLevel(level: Level): Wanted {
  if (level === "test") return ofNamed;
  if (level === "all") {
    const every = Object.values({ ...marks, ...marksOfAllCases });
    return { marks: every, claimsMin: CLAIMS_MIN, others: [] };
  }
  const tested = readResult(TEST_RESULT);
  if (tested !== null) {
    return { marks: Object.values(marks), claimsMin: CLAIMS_MIN, others: tested.cases };
  }
  console.log("npm test has not run here: what its cases would have met is not looked for.");
  return { marks: [], claimsMin: CLAIMS_MIN, others: [] };
}
