// What a case tells of itself while it runs, and the report that is made of it.
import type { Attempt } from "@stampede/lab";
import type { Mechanism } from "./mechanisms.ts";

/**
 * "void": nobody was told wrong, but the fault never fired or the situation that the case is for never
 * came about, so that it proves nothing.
 */
export type Verdict = "right" | "wrong" | "void" | "not run";

export type Deadline = "L1" | "L2" | "L3" | "L4" | "L5" | "L6";

/** A line of the file that STAMPEDE_FAULT_REPORTS names. */
export type CaseReport = {
  /** The case's id in docs/dictionary.md, such as "P4"; "none" for a sale without a fault. */
  readonly id: string;
  /** By which it is run again: `npm run faults -- R2.3`. */
  readonly key: string;
  /** "all" where nobody sells. */
  readonly mechanism: Mechanism | "all";
  /** The fault in words: what is done to what, and when. */
  readonly injects: string;
  readonly verdict: Verdict;
  /** Why it was not run, is wrong or void. */
  readonly reason: string | null;
  readonly faultsInjected: number;
  readonly claimsJudged: number;
  readonly violations: number;
  /** Longest time until each deadline's promise was met, milliseconds. */
  readonly recoveryMs: Readonly<Partial<Record<Deadline, number>>>;
  /** Rare situations that this run met, and how often. */
  readonly sometimes: Readonly<Record<string, number>>;
  /** Null where nobody was beside it: it was not run, or it starts its programs itself. */
  readonly neighbours: NeighboursReport | null;
  readonly seed: number | null;
  /** How long it took, milliseconds; its engines' and programs' starts are not in it. */
  readonly ms: number;
};

/** What the other events on the case's program came to. */
export type NeighboursReport = {
  readonly events: number;
  /** That came while the case ran; how many of them were refused or left unknown, and how long they took. */
  readonly claims: number;
  readonly faults: number;
  readonly p99Ms: number | null;
};

export type Notes = {
  /** The fault was injected once more. */
  readonly injected: (times?: number) => void;
  /** A judge looked at these attempts, of which the claims are counted, and found so many violations. */
  readonly judged: (attempts: readonly Pick<Attempt, "kind">[], violations: number) => void;
  readonly recovered: (deadline: Deadline, ms: number) => void;
  /** A rare situation that the case claims to cover came about. */
  readonly met: (situation: string) => void;
};

export type Counts = Pick<
  CaseReport,
  "faultsInjected" | "claimsJudged" | "violations" | "recoveryMs" | "sometimes"
>;

/** `expects` are the situations that the case is for: each has to be met. */
export function openNotes(expects: readonly string[]): {
  readonly notes: Notes;
  readonly counts: () => Counts;
  readonly neverMet: () => readonly string[];
} {
  let [faultsInjected, claimsJudged, violations] = [0, 0, 0];
  const recoveryMs: Partial<Record<Deadline, number>> = {};
  const sometimes = Object.fromEntries(expects.map((situation) => [situation, 0]));
  return {
    notes: {
      injected(times = 1) {
        faultsInjected += times;
      },
      judged(attempts, found) {
        claimsJudged += attempts.filter(({ kind }) => kind === "claim").length;
        violations += found;
      },
      recovered(deadline, ms) {
        recoveryMs[deadline] = Math.max(recoveryMs[deadline] ?? 0, Math.round(ms));
      },
      met(situation) {
        sometimes[situation] = (sometimes[situation] ?? 0) + 1;
      },
    },
    counts: () => ({ faultsInjected, claimsJudged, violations, recoveryMs, sometimes }),
    neverMet: () => Object.keys(sometimes).filter((situation) => sometimes[situation] === 0),
  };
}

/** What a case is for did not come about: that is no failure of the service, and no proof either. */
export class NeverHappened extends Error {
  override readonly name = "NeverHappened";
}

/** As `assert.ok`, for the fault and for what it has to meet. */
export function happened(condition: boolean, what: string): asserts condition {
  if (!condition) throw new NeverHappened(what);
}
