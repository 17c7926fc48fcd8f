// Runs cases in their lanes and gives what they reported; for npm run faults, npm run soak and npm test.
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runTestFiles } from "../support/run-tests.ts";
import type { CaseReport } from "./notes.ts";

const LANES = ["proof/faults/lane-1.test.ts", "proof/faults/lane-2.test.ts"];

export type CasesRun = {
  /** A level, or names with spaces between (catalogue.ts). */
  readonly cases: string;
  /** 1, or 2 at the same time. */
  readonly lanes: 1 | 2;
  /** Added to this process's own. */
  readonly environment: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
};

export async function runCases({
  cases,
  lanes,
  environment,
  signal,
}: CasesRun): Promise<{ readonly code: number; readonly reports: readonly CaseReport[] }> {
  return withReports(async (reporting, reports) => {
    const code = await runTestFiles({
      files: LANES.slice(0, lanes),
      options: [`--test-concurrency=${lanes}`],
      environment: { ...process.env, ...environment, ...reporting, STAMPEDE_FAULT_CASES: cases },
      signal,
    });
    return { code, reports: reports() };
  });
}

/** Gives lanes the environment in which their cases report, and what they have reported so far. */
export async function withReports<Value>(
  run: (
    environment: Readonly<Record<string, string>>,
    reports: () => readonly CaseReport[],
  ) => Promise<Value>,
): Promise<Value> {
  const folder = mkdtempSync(join(tmpdir(), "stampede-faults-"));
  const [reports, taken] = [join(folder, "cases.jsonl"), join(folder, "turns")];
  mkdirSync(taken);
  try {
    const environment = { STAMPEDE_FAULT_REPORTS: reports, STAMPEDE_FAULT_TURNS: taken };
    return await run(environment, () => readReports(reports));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function readReports(path: string): CaseReport[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    // No case reported, so nobody made the file.
    return [];
  }
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line): CaseReport => JSON.parse(line));
}
