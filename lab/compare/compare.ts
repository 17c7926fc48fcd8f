// A comparison: every subject on the same trace of arrivals, interleaved, in reversed order every
// second round, so that a machine that warms up or slows down does it to all of them alike.
import type { Ceiling } from "../crowd/ceiling.ts";
import { describeMachine } from "../crowd/machine.ts";
import type { Mechanism } from "../mechanisms.ts";
import { judge as ownJudge, type Judge } from "../crowd/verdict.ts";
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
import { sameAgainstSame } from "./noise.ts";
import {
  comparisonFormat,
  type Comparison,
  type Environment,
  type Run,
  type Scenario,
  type Subject,
} from "./result.ts";
import { arrivalTimes } from "./scenario.ts";
import type { TargetSystem } from "./target.ts";

export type ComparePlan = {
  readonly scenario: Scenario;
  readonly mechanisms: readonly Mechanism[];
  readonly rounds: number;
  /** Rounds before the first that counts; who is slow takes part in one of them at most. */
  readonly warmUps: number;
  /** Who runs twice in each round, so that the difference between the two is known to be noise. */
  readonly sameAgainstSame: readonly Subject[];
  readonly target: TargetSystem | null;
  /** People who watch each event's stream meanwhile. */
  readonly streams: number;
  readonly deadlineMs: number;
  /** The command line, for whoever wants to repeat it. */
  readonly command: string;
  /** Who judges the sales; the project's own referee where it is left out. */
  readonly judge?: Judge;
};

export type CompareHooks = {
  readonly say: (text: string) => void;
  /** After each run that counts. */
  readonly judged?: (figures: JudgedFigures) => void;
  /** After each round that counts, with its number. */
  readonly roundEnded?: (round: number) => void;
} & Pick<RunPlan, "sold">;

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
    ...mechanisms.map(({ name }) => name),
    ...(target === null ? [] : (["target"] as const)),
  ];
  const runPlan: RunPlan = {
    scenario,
    times: arrivalTimes(scenario),
    deadlineMs: plan.deadlineMs,
    judge: plan.judge ?? ownJudge,
    streams: plan.streams,
    progress: everyHalfSecond(hooks.say),
    ...(hooks.sold === undefined ? {} : { sold: hooks.sold }),
  };
  const measure = (subject: Subject): Promise<MeasuredRun> => {
    if (subject === "ceiling") return measureCeiling(compared.ceiling, runPlan);
    if (subject !== "target") return measureMechanism(compared.shop, subject, runPlan);
    if (target === null) throw new Error("A target without a description cannot run.");
    return measureTarget(target, runPlan);
  };
  await warmUp(plan.warmUps, { subjects, measure, say: hooks.say });
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
    format: comparisonFormat,
    scenario,
    environment,
    subjects,
    mechanisms: mechanisms.map(({ name, version, title, summary }) => {
      return { name, version, title, summary };
    }),
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

type WarmUp = {
  readonly subjects: readonly Subject[];
  readonly measure: (subject: Subject) => Promise<Pick<MeasuredRun, "verdict" | "lastAnswerMs">>;
  readonly say: (text: string) => void;
};

/** Somebody who has worked for so long is warm: compilers and pools had time for all they do. */
const warmAfterMs = 2_000;

/**
 * In full size: compilers, caches and pools of all processes, this one's too, are slow the first
 * time and still change in the second.
 */
export async function warmUp(rounds: number, { subjects, measure, say }: WarmUp): Promise<void> {
  const warm = new Set<Subject>();
  for (let round = 1; round <= rounds; round++) {
    say(`warm-up ${round} of ${rounds}, not counted`);
    for (const subject of subjects) {
      if (warm.has(subject)) continue;
      const { verdict, lastAnswerMs } = await measure(subject);
      if (lastAnswerMs > warmAfterMs) warm.add(subject);
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
  if (verdict.kind === "wrong") return `${name}: wrong: ${verdict.violations.join("; ")}`;
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
