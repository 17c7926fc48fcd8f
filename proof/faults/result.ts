// The outcome of a run of cases as a file.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { CaseReport } from "./notes.ts";
import type { Totals } from "./summary.ts";

/** What the cases of the last whole `npm test` came to; `npm run proof` counts on with it. */
export const TEST_RESULT = ".stampede/faults-of-npm-test.json";

export const PROOF_RESULT = ".stampede/faults-of-npm-run-proof.json";

export type CasesResult = {
  readonly command: string;
  readonly totals: Totals;
  readonly failures: readonly string[];
  readonly cases: readonly CaseReport[];
};

export function writeResult(path: string, result: CasesResult): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify({ commit: commitOf(), ...result }, null, 2)}\n`);
}

/** Null where there is none of this commit. */
export function readResult(path: string): CasesResult | null {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    // It was never written, or was cleared away.
    return null;
  }
  const { commit, ...result } = JSON.parse(text) as CasesResult & {
    readonly commit: string | null;
  };
  return commit === commitOf() ? result : null;
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
