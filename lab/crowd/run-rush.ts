import type { Attempt, Mechanism } from "./history.ts";
import { peopleAtOnce, runSale, type Sale, type Shop } from "./run-sale.ts";
import { isDecided } from "./settle.ts";
import { figuresOf, type Figures } from "./statistics.ts";
import { readStoredSale } from "./stored-sale.ts";
import type { StoredSale, Violation } from "./verdict.ts";
import { within, type Frame, type Watchers } from "./watchers.ts";

export type RushPlan = {
  readonly mechanism: Mechanism;
  readonly users: number;
  readonly limit: number;
  /** People who watch the stream during the sale. */
  readonly streams: number;
  readonly deadlineMs: number;
};

/** One crowd on one fresh event: what was measured, and whether it was right. */
export type RushResult = {
  readonly mechanism: Mechanism;
  readonly eventId: string;
  readonly users: number;
  readonly limit: number;
  readonly figures: Figures;
  /** v3: from the first sending until everyone could know their final answer. */
  readonly finalAfterMs: number | null;
  /** Coupon issues counted by SQL. */
  readonly issuedRows: number;
  readonly watchers: {
    readonly streams: number;
    readonly sawEnd: number;
    readonly reconnects: number;
  } | null;
  /** What must never be; any of them makes the run void. */
  readonly violations: readonly Violation[];
  /** What kept the run from being clean although nothing said was wrong. */
  readonly unclean: readonly string[];
  readonly attempts: readonly Attempt[];
  readonly stored: StoredSale;
};

/** How long after the last answer the last frame may come. */
const lastFrameMsMax = 10_000;
export const deadlineMsDefault = 60_000;

/** A rush against a running server; what a test needs. */
export function rush(options: {
  readonly url: string;
  readonly adminToken: string;
  readonly databaseUrl: string;
  readonly mechanism: Mechanism;
  readonly users: number;
  readonly limit: number;
  readonly streams?: number;
  readonly deadlineMs?: number;
}): Promise<RushResult> {
  const { url, adminToken, databaseUrl } = options;
  const readSale = (eventId: string): Promise<StoredSale> => readStoredSale(databaseUrl, eventId);
  const { mechanism, users, limit, streams = 0, deadlineMs = deadlineMsDefault } = options;
  return runRush({ url, adminToken, readSale }, { mechanism, users, limit, streams, deadlineMs });
}

/** A sale with everybody at one instant. */
export async function runRush(
  shop: Shop,
  plan: RushPlan,
  progress: (text: string) => void = () => {},
): Promise<RushResult> {
  const arrivals = (run: string): ReturnType<typeof peopleAtOnce> => peopleAtOnce(run, plan.users);
  let seen: RushResult["watchers"] = null;
  const sale = await runSale(shop, { ...plan, arrivals }, progress, async (sale, watchers) => {
    seen = await lastFrame(plan, sale, watchers);
  });
  return resultOf(plan, sale, seen);
}

/** Waits until all watchers have the sale's end, and counts them. */
async function lastFrame(
  plan: RushPlan,
  { crowd, stored }: Sale,
  watchers: Watchers | null,
): Promise<RushResult["watchers"]> {
  if (watchers === null || plan.streams === 0) return null;
  const highest = Math.max(-1, ...crowd.claims.map(({ ticket }) => ticket ?? -1));
  const isEnd = (frame: Frame): boolean => {
    if (frame.issued !== stored.rows.length) return false;
    if (frame.state === "sold-out") return true;
    return frame.decided === null ? stored.rows.length < plan.limit : isDecided(frame, highest);
  };
  await within(lastFrameMsMax, () => watchers.count(isEnd) === plan.streams);
  const sawEnd = watchers.count(isEnd);
  return { streams: plan.streams, sawEnd, reconnects: watchers.reconnects() };
}

function resultOf(plan: RushPlan, sale: Sale, seen: RushResult["watchers"]): RushResult {
  const { mechanism, users, limit } = plan;
  const { eventId, crowd, finalMs, stored, violations, attempts } = sale;
  const firstMs = crowd.claims.reduce((first, { sentMs }) => Math.min(first, sentMs), Infinity);
  const unclean = [...sale.unclean];
  if (seen !== null && seen.sawEnd < seen.streams) {
    unclean.push(`${seen.streams - seen.sawEnd} of ${seen.streams} watchers did not see the end`);
  }
  return {
    mechanism,
    eventId,
    users,
    limit,
    figures: figuresOf(crowd.claims),
    // In v1 and v2 every answer is final, and the last of them is a figure already.
    finalAfterMs: mechanism === "kafka-queue" && finalMs !== null ? finalMs - firstMs : null,
    issuedRows: stored.rows.length,
    watchers: seen,
    violations,
    unclean,
    attempts,
    stored,
  };
}
