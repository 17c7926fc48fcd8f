// Runs fault tests and gives what their rows reported; for npm run faults, npm run soak and npm test.
import { globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runTestFiles } from "../support/run-tests.ts";
import type { RowReport } from "./support/row.ts";

/** A file holds some rows of about a minute each; a hang must not keep a soak for ever. */
const TEST_MS_MAX = 10 * 60_000;
const SELECTED_REPORTER = join(import.meta.dirname, "selected-reporter.ts");

export type RowsRun = {
  readonly files: readonly string[];
  /** Only these rows of the files; all of them where it is empty. */
  readonly only: readonly string[];
  readonly concurrency: number;
  /** Added to this process's own. */
  readonly environment: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
};

/** Tests of our own tools: they name rows and are none. */
const toolTests = new Set(
  ["observer", "proxy", "selected-reporter", "summary"].map(
    (tool) => `tests/faults/${tool}.test.ts`,
  ),
);

/** Every file that may hold rows, the fast ones of each CI run and those that run here alone. */
export function faultFiles(): string[] {
  return globSync("tests/faults/*.{test,fault}.ts")
    .filter((file) => !toolTests.has(file))
    .toSorted();
}

export async function runRows(
  run: RowsRun,
): Promise<{ readonly code: number; readonly reports: readonly RowReport[] }> {
  const isSelection = run.only.length > 0;
  return withReports(async (reporting, reports) => {
    const code = await runTestFiles({
      files: run.files,
      ...(isSelection ? { reporter: SELECTED_REPORTER } : {}),
      options: [`--test-concurrency=${run.concurrency}`, `--test-timeout=${TEST_MS_MAX}`],
      environment: {
        ...process.env,
        ...run.environment,
        ...reporting,
        ...(isSelection ? { STAMPEDE_FAULT_ONLY: run.only.join(" ") } : {}),
      },
      signal: run.signal,
    });
    return { code, reports: reports() };
  });
}

/** Gives tests the environment in which their rows report, and what they have reported so far. */
export async function withReports<Value>(
  run: (
    environment: Readonly<Record<string, string>>,
    reports: () => readonly RowReport[],
  ) => Promise<Value>,
): Promise<Value> {
  const folder = mkdtempSync(join(tmpdir(), "stampede-faults-"));
  const path = join(folder, "rows.jsonl");
  try {
    return await run({ STAMPEDE_FAULT_ROWS: path }, () => readReports(path));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function readReports(path: string): RowReport[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    // No row reported, so nobody made the file.
    return [];
  }
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line): RowReport => JSON.parse(line));
}
