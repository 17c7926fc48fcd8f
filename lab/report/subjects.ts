import type { Subject } from "../compare/result.ts";

type Names = { readonly short: string; readonly long: string; readonly what: string };

const names: Readonly<Record<Subject, Names>> = {
  "row-lock": {
    short: "v1",
    long: "v1 row lock",
    what: "locks the event's row for every claim",
  },
  "redis-counter": {
    short: "v2",
    long: "v2 Redis counter",
    what: "counts in Redis, writes rows in batches",
  },
  "kafka-queue": {
    short: "v3",
    long: "v3 Kafka queue",
    what: "answers with a place in the log, decides behind it",
  },
  ceiling: {
    short: "ceiling",
    long: "empty handler",
    what: "answers at once and issues nothing: the most this server could do",
  },
  target: {
    short: "target",
    long: "target",
    what: "another system, driven by the same crowd",
  },
};

export function shortName(subject: Subject): string {
  return names[subject].short;
}

export function longName(subject: Subject): string {
  return names[subject].long;
}

/** What it is, in a few words. */
export function describedAs(subject: Subject): string {
  return names[subject].what;
}

const ladder: readonly Subject[] = ["row-lock", "redis-counter", "kafka-queue", "ceiling"];

/** v1, v2, v3, the ceiling, and then whoever else was compared. */
export function inLadderOrder(subjects: readonly Subject[]): readonly Subject[] {
  const known = ladder.filter((subject) => subjects.includes(subject));
  return [...known, ...subjects.filter((subject) => !ladder.includes(subject))];
}
