// The promises of Stampede, in one list: S is what may never be wrong, L what is finished in time once a
// fault is gone. `npm run dictionary` makes docs/dictionary.md of it, and the kinds of finding derive from it.

/** What the referee can be given. */
type Evidence = "answers" | "rows" | "commit times" | "log" | "Redis";

export type Promised = {
  /** What holds, as a whole sentence. */
  readonly sentence: string;
  /** What the referee decides it from; nothing where it cannot decide any of it. */
  readonly from: readonly Evidence[];
  /** What of it the referee leaves open, and who can see that; null: nothing. */
  readonly leaves: string | null;
  /** Tests and commands that show it, beside the referee in every run that it judges. */
  readonly shownBy: readonly string[];
};

export const promises = {
  S1: {
    sentence: "An event never has more rows than its limit, and no row is changed or deleted.",
    from: ["rows"],
    leaves: "a row that came and went, told to nobody: an observer during the run",
    shownBy: [
      "packages/infrastructure/test/rows/schema.test.ts",
      "proof/orders/sql-orders.test.ts",
    ],
  },
  S2: {
    sentence: "A person has at most one row of an event; user ids are compared byte by byte.",
    from: ["rows"],
    leaves: null,
    shownBy: ["packages/infrastructure/test/rows/schema.test.ts", "npm run faults -- N1"],
  },
  S3: {
    sentence: "Whoever is told issued has a committed row with that seq, code and time.",
    from: ["answers", "rows", "commit times"],
    leaves: "without commit times, a row committed only after it was told",
    shownBy: [
      "packages/infrastructure/test/row-lock/issuer.test.ts",
      "packages/infrastructure/test/redis-counter/commit.test.ts",
      "npm run faults -- A3",
    ],
  },
  S4: {
    sentence:
      "Every row, and every record of v3's log, is of a person who had sent a claim before.",
    from: ["answers", "rows", "commit times", "log"],
    leaves: "without commit times, a row committed before its claim and told to nobody",
    shownBy: ["referee/test/referee-findings.test.ts"],
  },
  S5: {
    sentence: "Sold out is told only when every coupon of the event is a committed row.",
    from: ["answers", "rows", "commit times"],
    leaves:
      "what the event and its stream showed; without commit times, told before the last commit",
    shownBy: [
      "packages/infrastructure/test/redis-counter/commit.test.ts",
      "packages/infrastructure/test/redis-counter/reconciler.test.ts",
    ],
  },
  S6: {
    sentence: "A claim that was answered before another one was sent comes before it.",
    from: ["answers", "rows", "log"],
    leaves: null,
    shownBy: ["referee/test/referee-brute-force.test.ts", "referee/test/referee-tickets.test.ts"],
  },
  S7: {
    sentence:
      "The final answers of a person never contradict each other, and voided is told of v3's queues only, after the last coupon.",
    from: ["answers", "rows"],
    leaves: null,
    shownBy: ["packages/domain/contracts/coupon-issuer.contract.ts"],
  },
  S8: {
    sentence: "Nobody who first claims after somebody was told sold out gets a coupon.",
    from: ["answers", "rows"],
    leaves: null,
    shownBy: ["referee/test/referee.test.ts", "packages/domain/test/claim.race.test.ts"],
  },
  S9: {
    sentence: "A person is always told the same coupon, and at most once that it is new (201).",
    from: ["answers"],
    leaves: null,
    shownBy: ["packages/domain/contracts/coupon-issuer.contract.ts", "npm run faults -- N1"],
  },
  S10: {
    sentence:
      "v3: the rows are the first distinct persons of the log below the mark, in order, each with the first ticket.",
    from: ["answers", "rows", "log"],
    leaves: "without the log, the place of tickets that nobody was told",
    shownBy: [
      "packages/infrastructure/test/kafka-queue/decide-batch.test.ts",
      "npm run faults -- K10",
    ],
  },
  S11: {
    sentence:
      "v3: every answer 202 has its record in the log, also after the broker has recovered.",
    from: ["answers", "log"],
    leaves: "without the log, only tickets told twice or answered none",
    shownBy: ["packages/infrastructure/test/kafka-queue/log.test.ts", "npm run faults -- K1"],
  },
  S12: {
    sentence:
      "v3: ahead is the ticket minus the mark, by a mark at most 1 s old, and never grows for a ticket.",
    from: ["answers"],
    leaves: "whether the mark was at most 1 s old: an audit of the mark",
    shownBy: [
      "packages/infrastructure/test/kafka-queue/door.test.ts",
      "packages/infrastructure/test/kafka-queue/outage.test.ts",
    ],
  },
  S13: {
    sentence: "v3: sold out is told for a ticket only when all rows exist and have lower tickets.",
    from: ["answers", "rows"],
    leaves: null,
    shownBy: ["packages/infrastructure/test/kafka-queue/door.test.ts"],
  },
  S14: {
    sentence: "v3: rows and mark change in one transaction.",
    from: ["rows", "log"],
    leaves: "only the end state is compared: an observer during the run",
    shownBy: ["packages/infrastructure/test/kafka-queue/decide-batch.test.ts"],
  },
  S15: {
    sentence: "v3: the committed pair of epoch and mark only rises.",
    from: [],
    leaves: "the end state has one epoch and one mark; an audit of the decider's commits sees it",
    shownBy: [
      "packages/infrastructure/test/kafka-queue/decide-batch.test.ts",
      "npm run faults -- K12",
    ],
  },
  S16: {
    sentence:
      "v2: after recovery Redis has the persons of the rows and nothing is pending; of a finished event it holds nothing.",
    from: ["rows", "Redis"],
    leaves: null,
    shownBy: [
      "packages/infrastructure/test/redis-counter/reconciler.test.ts",
      "packages/infrastructure/test/redis-counter/finished.test.ts",
    ],
  },
  S17: {
    sentence:
      "v2: Redis never holds more persons than the limit, and forgets no event before it is finished.",
    from: ["rows", "Redis"],
    leaves: "only the end state is compared: an observer during the run",
    shownBy: ["packages/infrastructure/test/redis-counter/scripts.test.ts"],
  },
  S18: {
    sentence: "A row is of the authenticated person, and no answer shows another person's coupon.",
    from: ["answers", "rows"],
    leaves: "whether the person of the history is the authenticated one: cross-person probes",
    shownBy: ["proof/inputs/identity.test.ts", "packages/api/test/jwt.test.ts"],
  },
  S19: {
    sentence: "A claim that was refused leaves no row, no record, no reservation and no key.",
    from: ["answers", "rows", "log", "Redis"],
    leaves: "an effect beside another claim of the same person that counts: the state hash",
    shownBy: ["proof/inputs/bad-input.test.ts", "proof/inputs/bad-input-generated.test.ts"],
  },
  S20: {
    sentence: "Sold out is final: the limit only rises, and only while coupons are left.",
    from: ["rows"],
    leaves: "a raise after the end that sold nothing: an audit of the limit",
    shownBy: ["packages/domain/test/change.property.test.ts", "npm run faults -- O1"],
  },
  S21: {
    sentence: "Codes are unique, hold at least 128 random bits and are never used again.",
    from: ["rows"],
    leaves: "whether they are random: chi-square on 100,000 codes",
    shownBy: ["packages/domain/test/model/coupon-issue.test.ts"],
  },
  S22: {
    sentence: "No claim is accepted outside the event's window or while the event is paused.",
    from: ["rows"],
    leaves: "pauses, and the close in v2 and v3: the history has another clock than the door",
    shownBy: ["packages/domain/test/model/claim.test.ts", "npm run faults -- T2"],
  },
  S23: {
    sentence:
      "v3: guaranteed means that the ticket is below the limit, and that person ends with a coupon.",
    from: ["answers", "rows"],
    leaves: "which limit was known between two raises: an audit of the limit",
    shownBy: [
      "packages/domain/test/model/ticket.test.ts",
      "packages/infrastructure/test/kafka-queue/outage.test.ts",
    ],
  },
  S24: {
    sentence:
      "The event's counter, the number of its rows and their highest seq are equal, and no constraint of the schema ever has to refuse.",
    from: ["rows"],
    leaves: "only the end state is counted; silent constraints: an observer, the database's log",
    shownBy: ["packages/infrastructure/test/row-lock/issuer.test.ts"],
  },
  S25: {
    sentence: "An event and its stream show only what is committed, and never go back.",
    from: ["rows"],
    leaves: "only the stored last winning ticket is compared: the tests of the stream",
    shownBy: [
      "packages/domain/contracts/progress-feed.contract.ts",
      "packages/infrastructure/test/kafka-queue/door.test.ts",
    ],
  },
  S26: {
    sentence:
      "Of several changes with one If-Match at most one gets 200, and each 200 raises the version by 1.",
    from: [],
    leaves: "operators' requests are not in the history; the test that sends them counts the 200s",
    shownBy: ["packages/domain/contracts/event-store.contract.ts", "npm run faults -- O1"],
  },
  S27: {
    sentence: "v3: no second decides more tickets than the pace of the event.",
    from: [],
    leaves: "the end state does not say when the mark passed a ticket; an audit of the mark does",
    shownBy: ["packages/infrastructure/test/kafka-queue/pace.property.test.ts"],
  },
  L1: {
    sentence: "If enough persons get through, all coupons are rows within 10 s.",
    from: ["answers", "rows"],
    leaves: "how long it took: the test that healed the fault",
    shownBy: ["npm run faults"],
  },
  L2: {
    sentence: "Every 202 and every reservation gets a final answer within 10 s, longer at a pace.",
    from: ["answers", "rows", "log"],
    leaves: "how long it took: the test that healed the fault",
    shownBy: ["npm run faults"],
  },
  L3: {
    sentence:
      "After an engine is back, the first good claim comes within 2 s (Redis), 5 s (PostgreSQL) or 15 s (Kafka).",
    from: [],
    leaves: "the referee knows of no faults; the test that healed one takes the time",
    shownBy: ["npm run faults"],
  },
  L4: {
    sentence:
      "Nothing is stuck after 10 s: no lag, no reservation, no old transaction, an idle pool.",
    from: [],
    leaves:
      "sessions and pools are not in the run; pending reservations are S16, undecided tickets L2",
    shownBy: ["npm run faults"],
  },
  L5: {
    sentence: "Memory and descriptors are back within 10 % of where they were after 60 s.",
    from: [],
    leaves: "they are not in the run; the test that measured them says",
    shownBy: ["npm run faults"],
  },
  L6: {
    sentence:
      "Every stream gets the last frame within 10 s, or is closed and gets it on its return.",
    from: [],
    leaves: "streams are not in the history; the rush counts who saw the end",
    shownBy: ["npm run faults"],
  },
  L7: {
    sentence:
      "What is wrong with one event is noticed on no other: no claim there is refused, unknown or late.",
    from: [],
    leaves: "the referee knows of no faults; whoever broke an event looks at those beside it",
    shownBy: ["npm run simulate", "npm run faults"],
  },
  "500": {
    sentence: "No request is answered 500.",
    from: ["answers"],
    leaves: null,
    shownBy: ["proof/inputs/bad-input-generated.test.ts"],
  },
} as const satisfies Readonly<Record<string, Promised>>;

/** S1 to S27 and L1 to L7; and 500, which fails a run whatever else was right. */
type PromiseId = keyof typeof promises;

/** The promises that the referee can find broken. */
export type Invariant = {
  [Id in PromiseId]: (typeof promises)[Id]["from"] extends readonly [] ? never : Id;
}[PromiseId];
