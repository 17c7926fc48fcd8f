// Real engines for tests, and `node --test` on some files: what npm test, npm run faults and npm run
// soak have in common.
import { spawn } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { stripVTControlCharacters } from "node:util";
import {
  EngineUnavailable,
  engineTitles,
  signalGroup,
  startKafka,
  startPostgres,
  startRedis,
} from "@stampede/launcher";
import { testEngineVariables } from "@stampede/launcher/testing";
import type { EngineName, RunningEngine } from "@stampede/launcher";
import { withTestFolder } from "./test-folder.ts";

const starts = { postgres: startPostgres, redis: startRedis, kafka: startKafka } as const;

/**
 * Starts the engines on free ports and an empty folder, and stops them whatever `use` comes to. It
 * is given what the tests have to find in their environment.
 */
export async function withTestEngines<Value>(
  wanted: readonly EngineName[],
  signal: AbortSignal,
  use: (urls: Record<string, string>) => Promise<Value>,
): Promise<Value> {
  await using stack = new AsyncDisposableStack();
  const dataFolder = mkdtempSync(join(tmpdir(), "stampede-test-"));
  stack.defer(() => rmSync(dataFolder, { recursive: true, force: true }));
  // PostgreSQL runs as another user where this one is root, and has to pass through.
  chmodSync(dataFolder, 0o711);
  const urls = await startEngines(wanted, { dataFolder, stack, signal });
  // Awaited here, or the engines would be stopped while the tests still run.
  return await use(urls);
}

type Starting = {
  readonly dataFolder: string;
  readonly stack: AsyncDisposableStack;
  readonly signal: AbortSignal;
};

async function startEngines(
  wanted: readonly EngineName[],
  { dataFolder, stack, signal }: Starting,
): Promise<Record<string, string>> {
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

type TestRun = {
  readonly files: readonly string[];
  /** For `node --test`. */
  readonly options: readonly string[];
  /** Another reporter than `spec`: a name or a path. */
  readonly reporter?: string;
  readonly environment: NodeJS.ProcessEnv;
  /** Ends the tests, each of their processes. */
  readonly signal: AbortSignal;
  /** Called with their exit code when all tests have ended; prints before the runner's own summary. */
  readonly beforeSummary?: (code: number) => void;
};

/** Runs the files and resolves with the exit code, 1 where a signal ended the run. */
export async function runTestFiles(run: TestRun): Promise<number> {
  return withTestFolder(async (folder) =>
    runIn({
      ...run,
      environment: {
        ...run.environment,
        TMPDIR: folder,
        // Every test file is a process of its own, and most of what they load is the same.
        NODE_COMPILE_CACHE: join(folder, "compile-cache"),
      },
    }),
  );
}

async function runIn({
  files,
  options,
  reporter = "spec",
  environment,
  signal,
  beforeSummary,
}: TestRun): Promise<number> {
  const colour = process.stdout.isTTY ? { FORCE_COLOR: "1" } : {};
  const child = spawn(
    process.execPath,
    ["--test", `--test-reporter=${reporter}`, ...options, ...files],
    // In a group of its own, so that one signal ends every test process.
    {
      stdio: ["ignore", beforeSummary === undefined ? "inherit" : "pipe", "inherit"],
      env: { ...colour, ...environment },
      detached: true,
    },
  );
  const summary = child.stdout === null ? null : passOnTests(child.stdout);
  const { pid } = child;
  const endTests = (): void => {
    if (pid !== undefined) signalGroup(pid, "SIGTERM");
  };
  signal.addEventListener("abort", endTests, { once: true });
  if (signal.aborted) endTests();
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", resolve);
  });
  signal.removeEventListener("abort", endTests);
  // Whatever a test left behind in the group must not keep an engine's folder busy.
  if (pid !== undefined) signalGroup(pid, "SIGKILL");
  const held = await summary;
  beforeSummary?.(code ?? 1);
  if (held !== null) process.stdout.write(held);
  return code ?? 1;
}

/** Passes on what the tests print, and gives the runner's own summary, which comes last. */
async function passOnTests(output: Readable): Promise<string> {
  let summary = "";
  for await (const line of createInterface({ input: output })) {
    const begins = /^ℹ tests \d+$/.test(stripVTControlCharacters(line));
    if (begins || summary !== "") summary += `${line}\n`;
    else process.stdout.write(`${line}\n`);
  }
  return summary;
}
