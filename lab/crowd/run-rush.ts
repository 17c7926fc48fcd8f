import { randomBytes } from "node:crypto";

import { openConnections, targetOf, type Connection } from "./connection.ts";
import { runCrowd, type CrowdPlan } from "./crowd.ts";
import { mechanisms, type Attempt, type Mechanism } from "./history.ts";
import { createEvent } from "./operator.ts";
import { isDecided, settleQueue, stillQueued, type Settlement } from "./settle.ts";
import { figuresOf, uncleanOf, type Figures } from "./statistics.ts";
import { readStoredSale } from "./stored-sale.ts";
import { judge, type StoredSale, type Violation } from "./verdict.ts";
import { watch, within, type Frame, type Watchers } from "./watchers.ts";

/** A server to rush, and the way to its rows that does not lead through it. */
export type Shop = {
  readonly url: string;
  readonly adminToken: string;
  readonly readSale: (eventId: string) => Promise<StoredSale>;
};

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

/** Creates an event, lets the crowd in, waits for the end, reads the rows and judges. */
export async function runRush(
  shop: Shop,
  plan: RushPlan,
  progress: (text: string) => void = () => {},
): Promise<RushResult> {
  const { mechanism, users, limit } = plan;
  const target = await targetOf(shop.url);
  const run = randomBytes(4).toString("hex");
  const eventId = `rush-${mechanisms[mechanism].version}-${run}`;
  await createEvent(shop, { id: eventId, mechanism, limit });
  let watchers: Watchers | null = null;
  let connections: Connection[] = [];
  try {
    // v3's end shows on the stream, so one watcher is there in any case.
    const streams = Math.max(plan.streams, mechanism === "kafka-queue" ? 1 : 0);
    if (streams > 0) watchers = await watch(target, eventId, streams);
    connections = await openConnections(target, users, (opened) => {
      progress(`${mechanism}: ${opened} of ${users} connections open`);
    });
    const arrivals = peopleAtOnce(run, users);
    const { deadlineMs } = plan;
    const crowd = { target, eventId, mechanism, connections, arrivals, deadlineMs };
    const claims = await runCrowd(crowd);
    progress(`${mechanism}: the answers are in; reading the rows`);
    const settled = await settle(crowd, claims, watchers);
    const sale = await shop.readSale(eventId);
    const seen = await lastFrame(plan, { claims, sale, watchers });
    return resultOf({ plan, eventId, claims, settled, sale, seen });
  } finally {
    watchers?.close();
    for (const connection of connections) connection.close();
  }
}

/** Everybody at time 0, with names that no other run uses. */
export function peopleAtOnce(run: string, users: number): CrowdPlan["arrivals"] {
  return Array.from({ length: users }, (_, index) => ({
    person: `p-${run}-${String(index + 1).padStart(5, "0")}`,
    atMs: 0,
  }));
}

async function settle(
  crowd: CrowdPlan,
  claims: readonly Attempt[],
  watchers: Watchers | null,
): Promise<Settlement | null> {
  if (crowd.mechanism !== "kafka-queue" || watchers === null) return null;
  return settleQueue(crowd, claims, watchers);
}

/** Waits until all watchers have the sale's end, and counts them. */
async function lastFrame(
  plan: RushPlan,
  end: { claims: readonly Attempt[]; sale: StoredSale; watchers: Watchers | null },
): Promise<RushResult["watchers"]> {
  const { watchers, claims, sale } = end;
  if (watchers === null || plan.streams === 0) return null;
  const highest = Math.max(-1, ...claims.map(({ ticket }) => ticket ?? -1));
  const isEnd = (frame: Frame): boolean => {
    if (frame.issued !== sale.rows.length) return false;
    if (frame.state === "sold-out") return true;
    return frame.decided === null ? sale.rows.length < plan.limit : isDecided(frame, highest);
  };
  await within(lastFrameMsMax, () => watchers.count(isEnd) === plan.streams);
  const sawEnd = watchers.count(isEnd);
  return { streams: plan.streams, sawEnd, reconnects: watchers.reconnects() };
}

function resultOf(run: {
  plan: RushPlan;
  eventId: string;
  claims: readonly Attempt[];
  settled: Settlement | null;
  sale: StoredSale;
  seen: RushResult["watchers"];
}): RushResult {
  const { plan, eventId, claims, settled, sale, seen } = run;
  const { mechanism, users, limit } = plan;
  const attempts = [...claims, ...(settled?.statuses ?? [])];
  const firstMs = claims.reduce((first, { sentMs }) => Math.min(first, sentMs), Infinity);
  const finalMs = settled?.finalMs ?? null;
  const unclean = uncleanOf(attempts);
  if (settled !== null && finalMs === null) {
    unclean.push(`the queue was not decided within ${plan.deadlineMs / 1_000} s`);
  }
  const queued = stillQueued(settled?.statuses ?? []);
  if (queued > 0) unclean.push(`${queued} people are still told "queued" after the end`);
  if (seen !== null && seen.sawEnd < seen.streams) {
    unclean.push(`${seen.streams - seen.sawEnd} of ${seen.streams} watchers did not see the end`);
  }
  return {
    mechanism,
    eventId,
    users,
    limit,
    figures: figuresOf(claims),
    finalAfterMs: finalMs === null ? null : finalMs - firstMs,
    issuedRows: sale.rows.length,
    watchers: seen,
    violations: judge({ mechanism, limit, attempts, sale }),
    unclean,
    attempts,
  };
}
