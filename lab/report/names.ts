import type { Comparison, Subject } from "../compare/result.ts";

/** What a subject is called, by whatever the server told of its mechanisms. */
export type Names = {
  readonly short: string;
  readonly long: string;
  /** What it is, in a few words. */
  readonly what: string;
  /** The class that gives it its tone in the style sheet. */
  readonly tone: string;
  /** Lengths of strokes and gaps: no line is told by its colour alone. */
  readonly dash: readonly number[];
};

/** Tones that the style sheet has for mechanisms; more of them begin anew. */
const tones = 6;
const dashes: readonly (readonly number[])[] = [[], [10, 5], [3, 3], [16, 4], [6, 6], [2, 5]];

const ceiling: Names = {
  short: "ceiling",
  long: "empty handler",
  what: "answers at once and issues nothing: the most this server could do",
  tone: "tone-ceiling",
  dash: [12, 4, 3, 4],
};

/** The yardstick of every gain is this version. */
const yardstickVersion = "v1";

export function namesOf({ mechanisms, target }: Comparison, subject: Subject): Names {
  if (subject === "ceiling") return ceiling;
  const index = mechanisms.findIndex(({ name }) => name === subject);
  const mechanism = mechanisms[index];
  if (mechanism === undefined) {
    const what = `${target?.name ?? "another system"}, driven by the same crowd`;
    return { short: subject, long: subject, what, tone: "tone-target", dash: [6, 3] };
  }
  const { version, title, summary } = mechanism;
  return {
    short: version,
    long: `${version} ${title}`,
    what: summary,
    tone: `tone-${(index % tones) + 1}`,
    dash: dashes[index % dashes.length] ?? [],
  };
}

export function shortName(comparison: Comparison, subject: Subject): string {
  return namesOf(comparison, subject).short;
}

export function longName(comparison: Comparison, subject: Subject): string {
  return namesOf(comparison, subject).long;
}

/** The mechanism that gains are measured against; null where it did not run. */
export function yardstick({ mechanisms, subjects }: Comparison): Subject | null {
  const found = mechanisms.find(({ version }) => version === yardstickVersion);
  return found !== undefined && subjects.includes(found.name) ? found.name : null;
}

/** The mechanisms by version, the ceiling, and then whoever else was compared. */
export function inLadderOrder({ mechanisms, subjects }: Comparison): readonly Subject[] {
  const ladder = [...mechanisms.map(({ name }) => name), "ceiling"];
  const known = ladder.filter((subject) => subjects.includes(subject));
  return [...known, ...subjects.filter((subject) => !ladder.includes(subject))];
}
