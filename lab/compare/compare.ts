// A comparison: every subject on the same trace of arrivals, interleaved, in reversed order every
// second round, so that a machine that warms up or slows down does it to all of them alike.
import type { Ceiling } from "../crowd/ceiling.ts";
import type { Mechanism } from "../crowd/history.ts";
import { describeMachine } from "../crowd/machine.ts";
import { judge as rushJudge, type Judge } from "../crowd/verdict.ts";
import type { JudgedFigures } from "../metrics.ts";
import type { EngineFacts } from "./engines.ts";
import {
  measureCeiling,
  measureMechanism,
  measureTarget,
  type LabShop,
  type MeasuredRun,
  type RunPlan,
} from "./measure.ts";
import type { Comparison, Environment, Run, SameAgainstSame, Scenario, Subject } from "./result.ts";
import { arrivalTimes } from "./scenario.ts";
import type { TargetSystem } from "./target.ts";

export type ComparePlan = {
  readonly scenario: Scenario;
  readonly mechanisms: readonly Mechanism[];
  readonly rounds: number;
  /** Rounds before the first that counts; a row lock takes part in one of them at most. */
  readonly warmUps: number;
  /** Who runs twice in each round, so that the difference between the two is known to be noise. */
  readonly sameAgainstSame: readonly Subject[];
  readonly target: TargetSystem | null;
  readonly deadlineMs: number;
  /** The command line, for whoever wants to repeat it. */
  readonly command: string;
  /** Who judges the sales; the rush's own referee where it is left out. */
  readonly judge?: Judge;
};

export type CompareHooks = {
  readonly say: (text: string) => void;
  /** After each run that counts. */
  readonly judged?: (figures: JudgedFigures) => void;
  /** After each round that counts, with its number. */
  readonly roundEnded?: (round: number) => void;
};

/** Who is compared, and where. */
export type Compared = {
  readonly shop: LabShop;
  readonly ceiling: Ceiling;
  readonly facts: EngineFacts;
};

/** Runs a comparison to its end. Rejects where already the warm-up is wrong. */
export async function compare(
  compared: Compared,
  plan: ComparePlan,
  hooks: CompareHooks,
): Promise<Comparison> {
  const { scenario, mechanisms, target, rounds } = plan;
  const environment = describe(compared.facts, plan.command);
  const subjects: readonly Subject[] = [
    "ceiling",
    ...mechanisms,
    ...(target === null ? [] : (["target"] as const)),
  ];
  const runPlan: RunPlan = {
    scenario,
    times: arrivalTimes(scenario),
    deadlineMs: plan.deadlineMs,
    judge: plan.judge ?? rushJudge,
    progress: everyHalfSecond(hooks.say),
  };
  const measure = (subject: Subject): Promise<MeasuredRun> => {
    if (subject === "ceiling") return measureCeiling(compared.ceiling, runPlan);
    if (subject !== "target") return measureMechanism(compared.shop, subject, runPlan);
    if (target === null) throw new Error("A target without a description cannot run.");
    return measureTarget(target, runPlan);
  };
  await warmUp(plan, { subjects, measure, say: hooks.say });
  const runs: Run[] = [];
  for (let round = 1; round <= rounds; round++) {
    for (const { subject, twin } of orderOf(subjects, plan.sameAgainstSame, round)) {
      const run: Run = { ...(await measure(subject)), round, twin };
      runs.push(run);
      hooks.judged?.(judgedFigures(run));
      hooks.say(`round ${round} of ${rounds}: ${runText(run)}`);
    }
    hooks.roundEnded?.(round);
  }
  return {
    format: "stampede-comparison-1",
    scenario,
    environment,
    subjects,
    runs,
    sameAgainstSame: sameAgainstSame(runs),
    target: target === null ? null : { name: target.name, url: target.url },
  };
}

/** The order of a round: every subject, then the twins; backwards in every second round. */
export function orderOf(
  subjects: readonly Subject[],
  twins: readonly Subject[],
  round: number,
): readonly { readonly subject: Subject; readonly twin: boolean }[] {
  const order = [
    ...subjects.map((subject) => ({ subject, twin: false })),
    ...subjects
      .filter((subject) => twins.includes(subject))
      .map((subject) => ({ subject, twin: true })),
  ];
  return round % 2 === 1 ? order : order.toReversed();
}

/** What the pairs of a comparison say about noise; a pair without one right round is left out. */
export function sameAgainstSame(runs: readonly Run[]): SameAgainstSame[] {
  const subjects = [...new Set(runs.filter(({ twin }) => twin).map(({ subject }) => subject))];
  return subjects.flatMap((subject) => {
    const perSecond = (round: number, twin: boolean): number | null =>
      runs.find((run) => run.subject === subject && run.round === round && run.twin === twin)
        ?.answersPerSecond ?? null;
    const rounds = [...new Set(runs.map(({ round }) => round))].sort((a, b) => a - b);
    const ratios = rounds.flatMap((round) => {
      const [first, second] = [perSecond(round, false), perSecond(round, true)];
      return first === null || second === null || second === 0 ? [] : [first / second];
    });
    if (ratios.length === 0) return [];
    const smallestClaim = Math.max(...ratios.map((ratio) => Math.max(ratio, 1 / ratio) - 1));
    return [{ subject, ratios, smallestClaim }];
  });
}

type WarmUp = {
  readonly subjects: readonly Subject[];
  readonly measure: (subject: Subject) => Promise<MeasuredRun>;
  readonly say: (text: string) => void;
};

/**
 * In full size: compilers, caches and pools of all processes, this one's too, are slow the first
 * time and still change in the second. A row lock's crowd takes ten times as long as the others',
 * which is warm-up enough in one round.
 */
async function warmUp(plan: ComparePlan, { subjects, measure, say }: WarmUp): Promise<void> {
  for (let round = 1; round <= plan.warmUps; round++) {
    say(`warm-up ${round} of ${plan.warmUps}, not counted`);
    for (const subject of subjects) {
      if (subject === "row-lock" && round > 1) continue;
      const { verdict } = await measure(subject);
      if (verdict.kind === "void") say(`  ${subject}: void: ${verdict.reasons.join("; ")}`);
      if (verdict.kind === "wrong") {
        throw new Error(
          `Already the warm-up of ${subject} was wrong, so nothing was measured:\n` +
            verdict.violations.map((violation) => `  ${violation}`).join("\n"),
        );
      }
    }
  }
}

function describe(facts: EngineFacts, command: string): Environment {
  const { cpu, cores, memoryGiB, node, system, commit, dirty } = describeMachine();
  return {
    startedAt: new Date().toISOString(),
    command,
    commit: commit ?? "unknown",
    // What cannot be compared with its commit may be anything.
    dirty: dirty ?? true,
    cpu,
    cores,
    memoryGib: memoryGiB,
    platform: system,
    versions: { node: node.replace(/^v/, ""), ...facts.versions },
    durability: facts.durability,
  };
}

function judgedFigures({ subject, verdict, answersPerSecond }: Run): JudgedFigures {
  const violations = verdict.kind === "wrong" ? verdict.violations.length : 0;
  return { mechanism: subject, verdict: verdict.kind, violations, answersPerSecond };
}

/** One run in one line; a run that is not right shows why, and no throughput. */
function runText(run: Run): string {
  const { subject, twin, verdict, answersPerSecond, lastAnswerMs, latencyMs } = run;
  const name = twin ? `${subject} (again)` : subject;
  if (verdict.kind === "wrong") return `${name}: WRONG: ${verdict.violations.join("; ")}`;
  if (verdict.kind === "void") return `${name}: void: ${verdict.reasons.join("; ")}`;
  const perSecond = Math.round(answersPerSecond ?? 0).toLocaleString("en");
  return (
    `${name}: right, ${perSecond} answers/s, the last after ${Math.round(lastAnswerMs)} ms, ` +
    `p99 ${latencyMs.p99.toFixed(1)} ms`
  );
}

/** Opening ten thousand connections takes a while and is worth a line now and then. */
function everyHalfSecond(say: (text: string) => void): (text: string) => void {
  let toldMs = performance.now();
  return (text) => {
    if (performance.now() - toldMs < 500) return;
    toldMs = performance.now();
    say(`  ${text}`);
  };
}
