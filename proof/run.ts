// What `npm test` and `npm run proof` run (level.ts):
//
//   npm test [-- [--engines=postgres,redis,kafka | --engines=none] [FILE or glob ...] [-- OPTION ...]]
//   npm run proof [-- ...the same]
//
// Starts real engines on free ports and an empty folder, beside any running `npm start`, hands
// their addresses to `node --test`, and always stops them. What stands after the second "--" goes
// to `node --test` (--test-name-pattern=..., --test-random-seed=...).
import { randomInt } from "node:crypto";
import type { EngineName } from "@stampede/launcher";
import { turnsOfLevel } from "./faults/catalogue.ts";
import { marks } from "./faults/marks.ts";
import type { CaseReport } from "./faults/notes.ts";
import { PROOF_RESULT, readResult, TEST_RESULT, writeResult } from "./faults/result.ts";
import { withReports } from "./faults/run-cases.ts";
import { CLAIMS_MIN, failuresOf, tableOf, totalsOf, totalsText } from "./faults/summary.ts";
import type { Expectation } from "./faults/summary.ts";
import { filesOf, filesOfLevel, numbersOf } from "./level.ts";
import type { Level } from "./level.ts";
import { runCommand } from "./support/command.ts";
import { noteRunTime } from "./support/run-times.ts";
import { runTestFiles, withTestEngines } from "./support/run-tests.ts";

const concurrency = 2;

/** More time for a soak (BAD_INPUTS=2000000, STAMPEDE_ORDERS=all): STAMPEDE_TEST_MINUTES=180. */
const minutes = Number(process.env["STAMPEDE_TEST_MINUTES"] ?? 0);

/** One file or test; a hang shows its name long before the whole is given up. */
const testMsMax = Math.max(15, minutes) * 60_000;

/** All tests together, engines included. Beyond it something hangs, and CI would wait for ever. */
const runMsMax = Math.max(45, minutes + 5) * 60_000;

const engineNames = ["postgres", "redis", "kafka"] as const;

type Command = {
  /** What was typed. */
  readonly name: string;
  readonly engines: readonly EngineName[];
  readonly files: readonly string[];
  readonly options: readonly string[];
  readonly level: Level;
  /** Nothing was chosen: all tests of the level, and what they come to together. */
  readonly whole: boolean;
};

await runCommand(async (signal) => run(readCommand(process.argv.slice(2)), signal), {
  what: "The tests",
  msMax: runMsMax,
});

async function run(command: Command, signal: AbortSignal): Promise<number> {
  if (command.files.length === 0) {
    throw new Error("No test file matches. Name files or globs as seen from the project's root.");
  }
  return withTestEngines(command.engines, signal, (urls) => runTests(command, { urls, signal }));
}

type Running = {
  readonly urls: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
};

async function runTests(command: Command, { urls, signal }: Running): Promise<number> {
  const whole = command.whole && engineNames.length === Object.keys(urls).length;
  if (!whole) return runOrdered(command, { urls, signal });
  return withReports(async (reporting, reports) => {
    let failures: readonly string[] = [];
    const running = { urls: { ...urls, ...reporting }, signal };
    const code = await runOrdered(command, running, (testCode) => {
      failures = judgeCases(command.level, reports());
      const isGreen = testCode === 0 && failures.length === 0;
      if (isGreen) console.log(noteRunTime(command.name, performance.now() / 1_000));
    });
    return code === 0 && failures.length > 0 ? 1 : code;
  });
}

/** What the fault cases of a whole run came to, and what keeps them from being a success. */
function judgeCases(level: Level, cases: readonly CaseReport[]): readonly string[] {
  const totals = totalsOf(cases);
  console.log(`\nUnder faults:\n${tableOf(cases)}\n\n${totalsText(totals)}`);
  const { others, ...wanted } = wantedOf(level);
  const failures = failuresOf([...cases, ...others], {
    ...wanted,
    wanted: turnsOfLevel(level).map(({ key }) => key),
    noSkips: process.env["STAMPEDE_NO_SKIPS"] === "1",
    // What a failed test comes to is told by the runner.
    testCode: null,
  });
  for (const failure of failures) console.log(failure);
  const [path, command] =
    level === "test" ? [TEST_RESULT, "npm test"] : [PROOF_RESULT, "npm run proof"];
  writeResult(path, { command, totals, failures, cases });
  return failures;
}

/** Claims and rare situations are counted over both levels: what the tests met is not wanted twice. */
function wantedOf(
  level: Level,
): Pick<Expectation, "marks" | "claimsMin"> & { readonly others: readonly CaseReport[] } {
  if (level === "test") return { marks: [], claimsMin: 0, others: [] };
  const tested = readResult(TEST_RESULT);
  if (tested !== null) {
    return { marks: Object.values(marks), claimsMin: CLAIMS_MIN, others: tested.cases };
  }
  console.log("npm test has not run here: what its cases would have met is not looked for.");
  return { marks: [], claimsMin: CLAIMS_MIN, others: [] };
}

async function runOrdered(
  command: Command,
  { urls, signal }: Running,
  beforeSummary?: (code: number) => void,
): Promise<number> {
  const seed = randomInt(0xffff_ffff);
  const ownSeed = command.options.some((option) => option.startsWith("--test-random-seed"));
  if (!ownSeed) {
    console.log(
      `Random order, seed ${seed}. The same again: ${command.name} -- -- --test-random-seed=${seed}`,
    );
  }
  return runTestFiles({
    files: command.files,
    options: [
      `--test-concurrency=${concurrency}`,
      `--test-timeout=${testMsMax}`,
      ...(ownSeed ? [] : ["--test-randomize", `--test-random-seed=${seed}`]),
      ...command.options,
    ],
    environment: { ...numbersOf[command.level], ...process.env, ...urls },
    signal,
    ...(beforeSummary === undefined ? {} : { beforeSummary }),
  });
}

function readCommand(args: readonly string[]): Command {
  const split = args.indexOf("--");
  const own = split === -1 ? args : args.slice(0, split);
  const options = split === -1 ? [] : args.slice(split + 1);
  const patterns = own.filter((arg) => !arg.startsWith("--"));
  let engines: readonly EngineName[] = engineNames;
  const level: Level = own.includes("--proof") ? "proof" : "test";
  for (const flag of own.filter((arg) => arg.startsWith("--") && arg !== "--proof")) {
    const list = /^--engines=(?<list>.*)$/.exec(flag)?.groups?.["list"];
    const names = list === "none" ? [] : (list?.split(",") ?? [flag]);
    engines = engineNames.filter((name) => names.includes(name));
    if (engines.length !== names.length) {
      throw new Error(`"${flag}" is none of --engines=none, --engines=${engineNames.join(",")}.`);
    }
  }
  const files = patterns.length === 0 ? filesOfLevel(level) : filesOf(patterns);
  const whole = patterns.length === 0 && !options.some((option) => option.includes("pattern"));
  const name = level === "test" ? "npm test" : "npm run proof";
  return { name, engines, files, options, level, whole };
}
