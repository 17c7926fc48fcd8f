import type { Invariant } from "./findings.ts";

/** What the referee can be given. */
type Evidence = "answers" | "rows" | "commit times" | "log" | "Redis";

/** How far a promise of docs/guarantees.md is decided here. */
export type Coverage = {
  readonly promise: string;
  /** What it is decided from; nothing where the referee cannot decide any of it. */
  readonly from: readonly Evidence[];
  /** What of the promise stays open here, and who can see it; null: nothing. */
  readonly leaves: string | null;
};

const beyond = {
  promise: "",
  from: [],
} as const;

/** Promises that no end state and no answer shows: the referee never reports them. */
export const undecided: Readonly<Record<string, Coverage>> = {
  S15: {
    ...beyond,
    promise: "committed (epoch, mark) only rises",
    leaves: "the end state has one epoch and one mark; an audit of the decider's commits sees it",
  },
  S26: {
    ...beyond,
    promise: "of operators' changes with one If-Match at most one gets 200",
    leaves: "operators' requests are not in the history; the test that sends them counts the 200s",
  },
  S27: {
    ...beyond,
    promise: "no second decides more than the pace",
    leaves: "the end state does not say when the mark passed a ticket; an audit of the mark does",
  },
  L3: {
    ...beyond,
    promise: "good claims soon after an engine is back",
    leaves: "the referee knows of no faults; the test that healed one takes the time",
  },
  L4: {
    ...beyond,
    promise: "nothing stays stuck",
    leaves:
      "sessions and pools are not in the run; pending reservations are S16, undecided tickets L2",
  },
  L5: {
    ...beyond,
    promise: "memory and descriptors come back",
    leaves: "they are not in the run; the test that measured them says",
  },
  L6: {
    ...beyond,
    promise: "every stream has the last frame",
    leaves: "streams are not in the history; the rush counts who saw the end",
  },
};

/** Promises that the referee can find broken. */
export const decided: Readonly<Record<Invariant, Coverage>> = {
  S1: {
    promise: "never more rows than the limit, none changed or deleted",
    from: ["rows"],
    leaves: "a row that came and went, told to nobody: an observer during the run",
  },
  S2: { promise: "one row per person", from: ["rows"], leaves: null },
  S3: {
    promise: "told issued: a row with that seq, code and time",
    from: ["answers", "rows", "commit times"],
    leaves: "without commit times, a row committed only after it was told",
  },
  S4: {
    promise: "a row (v3: a record too) is of somebody who had claimed before",
    from: ["answers", "rows", "commit times", "log"],
    leaves: "without commit times, a row committed before its claim and told to nobody",
  },
  S5: {
    promise: "sold out only when every coupon is a committed row",
    from: ["answers", "rows", "commit times"],
    leaves:
      "what the event and its stream showed; without commit times, told before the last commit",
  },
  S6: { promise: "real-time order", from: ["answers", "rows", "log"], leaves: null },
  S7: { promise: "final answers never contradict", from: ["answers", "rows"], leaves: null },
  S8: {
    promise: "nobody who first asked after a sold out has a coupon",
    from: ["answers", "rows"],
    leaves: null,
  },
  S9: {
    promise: "a person is told one coupon, and once that it is new",
    from: ["answers"],
    leaves: null,
  },
  S10: {
    promise: "rows are the first persons of the log, each with the first ticket and its code",
    from: ["answers", "rows", "log"],
    leaves: "without the log, the place of tickets that nobody was told",
  },
  S11: {
    promise: "every 202 has its record",
    from: ["answers", "log"],
    leaves: "without the log, only tickets told twice or answered none",
  },
  S12: {
    promise: "ahead is ticket minus mark and never grows",
    from: ["answers"],
    leaves: "whether the mark was at most 1 s old: an audit of the mark",
  },
  S13: {
    promise: "sold out for a ticket: all rows have lower ones",
    from: ["answers", "rows"],
    leaves: null,
  },
  S14: {
    promise: "rows and mark move in one step",
    from: ["rows", "log"],
    leaves: "only the end state is compared: an observer during the run",
  },
  S16: {
    promise: "in the end Redis and rows agree, nothing is pending",
    from: ["rows", "Redis"],
    leaves: null,
  },
  S17: {
    promise: "Redis never holds too many, no latch before the last row",
    from: ["rows", "Redis"],
    leaves: "only the end state is compared: an observer during the run",
  },
  S18: {
    promise: "nobody is shown another's coupon",
    from: ["answers", "rows"],
    leaves: "whether the person of the history is the authenticated one: cross-person probes",
  },
  S19: {
    promise: "what was refused has no effect",
    from: ["answers", "rows", "log", "Redis"],
    leaves: "an effect beside another claim of the same person that counts: the state hash",
  },
  S20: {
    promise: "the limit only rises, and only before it is reached",
    from: ["rows"],
    leaves: "a raise after the end that sold nothing: an audit of the limit",
  },
  S21: {
    promise: "codes are unique, with room for 128 random bits",
    from: ["rows"],
    leaves: "whether they are random: chi-square on 100,000 codes",
  },
  S22: {
    promise: "nothing is issued outside the window",
    from: ["rows"],
    leaves: "pauses, and the close in v2 and v3: the history has another clock than the door",
  },
  S23: {
    promise: "guaranteed is ticket < limit, and kept",
    from: ["answers", "rows"],
    leaves: "which limit was known between two raises: an audit of the limit",
  },
  S24: {
    promise: "issued = number of rows = highest seq",
    from: ["rows"],
    leaves: "only the end state is counted; silent constraints: an observer, the database's log",
  },
  S25: {
    promise: "event and stream show what is committed",
    from: ["rows"],
    leaves: "only the stored last winning ticket is compared: the tests of the stream",
  },
  L1: { promise: "enough people got through: limit rows", from: ["answers", "rows"], leaves: null },
  L2: {
    promise: "every 202 has a final answer in the end",
    from: ["answers", "rows", "log"],
    leaves: "how long it took: the test that healed the fault",
  },
  "500": { promise: "no 500", from: ["answers"], leaves: null },
};
