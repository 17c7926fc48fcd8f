// What was run, in words that the HTML and the Markdown share.
import type { Comparison, Run, RunVerdict, Subject } from "../compare/result.ts";
import {
  claimed,
  judged,
  noiseOf,
  noiseTexts,
  ratiosByRound,
  roundsOf,
  spreadOf,
  unpublishable,
  type Judgement,
  type Pair,
  type Spread,
} from "./figures.ts";
import { count, range, ratio, share } from "./numbers.ts";
import { longName, shortName } from "./names.ts";

/** House style asks for so many samples before a difference is published. */
const roundsMin = 5;

export type Fact = { readonly name: string; readonly text: string };

/** One difference between two subjects, with all that decides whether it may be claimed. */
export type Finding = {
  readonly pair: Pair;
  readonly what: keyof typeof claimed;
  readonly spread: Spread;
  readonly rounds: number;
  readonly judgement: Judgement;
};

export const judgementTexts: Readonly<Record<Judgement, string>> = {
  "beyond-noise": "beyond noise",
  "within-noise": "within noise",
  "rounds-disagree": "rounds disagree",
};

export function factsOf(comparison: Comparison): readonly Fact[] {
  const { scenario, environment, target } = comparison;
  const { cpu, cores, memoryGib, platform, versions, durability } = environment;
  return [
    { name: "Scenario", text: `${scenario.name}: ${scenario.description}` },
    { name: "Crowd", text: crowdText(scenario) },
    ...(target === null ? [] : [{ name: "Target", text: `${target.name} at ${target.url}` }]),
    { name: "Rounds", text: `${roundsOf(comparison).length}, seed ${scenario.seed}` },
    { name: "Date", text: dateText(environment.startedAt) },
    { name: "Command", text: environment.command },
    { name: "Commit", text: environment.commit },
    { name: "Machine", text: `${cpu}, ${cores} cores, ${count(memoryGib)} GiB, ${platform}` },
    { name: "Versions", text: listed(versions) },
    { name: "Durability", text: listed(durability) },
  ].filter(({ text }) => text !== "");
}

function crowdText(scenario: Comparison["scenario"]): string {
  const { people, limit, claimsPerPerson, perSecond, pace, earlierPeople } = scenario;
  return [
    `${count(people)} people, ${count(limit)} coupons`,
    claimsPerPerson === 1 ? "1 claim each" : `${count(claimsPerPerson)} claims each`,
    perSecond === null ? "all at one instant" : `${count(perSecond)} arrivals per second`,
    ...(pace === null ? [] : [`queue paced at ${count(pace)} tickets per second`]),
    ...(earlierPeople === 0 ? [] : [`after ${count(earlierPeople)} earlier people`]),
  ].join(", ");
}

function listed(texts: Readonly<Record<string, string>>): string {
  return Object.entries(texts)
    .map(([name, text]) => `${name} ${text}`)
    .join(", ");
}

export const dirtyText = "dirty: files differed from this commit, so nobody can run it again";

export function dateText(startedAt: string): string {
  return startedAt.replace("T", " ").replace(/(?:\.\d+)?Z$/, " UTC");
}

/** Why a run has no figures; none for a right one. */
export function reasonsOf(verdict: RunVerdict): readonly string[] {
  switch (verdict.kind) {
    case "right":
      return [];
    case "wrong":
      return verdict.violations;
    case "void":
      return verdict.reasons;
  }
}

export function runName(comparison: Comparison, { subject, round, twin, eventId }: Run): string {
  return `${longName(comparison, subject)}, round ${round}${twin ? ", A/A twin" : ""} (event ${eventId})`;
}

const rightText =
  'no coupon too many or too few, one per person; everyone told "issued" has the row with that code, ' +
  'nobody with a row was told "sold out"';

/** The comparison's own verdict: wrong where a run was, void where a subject has no right run. */
export function verdictOf({ runs, subjects }: Comparison): RunVerdict["kind"] {
  if (runs.some(({ verdict }) => verdict.kind === "wrong")) return "wrong";
  const right = runs.filter(({ verdict }) => verdict.kind === "right");
  return subjects.every((subject) => right.some((run) => run.subject === subject))
    ? "right"
    : "void";
}

/** "18 of 20 runs are right", and what that means for the others. */
export function verdictSentence({ runs }: Comparison): string {
  const right = runs.filter(({ verdict }) => verdict.kind === "right").length;
  const all = `${count(right)} of ${count(runs.length)} runs are right`;
  return right === runs.length
    ? `${all}: ${rightText}.`
    : `${all}. The others have no throughput and are in no median.`;
}

/** Whether ratios may be published, in one sentence. */
export function publishingText(comparison: Comparison): string {
  const reasons = unpublishable(comparison);
  return reasons.length === 0
    ? "Publishable: no subject differs from itself by more than a quarter."
    : `Not publishable: ${reasons.join("; ")}. So no ratio is told; each subject's own figures stand.`;
}

/** What limits how far all differences here may be trusted. */
export function cautions(comparison: Comparison): readonly string[] {
  const rounds = roundsOf(comparison).length;
  const few =
    rounds < roundsMin
      ? [`Only ${rounds} of the ${roundsMin} rounds that a published difference needs.`]
      : [];
  const noise = noiseTexts(comparison, (subject) => longName(comparison, subject));
  if (noise.length === 0) {
    return [...few, "No A/A run was made: what difference is noise is not known."];
  }
  const basis = "Coupons per second are held against the A/A runs' answers per second.";
  return [...few, ...noise, basis];
}

/**
 * Every difference that this comparison can say something about: what a claim costs against the empty
 * handler, then what each mechanism gains on those before it. None where ratios may not be published.
 */
export function findingsOf(comparison: Comparison): readonly Finding[] {
  if (unpublishable(comparison).length > 0) return [];
  const gains = gainPairs(comparison);
  const shares = gains.ladder.map((subject) => ({ subject, base: "ceiling" }));
  return [
    ...findings(comparison, "cpu", shares),
    ...findings(comparison, "answers", gains.pairs),
    ...findings(comparison, "coupons", gains.pairs),
  ];
}

function gainPairs({ mechanisms, subjects }: Comparison): {
  readonly ladder: readonly Subject[];
  readonly pairs: readonly Pair[];
} {
  const names = [...mechanisms.map(({ name }) => name), "target"];
  const ladder = names.filter((name) => subjects.includes(name));
  const pairs = ladder.flatMap((base, index) =>
    ladder.slice(index + 1).map((subject) => ({ subject, base })),
  );
  return { ladder, pairs };
}

function findings(
  comparison: Comparison,
  what: Finding["what"],
  pairs: readonly Pair[],
): readonly Finding[] {
  const { value, noise } = claimed[what];
  return pairs.flatMap((pair): Finding[] => {
    const ratios = ratiosByRound(comparison, pair, value);
    const spread = spreadOf(ratios.values());
    if (spread === null) return [];
    const judgement = judged(noiseOf(comparison, pair, noise), spread);
    return [{ pair, what, spread, rounds: ratios.size, judgement }];
  });
}

/** "v2 gives 7.8 times as many answers per second as v1 (7.2–8.3, 5 rounds)". */
export function findingText(comparison: Comparison, finding: Finding): string {
  const { pair, what, spread, rounds } = finding;
  const subject = shortName(comparison, pair.subject);
  const times = ratio(spread.median);
  const around = range(ratio(spread.min), ratio(spread.max));
  const basis = `(${around}, ${rounds} ${rounds === 1 ? "round" : "rounds"})`;
  if (what === "cpu") {
    return `${subject} costs the server ${times} times the empty handler's CPU for a claim ${basis}`;
  }
  const does = `${subject} ${what === "answers" ? "gives" : "issues"}`;
  const base = shortName(comparison, pair.base);
  return `${does} ${times} times as many ${what} per second as ${base} ${basis}`;
}

/** How the judgement was made: "within noise (A/A: 8 %)". */
export function judgementText(comparison: Comparison, { pair, what, judgement }: Finding): string {
  const noise = noiseOf(comparison, pair, claimed[what].noise);
  return `${judgementTexts[judgement]} (A/A: ${share(noise)})`;
}
