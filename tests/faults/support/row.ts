// What a fault test tells of itself, so that `npm run faults` can print every row with its verdict.
import { appendFileSync } from "node:fs";
import type { TestContext } from "node:test";
import type { Mechanism } from "@stampede/lab";

/** A line of the file that STAMPEDE_FAULT_ROWS names. */
export type RowReport = {
  /** The row's number in docs/guarantees.md, such as "P4". */
  readonly row: string;
  readonly mechanism: Mechanism | "all";
  /** The fault in words: what is done to what, and when. */
  readonly fault: string;
  readonly passed: boolean;
  readonly faultsInjected: number;
  readonly claimsJudged: number;
  readonly violations: number;
  /** Longest time until each deadline's promise was met, milliseconds. */
  readonly recoveryMs: Readonly<Partial<Record<Deadline, number>>>;
  /** Rare situations that this run met, and how often. */
  readonly sometimes: Readonly<Record<string, number>>;
  readonly seed: number | null;
};

export type Deadline = "L1" | "L2" | "L3" | "L4" | "L5" | "L6";

export type Row = {
  /** The fault was injected once more. */
  readonly injected: (times?: number) => void;
  /** A judge looked at so many claims and found so many violations. */
  readonly judged: (claims: number, violations: number) => void;
  readonly recovered: (deadline: Deadline, ms: number) => void;
  /** A rare situation that the row claims to cover happened; one that never did fails the run. */
  readonly met: (situation: string) => void;
};

/** Declares that this test is a row of the fault matrix; `expects` are the rare situations it covers. */
export function faultRow(
  t: TestContext,
  about: Pick<RowReport, "row" | "mechanism" | "fault"> & {
    readonly seed?: number;
    readonly expects?: readonly string[];
  },
): Row {
  let faultsInjected = 0;
  let claimsJudged = 0;
  let violations = 0;
  const recoveryMs: Partial<Record<Deadline, number>> = {};
  const sometimes: Record<string, number> = Object.fromEntries(
    (about.expects ?? []).map((situation) => [situation, 0]),
  );
  t.after(() => {
    const path = process.env["STAMPEDE_FAULT_ROWS"];
    if (path === undefined) return;
    const { row, mechanism, fault, seed = null } = about;
    const counts = { faultsInjected, claimsJudged, violations, recoveryMs, sometimes };
    const report: RowReport = { row, mechanism, fault, passed: t.passed, ...counts, seed };
    appendFileSync(path, `${JSON.stringify(report)}\n`);
  });
  return {
    injected(times = 1) {
      faultsInjected += times;
    },
    judged(claims, found) {
      claimsJudged += claims;
      violations += found;
    },
    recovered(deadline, ms) {
      recoveryMs[deadline] = Math.max(recoveryMs[deadline] ?? 0, ms);
    },
    met(situation) {
      sometimes[situation] = (sometimes[situation] ?? 0) + 1;
    },
  };
}
