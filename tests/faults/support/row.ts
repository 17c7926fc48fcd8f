// What a fault test tells of itself, so that `npm run faults` can print every row with its verdict.
//
// STAMPEDE_FAULT_ROWS names the file that gets the reports, STAMPEDE_FAULT_ONLY the rows to be run
// (with spaces between), STAMPEDE_FAULT_SEED the seed by which a row chooses its moments.
import { randomInt } from "node:crypto";
import { appendFileSync } from "node:fs";
import type { TestContext } from "node:test";
import type { Attempt, Mechanism } from "@stampede/lab";

/** A line of the file that STAMPEDE_FAULT_ROWS names. */
export type RowReport = {
  /** The row's number in docs/guarantees.md, such as "P4"; "none" for a sale without a fault. */
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

export type RowAbout = Pick<RowReport, "row" | "mechanism" | "fault"> & {
  readonly seed?: number;
  readonly expects?: readonly string[];
};

const SEED_MAX = 0xffff_ffff;

export type Deadline = "L1" | "L2" | "L3" | "L4" | "L5" | "L6";

export type Row = {
  /** The fault was injected once more. */
  readonly injected: (times?: number) => void;
  /** A judge looked at these attempts, of which the claims are counted, and found so many violations. */
  readonly judged: (attempts: readonly Pick<Attempt, "kind">[], violations: number) => void;
  readonly recovered: (deadline: Deadline, ms: number) => void;
  /** A rare situation that the row claims to cover happened; one that never did fails the run. */
  readonly met: (situation: string) => void;
  readonly seed: number;
  /** From 0 to 1, the same numbers for the same seed: the moments of the faults. */
  readonly random: () => number;
  /** One of `from` to `to`, both included, by the seed. */
  readonly pick: (from: number, to: number) => number;
};

/**
 * Declares that this test is a row of the fault matrix; `expects` are the rare situations it covers.
 * One of them that is never met fails the test, as a fault that never happened would.
 */
export function faultRow(t: TestContext, about: RowAbout): Row {
  refuseUnselected(t, [about.row]);
  return declareRow(t, about);
}

/** The same for a test that is several rows at once: it runs when any of them is asked for. */
export function faultRows(t: TestContext, abouts: readonly RowAbout[]): Row[] {
  const rows = abouts.map(({ row }) => row);
  refuseUnselected(t, rows);
  return abouts.map((about) => declareRow(t, about));
}

function declareRow(t: TestContext, about: RowAbout): Row {
  const seed = about.seed ?? Number(process.env["STAMPEDE_FAULT_SEED"] ?? randomInt(SEED_MAX));
  const random = randomFrom(seed);
  t.diagnostic(`The same again: STAMPEDE_FAULT_SEED=${seed} npm run faults -- ${about.row}`);
  let faultsInjected = 0;
  let claimsJudged = 0;
  let violations = 0;
  const recoveryMs: Partial<Record<Deadline, number>> = {};
  const sometimes: Record<string, number> = Object.fromEntries(
    (about.expects ?? []).map((situation) => [situation, 0]),
  );
  t.after(() => {
    const { row, mechanism, fault } = about;
    const never = Object.keys(sometimes).filter((situation) => sometimes[situation] === 0);
    const passed = t.passed && never.length === 0;
    const counts = { faultsInjected, claimsJudged, violations, recoveryMs, sometimes };
    const report: RowReport = { row, mechanism, fault, passed, ...counts, seed };
    const path = process.env["STAMPEDE_FAULT_ROWS"];
    if (path !== undefined) appendFileSync(path, `${JSON.stringify(report)}\n`);
    // What failed already has its own reason.
    if (!t.passed || passed) return;
    // In a hook of its own, which comes last: one that throws keeps all after it from running, and a
    // program that nobody stops keeps the test process for ever (Node 26.10, tried).
    t.after(() => {
      throw new Error(`${row} never met what it is here to meet: ${never.join("; ")}`);
    });
  });
  return {
    seed,
    random,
    pick: (from, to) => from + Math.floor(random() * (to - from + 1)),
    injected(times = 1) {
      faultsInjected += times;
    },
    judged(attempts, found) {
      claimsJudged += attempts.filter(({ kind }) => kind === "claim").length;
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

/** Ends the test before it starts anything when only other rows are wanted. */
function refuseUnselected(t: TestContext, rows: readonly string[]): void {
  const only = process.env["STAMPEDE_FAULT_ONLY"];
  if (only === undefined || only.split(" ").some((row) => rows.includes(row))) return;
  t.skip(`only ${only}`);
  // The one way to end a test from within; the runner judges a selection by its reports alone.
  const unselected = new Error(`${rows.join(", ")} is not among the rows asked for: ${only}`);
  // One line in the report and not ten: nothing went wrong here.
  unselected.stack = unselected.message;
  throw unselected;
}

/** mulberry32: small, and even enough for choosing moments. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b_79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
