// What was run, in words that the HTML and the Markdown share.
import type { Comparison, Run, RunVerdict } from "../compare/result.ts";
import {
  answersPerSecond,
  issuedPerSecond,
  judged,
  noiseOf,
  ratiosByRound,
  roundsOf,
  spreadOf,
  type Judgement,
  type Pair,
  type Spread,
} from "./figures.ts";
import { count, range, ratio, share } from "./numbers.ts";
import { longName, shortName } from "./subjects.ts";

/** House style asks for so many samples before a difference is published. */
const roundsMin = 5;

export type Fact = { readonly name: string; readonly text: string };

/** One difference between two subjects, with all that decides whether it may be claimed. */
export type Finding = {
  readonly pair: Pair;
  readonly what: "answers" | "coupons";
  readonly spread: Spread;
  readonly rounds: number;
  readonly judgement: Judgement;
};

export const judgementTexts: Readonly<Record<Judgement, string>> = {
  "beyond-noise": "beyond noise",
  "within-noise": "within noise",
  "rounds-disagree": "rounds disagree",
  "noise-unknown": "noise unknown",
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

export function runName({ subject, round, twin, eventId }: Run): string {
  return `${longName(subject)}, round ${round}${twin ? ", A/A twin" : ""} (event ${eventId})`;
}

/** "18 of 20 runs are right", and what that means for the others. */
export function verdictSentence({ runs }: Comparison): string {
  const right = runs.filter(({ verdict }) => verdict.kind === "right").length;
  const all = `${count(right)} of ${count(runs.length)} runs are right`;
  return right === runs.length
    ? `${all}.`
    : `${all}. The others have no throughput and are in no median.`;
}

/** What limits how far all differences here may be trusted. */
export function cautions(comparison: Comparison): readonly string[] {
  const rounds = roundsOf(comparison).length;
  const few =
    rounds < roundsMin
      ? [`Only ${rounds} of the ${roundsMin} rounds that a published difference needs.`]
      : [];
  const noise = comparison.sameAgainstSame.map(
    ({ subject, smallestClaim, ratios }) =>
      `${longName(subject)} against itself: ${ratios.map(ratio).join(", ")} times, so a difference up to ${share(smallestClaim)} is noise.`,
  );
  if (noise.length === 0) {
    return [...few, "No A/A run was made: what difference is noise is not known."];
  }
  const basis =
    "A/A runs compare answers per second; coupons per second are held against the same.";
  return [...few, ...noise, basis];
}

const findingPairs: readonly Pair[] = [
  { subject: "redis-counter", base: "row-lock" },
  { subject: "kafka-queue", base: "row-lock" },
  { subject: "target", base: "row-lock" },
  { subject: "kafka-queue", base: "redis-counter" },
  { subject: "row-lock", base: "ceiling" },
  { subject: "redis-counter", base: "ceiling" },
  { subject: "kafka-queue", base: "ceiling" },
  { subject: "target", base: "ceiling" },
];

/** Every difference that this comparison can say something about. */
export function findingsOf(comparison: Comparison): readonly Finding[] {
  const measures = [
    { what: "answers", value: answersPerSecond },
    { what: "coupons", value: issuedPerSecond },
  ] as const;
  return measures.flatMap(({ what, value }) =>
    findingPairs.flatMap((pair): Finding[] => {
      const ratios = ratiosByRound(comparison, pair, value);
      const spread = spreadOf(ratios.values());
      if (spread === null) return [];
      const judgement = judged(comparison, pair, spread);
      return [{ pair, what, spread, rounds: ratios.size, judgement }];
    }),
  );
}

/** "v2 gives 7.8 times as many answers per second as v1 (7.2–8.3, 5 rounds)". */
export function findingText({ pair, what, spread, rounds }: Finding): string {
  const does = `${shortName(pair.subject)} ${what === "answers" ? "gives" : "issues"}`;
  const times = ratio(spread.median);
  const around = range(ratio(spread.min), ratio(spread.max));
  const basis = `(${around}, ${rounds} ${rounds === 1 ? "round" : "rounds"})`;
  return pair.base === "ceiling"
    ? `${does} ${times} of the empty handler's ${what} per second ${basis}`
    : `${does} ${times} times as many ${what} per second as ${shortName(pair.base)} ${basis}`;
}

/** How the judgement was made: "within noise (A/A: 8 %)". */
export function judgementText(comparison: Comparison, { pair, judgement }: Finding): string {
  const noise = noiseOf(comparison, pair);
  const text = judgementTexts[judgement];
  return noise === null ? `${text} (no A/A run)` : `${text} (A/A: ${share(noise)})`;
}
