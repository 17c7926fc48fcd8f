// What `npm test` runs:
//
//   npm test [-- [--engines=postgres,redis,kafka | --engines=none] [FILE or glob ...] [-- OPTION ...]]
//
// Starts real engines on free ports and an empty folder, beside any running `npm start`, hands
// their addresses to `node --test`, and always stops them. What stands after the second "--" goes
// to `node --test` (--test-name-pattern=..., --test-random-seed=...).
import { randomInt } from "node:crypto";
import { globSync } from "node:fs";
import type { EngineName } from "@stampede/infrastructure/embedded";
import { marks } from "./faults/marks.ts";
import { withReports } from "./faults/run-rows.ts";
import { CLAIMS_MIN, failuresOf, tableOf, totalsOf, totalsText } from "./faults/summary.ts";
import type { RowReport } from "./faults/support/row.ts";
import { runCommand } from "./support/command.ts";
import { runTestFiles, withTestEngines } from "./support/run-tests.ts";

const everyTest = ["packages/*/test/**/*.test.ts", "web/test/**/*.test.ts", "tests/**/*.test.ts"];
const concurrency = 2;

/** More time for a soak (BAD_INPUTS=2000000, STAMPEDE_ORDERS=all): STAMPEDE_TEST_MINUTES=180. */
const minutes = Number(process.env["STAMPEDE_TEST_MINUTES"] ?? 0);

/** One file or test; a hang shows its name long before the whole is given up. */
const testMsMax = Math.max(10, minutes) * 60_000;

/** All tests together, engines included. Beyond it something hangs, and CI would wait for ever. */
const runMsMax = Math.max(30, minutes + 5) * 60_000;

const engineNames = ["postgres", "redis", "kafka"] as const;

type Command = {
  readonly engines: readonly EngineName[];
  readonly files: readonly string[];
  readonly options: readonly string[];
  /** Nothing was chosen: all tests, and what they come to together. */
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
    const code = await runOrdered(command, running, () => {
      failures = judgeRows(reports());
    });
    return code === 0 && failures.length > 0 ? 1 : code;
  });
}

/** What the fault rows of a whole run came to, and what keeps them from being a success. */
function judgeRows(reports: readonly RowReport[]): readonly string[] {
  console.log(`\nUnder faults:\n${tableOf(reports)}\n\n${totalsText(totalsOf(reports))}`);
  const failures = failuresOf(reports, {
    wanted: [],
    notRun: {},
    marks: Object.values(marks),
    claimsMin: CLAIMS_MIN,
    // What a failed test comes to is told by the runner.
    testCode: null,
  });
  for (const failure of failures) console.log(failure);
  return failures;
}

async function runOrdered(
  command: Command,
  { urls, signal }: Running,
  beforeSummary?: () => void,
): Promise<number> {
  const seed = randomInt(0xffff_ffff);
  const ownSeed = command.options.some((option) => option.startsWith("--test-random-seed"));
  if (!ownSeed) {
    console.log(
      `Random order, seed ${seed}. The same again: npm test -- -- --test-random-seed=${seed}`,
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
    environment: { ...process.env, ...urls },
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
  for (const flag of own.filter((arg) => arg.startsWith("--"))) {
    const list = /^--engines=(?<list>.*)$/.exec(flag)?.groups?.["list"];
    const names = list === "none" ? [] : (list?.split(",") ?? [flag]);
    engines = engineNames.filter((name) => names.includes(name));
    if (engines.length !== names.length) {
      throw new Error(`"${flag}" is none of --engines=none, --engines=${engineNames.join(",")}.`);
    }
  }
  const files = globSync(patterns.length === 0 ? everyTest : patterns, {
    exclude: (path) => path.includes("node_modules"),
  });
  const whole = patterns.length === 0 && !options.some((option) => option.includes("pattern"));
  return { engines, files: files.toSorted(), options, whole };
}
