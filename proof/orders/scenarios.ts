// Which transactions meet in every order, and the mistakes that some orders must show. A mechanism
// that writes rows adds its scripts here.
import {
  batch,
  claim,
  create,
  decide,
  group,
  halt,
  pause,
  raise,
  reopen,
} from "./transaction-scripts.ts";
import type { Scenario } from "./transaction-scripts.ts";

const v1 = { mechanism: "row-lock" } as const;
const v2 = { mechanism: "redis-counter" } as const;
const v3 = { mechanism: "kafka-queue" } as const;
const v4 = { mechanism: "group-commit" } as const;

const deciding = decide({ takesOver: false });
const takingOver = decide({ takesOver: true });

const lastCoupon: Scenario = {
  ...v1,
  name: "two claims for the last coupon",
  limit: 1,
  scripts: [claim(1), claim(2)],
  right: ["issued", "sold-out"],
};
const twoBatches: Scenario = {
  ...v2,
  name: "two batches that share a person",
  limit: 2,
  scripts: [batch(1, 2), batch(2, 3)],
};
const twoReopenings: Scenario = {
  ...v2,
  name: "two reopenings",
  limit: 2,
  scripts: [reopen(), reopen()],
};
const oneDecisionTwice: Scenario = {
  ...v3,
  name: "one decision twice",
  limit: 2,
  scripts: [deciding, deciding],
};

export const pairs: readonly Scenario[] = [
  lastCoupon,
  {
    ...v1,
    name: "two claims for two coupons",
    limit: 2,
    scripts: [claim(1), claim(2)],
    right: ["issued", "issued"],
  },
  {
    ...v1,
    name: "two claims of one person",
    limit: 2,
    scripts: [claim(1), claim(1)],
    right: ["issued", "replayed"],
  },
  { ...v1, name: "a claim and a raise", limit: 1, scripts: [claim(1), raise] },
  { ...v1, name: "a claim and a pause", limit: 2, scripts: [claim(1), pause] },
  { ...v1, name: "two raises of one version", limit: 1, scripts: [raise, raise] },
  twoBatches,
  twoReopenings,
  { ...v2, name: "a batch and a reopening", limit: 2, scripts: [batch(1, 2), reopen()] },
  { ...v2, name: "a raise and a reopening", limit: 1, scripts: [raise, reopen()] },
  { ...v2, name: "a batch and a raise", limit: 1, scripts: [batch(1, 2), raise] },
  oneDecisionTwice,
  { ...v3, name: "a decision and a takeover", limit: 2, scripts: [deciding, takingOver] },
  { ...v3, name: "a decision and a raise", limit: 1, scripts: [deciding, raise] },
  { ...v3, name: "a decision and a halt", limit: 2, scripts: [deciding, halt()] },
  { ...v3, name: "two takeovers", limit: 2, scripts: [takingOver, takingOver] },
  { ...v3, name: "a halt and a raise", limit: 1, scripts: [halt(), raise] },
  {
    ...v3,
    name: "two new events of one id",
    limit: 2,
    isNew: true,
    scripts: [create("one"), create("other")],
  },
  { ...v4, name: "two groups that share a person", limit: 2, scripts: [group(1, 2), group(2, 3)] },
  { ...v4, name: "a group and a pause", limit: 2, scripts: [group(1, 2), pause] },
];

export const threes: readonly Scenario[] = [
  {
    ...v1,
    name: "three claims for two coupons",
    limit: 2,
    scripts: [claim(1), claim(2), claim(3)],
    right: ["issued", "issued", "sold-out"],
  },
  { ...v1, name: "two claims and a raise", limit: 1, scripts: [claim(1), claim(2), raise] },
  { ...v2, name: "two batches and a raise", limit: 1, scripts: [batch(1, 2), batch(2, 3), raise] },
  {
    ...v2,
    name: "two reopenings and a batch",
    limit: 2,
    scripts: [reopen(), reopen(), batch(1, 2)],
  },
  {
    ...v3,
    name: "a decision, a takeover and a raise",
    limit: 1,
    scripts: [deciding, takingOver, raise],
  },
];

export type Mistake = {
  readonly scenario: Scenario;
  readonly bug: string;
  /** Makes it in the texts of the statements. */
  readonly rewrite: (text: string) => string;
  /** One transaction after the other is right even so. */
  readonly rightOneByOne: boolean;
};

const unlocked = {
  bug: "B1, a lock that is dropped,",
  rewrite: (text: string) => text.replace("FOR UPDATE", ""),
  rightOneByOne: true,
};

const countedWhileLocking =
  "(SELECT count(*)::integer FROM coupon_issues i WHERE i.event_id = e.id) AS issued";

/** The harness is code under test: it has to find each of them in some orders. */
export const mistakes: readonly Mistake[] = [
  { scenario: lastCoupon, ...unlocked },
  { scenario: twoBatches, ...unlocked },
  { scenario: oneDecisionTwice, ...unlocked },
  {
    scenario: lastCoupon,
    bug: "B2, a count in the statement that locks,",
    rewrite: (text) =>
      text.includes("FOR UPDATE") ? text.replace("e.issued", countedWhileLocking) : text,
    rightOneByOne: true,
  },
  {
    scenario: twoReopenings,
    bug: "B16, a generation that is not compared,",
    rewrite: (text) => text.replace("WHERE g.generation = $3", "WHERE $3 IS NULL"),
    rightOneByOne: false,
  },
];
