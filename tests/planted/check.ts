// Runs some tests of one file in a copy of the tree, each process in a group of its own that is ended
// whatever happens.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { signalGroup } from "@stampede/infrastructure/embedded";
import { ROOT } from "./copies.ts";
import type { Told } from "./failures-reporter.ts";

/** Longer than any check takes on a busy machine; what hangs is no finding. */
const CHECK_MS_MAX = 60_000;
const OUTPUT_CHARACTERS_MAX = 20_000;

export type Check = {
  /** As seen from the root. */
  readonly file: string;
  /** The names of the tests, each from its beginning. */
  readonly tests: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
};

export type Checked = {
  readonly told: readonly Told[];
  /** The end of what else the process wrote: a syntax error, a missing file. */
  readonly output: string;
  readonly ms: number;
};

/** Rejects where `signal` ends it. */
export async function runCheck(
  folder: string,
  check: Check,
  {
    environment,
    signal,
  }: { readonly environment: NodeJS.ProcessEnv; readonly signal: AbortSignal },
): Promise<Checked> {
  signal.throwIfAborted();
  const startedMs = performance.now();
  // A test that runs inside a test would report to the outer runner, and in its format.
  const { NODE_TEST_CONTEXT: _, ...inherited } = environment;
  const child = spawn(
    process.execPath,
    [
      // Of the original: the copy's own may be what is broken.
      `--test-reporter=${join(ROOT, "tests", "planted", "failures-reporter.ts")}`,
      "--test-reporter-destination=stdout",
      ...check.tests.map((test) => `--test-name-pattern=/${escaped(test)}/`),
      // A leaked connection keeps a process alive: the tests have been told of by then.
      "--test-force-exit",
      check.file,
    ],
    {
      cwd: folder,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...inherited, ...check.environment },
    },
  );
  const { pid } = child;
  const end = (): void => {
    if (pid !== undefined) signalGroup(pid, "SIGKILL");
  };
  const deadline = setTimeout(end, CHECK_MS_MAX);
  signal.addEventListener("abort", end, { once: true });
  let lines = "";
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (lines += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    output = (output + text).slice(-OUTPUT_CHARACTERS_MAX);
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
  return { ...read(lines, output), ms: Math.round(performance.now() - startedMs) };
}

function read(lines: string, output: string): Omit<Checked, "ms"> {
  const told: Told[] = [];
  for (const line of lines.split("\n")) {
    if (line.startsWith('{"name":')) told.push(JSON.parse(line));
    else if (line.trim() !== "") output += `${line}\n`;
  }
  return { told, output };
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\/]/g, "\\$&");
}
