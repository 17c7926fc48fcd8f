// Runs a check in a copy of the tree, each process in a group of its own that is ended whatever happens:
// some tests of one file, or one simulated sale.
import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import type { Mechanism } from "@stampede/domain";
import { signalGroup } from "@stampede/launcher";
import type { SaleCheck } from "./bugs.ts";
import type { Told } from "./failures-reporter.ts";

/** Longer than any check takes on a busy machine; what hangs is no finding. */
const CHECK_MS_MAX = 60_000;
const OUTPUT_CHARACTERS_MAX = 20_000;

export type Running = { readonly environment: NodeJS.ProcessEnv; readonly signal: AbortSignal };

export type Tests = {
  /** As seen from the root. */
  readonly file: string;
  /** The names of the tests, each from its beginning. */
  readonly tests: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
};

export type TestsRun = {
  readonly told: readonly Told[];
  /** The end of what else the process wrote: a syntax error, a missing file. */
  readonly output: string;
};

/** Rejects where `signal` ends it. */
export async function runTests(folder: string, check: Tests, running: Running): Promise<TestsRun> {
  const options = [
    // Of the original: the copy's own may be what is broken.
    `--test-reporter=${join(import.meta.dirname, "failures-reporter.ts")}`,
    "--test-reporter-destination=stdout",
    ...check.tests.map((test) => `--test-name-pattern=/${escaped(test)}/`),
    // A leaked connection keeps a process alive: the tests have been told of by then.
    "--test-force-exit",
    check.file,
  ];
  const environment = { ...running.environment, ...check.environment };
  const { stdout, stderr } = await runNode(folder, options, { ...running, environment });
  const lines = stdout.split("\n");
  const isTold = (line: string): boolean => line.startsWith('{"name":');
  const others = lines.filter((line) => !isTold(line) && line.trim() !== "");
  return {
    told: lines.filter(isTold).map((line) => JSON.parse(line) as Told),
    output: [stderr, ...others].join("\n"),
  };
}

const SIMULATE = join("proof", "simulation", "main.ts");
/** The bug that hides longest was met after 1,690 sales. */
const SEEDS_MAX = 8_000;
const SEARCH_MS_MAX = 600_000;

/** All that the command says of this sale. Rejects where `signal` ends it. */
export async function runSaleIn(
  folder: string,
  { mechanism, seed }: SaleCheck,
  running: Running,
): Promise<string> {
  const options = [SIMULATE, "--mechanism", mechanism, "--seed", String(seed)];
  const { stdout, stderr } = await runNode(folder, options, running);
  return `${stdout}\n${stderr}`;
}

/** Runs sales until one breaks a promise, and gives all that the command says. */
export async function runFirstWrongSale(
  folder: string,
  mechanism: Mechanism,
  running: Running,
): Promise<string> {
  const sales = ["--seeds", String(SEEDS_MAX), "--first", "--workers", "1"];
  const options = [SIMULATE, "--mechanism", mechanism, ...sales];
  const { stdout, stderr } = await runNode(folder, options, { ...running, msMax: SEARCH_MS_MAX });
  return `${stdout}\n${stderr}`;
}

async function runNode(
  folder: string,
  options: readonly string[],
  { environment, signal, msMax = CHECK_MS_MAX }: Running & { readonly msMax?: number },
): Promise<{ readonly stdout: string; readonly stderr: string }> {
  signal.throwIfAborted();
  // A test that runs inside a test would report to the outer runner, and in its format.
  const { NODE_TEST_CONTEXT: _, ...inherited } = environment;
  const child = spawn(process.execPath, options, {
    cwd: folder,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    // Beside the copy, and gone with it: most of the code is the same in every check.
    env: { ...inherited, NODE_COMPILE_CACHE: join(dirname(folder), "compile-cache") },
  });
  const { pid } = child;
  const end = (): void => {
    if (pid !== undefined) signalGroup(pid, "SIGKILL");
  };
  const deadline = setTimeout(end, msMax);
  signal.addEventListener("abort", end, { once: true });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr = (stderr + text).slice(-OUTPUT_CHARACTERS_MAX);
  });
  try {
    await new Promise<void>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", () => resolve());
    });
  } finally {
    clearTimeout(deadline);
    signal.removeEventListener("abort", end);
    // Whatever a test left behind in its group.
    end();
  }
  signal.throwIfAborted();
  return { stdout, stderr };
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\/]/g, "\\$&");
}
