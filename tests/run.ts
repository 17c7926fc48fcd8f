// What `npm test` runs:
//
//   npm test [-- [--engines=postgres,redis,kafka | --engines=none] [FILE or glob ...] [-- OPTION ...]]
//
// Starts real engines on free ports and an empty folder, beside any running `npm start`, hands
// their addresses to `node --test`, and always stops them. What stands after the second "--" goes
// to `node --test` (--test-name-pattern=..., --test-random-seed=...).
import { spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { chmodSync, globSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  EngineUnavailable,
  engineTitles,
  signalGroup,
  startKafka,
  startPostgres,
  startRedis,
  testEngineVariables,
} from "@stampede/infrastructure/embedded";
import type { EngineName, RunningEngine } from "@stampede/infrastructure/embedded";

const everyTest = ["packages/*/test/**/*.test.ts", "web/test/**/*.test.ts", "tests/**/*.test.ts"];
const concurrency = 2;

/** One file or test; a hang shows its name long before the whole is given up. */
const testMsMax = 10 * 60_000;

/** All tests together, engines included. Beyond it something hangs, and CI would wait for ever. */
const runMsMax = 30 * 60_000;

const starts = { postgres: startPostgres, redis: startRedis, kafka: startKafka } as const;
const engineNames = ["postgres", "redis", "kafka"] as const;

type Command = {
  readonly engines: readonly EngineName[];
  readonly files: readonly string[];
  readonly options: readonly string[];
};

const ending = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    process.exitCode = 130;
    ending.abort();
  });
}
const deadline = setTimeout(() => {
  console.error(`The tests did not end within ${runMsMax / 60_000} minutes and are stopped.`);
  process.exitCode = 1;
  ending.abort();
}, runMsMax);

try {
  const code = await run(readCommand(process.argv.slice(2)));
  process.exitCode ??= code;
} catch (error) {
  // What was interrupted on purpose needs no explanation.
  if (!ending.signal.aborted) {
    process.exitCode = 1;
    console.error(error instanceof Error ? error.message : error);
  }
}
clearTimeout(deadline);
process.exit();

async function run(command: Command): Promise<number> {
  if (command.files.length === 0) {
    throw new Error("No test file matches. Name files or globs as seen from the project's root.");
  }
  await using stack = new AsyncDisposableStack();
  const dataFolder = mkdtempSync(join(tmpdir(), "stampede-test-"));
  stack.defer(() => rmSync(dataFolder, { recursive: true, force: true }));
  // PostgreSQL runs as another user where this one is root, and has to pass through.
  chmodSync(dataFolder, 0o711);
  const urls = await startEngines(command.engines, dataFolder, stack);
  // Awaited here, or the engines would be stopped while the tests still run.
  const code = await runTests(command, urls);
  return code;
}

async function startEngines(
  wanted: readonly EngineName[],
  dataFolder: string,
  stack: AsyncDisposableStack,
): Promise<Record<string, string>> {
  const signal = ending.signal;
  const report = (line: string): void => console.log(line);
  const engines: RunningEngine[] = [];
  const off: string[] = [];
  const outcomes = await Promise.allSettled(
    wanted.map(async (name) => {
      try {
        const engine = stack.use(await starts[name]({ dataFolder, report, signal }));
        engines.push(engine);
      } catch (error) {
        if (!(error instanceof EngineUnavailable)) throw error;
        off.push(`${engineTitles[name]} is off: ${error.reason} ${error.remedy}`);
      }
    }),
  );
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  for (const line of off) console.log(`${line} The tests that need it are skipped.`);
  if (off.length > 0 && process.env["STAMPEDE_NO_SKIPS"] === "1") {
    throw new Error("STAMPEDE_NO_SKIPS=1 allows no skipped tests, so none are run.");
  }
  const titles = engines.map((engine) => `${engineTitles[engine.name]} (port ${engine.port})`);
  console.log(`Engines: ${titles.length === 0 ? "none" : titles.sort().join(", ")}.`);
  return Object.fromEntries(engines.map(({ name, url }) => [testEngineVariables[name], url]));
}

async function runTests(command: Command, urls: Record<string, string>): Promise<number> {
  const seed = randomInt(0xffff_ffff);
  const ownSeed = command.options.some((option) => option.startsWith("--test-random-seed"));
  if (!ownSeed) {
    console.log(
      `Random order, seed ${seed}. The same again: npm test -- -- --test-random-seed=${seed}`,
    );
  }
  const environment: NodeJS.ProcessEnv = { ...process.env, ...urls };
  const child = spawn(
    process.execPath,
    [
      "--test",
      "--test-reporter=spec",
      `--test-concurrency=${concurrency}`,
      `--test-timeout=${testMsMax}`,
      ...(ownSeed ? [] : ["--test-randomize", `--test-random-seed=${seed}`]),
      ...command.options,
      ...command.files,
    ],
    // In a group of its own, so that one signal ends every test process.
    { stdio: ["ignore", "inherit", "inherit"], env: environment, detached: true },
  );
  const { pid } = child;
  const endTests = (): void => {
    if (pid !== undefined) signalGroup(pid, "SIGTERM");
  };
  ending.signal.addEventListener("abort", endTests, { once: true });
  if (ending.signal.aborted) endTests();
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", resolve);
  });
  // Whatever a test left behind in the group must not keep an engine's folder busy.
  if (pid !== undefined) signalGroup(pid, "SIGKILL");
  return code ?? 1;
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
  return { engines, files: files.toSorted(), options };
}
