import { randomBytes } from "node:crypto";

import { openConnections, targetOf, type Connection, type Target } from "./connection.ts";
import { runTrace, type Arrival, type CrowdPlan, type CrowdRun } from "./crowd.ts";
import { mechanisms, type Attempt, type Mechanism } from "./history.ts";
import { createEvent } from "./operator.ts";
import { settleQueue, stillQueued, type Settlement } from "./settle.ts";
import { uncleanOf } from "./statistics.ts";
import { judge, type Judge, type StoredSale, type Violation } from "./verdict.ts";
import { watch, within, type Watchers } from "./watchers.ts";

/** A server to sell at, and the way to its rows that does not lead through it. */
export type Shop = {
  readonly url: string;
  readonly adminToken: string;
  readonly readSale: (eventId: string) => Promise<StoredSale>;
};

/** Something that measures while the crowd is there; it must not take time from it. */
export type Meter = {
  /** When all connections stand, right before the first claim. */
  readonly begin: () => Promise<void>;
  /** When everybody's answer is final, before anything is asked or read afterwards. */
  readonly end: () => Promise<void>;
};

export type SalePlan = {
  readonly mechanism: Mechanism;
  readonly limit: number;
  /** v3 only: tickets decided per second. */
  readonly pace?: number | null;
  /** Who comes when; `run` makes names that no other run uses. */
  readonly arrivals: (run: string) => readonly Arrival[];
  readonly claimsPerPerson?: number;
  /** People who come first and buy everything; judged like the others, but not measured. */
  readonly earlierPeople?: number;
  /** People who watch the stream during the sale. */
  readonly streams: number;
  readonly deadlineMs: number;
  /** Who judges the sale; the rush's own referee where it is left out. */
  readonly judge?: Judge;
  readonly meter?: Meter;
};

/** A finished sale: what happened, and whether it was right. */
export type Sale = {
  readonly eventId: string;
  readonly crowd: CrowdRun;
  /** Every request of everybody: earlier people, claims, and what was asked afterwards. */
  readonly attempts: readonly Attempt[];
  /** When everyone could know their final answer, on the monotonic clock; null: not in time. */
  readonly finalMs: number | null;
  readonly stored: StoredSale;
  /** What must never be; any of them makes the run void. */
  readonly violations: readonly Violation[];
  /** What kept the run from being clean although nothing said was wrong. */
  readonly unclean: readonly string[];
};

/** What a caller may still look at while the streams are open. */
type Watched = (sale: Sale, watchers: Watchers | null) => Promise<void>;

/** How long after the last answer of the earlier people the last coupon may take to be decided. */
const soldOutMsMax = 60_000;

/** Creates an event, lets the crowd in, waits for the end, reads the rows and judges. */
export async function runSale(
  shop: Shop,
  plan: SalePlan,
  progress: (text: string) => void = () => {},
  watched: Watched = async () => {},
): Promise<Sale> {
  const { mechanism, limit, pace = null, deadlineMs } = plan;
  const target = await targetOf(shop.url);
  const run = randomBytes(4).toString("hex");
  const eventId = `rush-${mechanisms[mechanism].version}-${run}`;
  await createEvent(shop, { id: eventId, mechanism, limit, ...(pace === null ? {} : { pace }) });
  let watchers: Watchers | null = null;
  let connections: Connection[] = [];
  try {
    // v3's end shows on the stream, so one watcher is there in any case.
    const streams = Math.max(plan.streams, mechanism === "kafka-queue" ? 1 : 0);
    if (streams > 0) watchers = await watch(target, eventId, streams);
    const earlier = await sellOut(plan, { target, eventId, run, watchers });
    const arrivals = plan.arrivals(run);
    connections = await openConnections(target, arrivals.length, (opened) => {
      progress(`${mechanism}: ${opened} of ${arrivals.length} connections open`);
    });
    const { claimsPerPerson = 1 } = plan;
    const asked = { target, eventId, mechanism, connections, arrivals, deadlineMs };
    const crowd = { ...asked, claimsPerPerson, firstId: earlier.length };
    await plan.meter?.begin();
    const ran = await runTrace(crowd);
    progress(`${mechanism}: the answers are in; reading the rows`);
    const settled = await settle(plan, { crowd, claims: [...earlier, ...ran.claims], watchers });
    const stored = await shop.readSale(eventId);
    const sale = await saleOf(plan, { eventId, earlier, ran, settled, stored });
    await watched(sale, watchers);
    return sale;
  } finally {
    watchers?.close();
    for (const connection of connections) connection.close();
  }
}

/** The crowd before the crowd: it buys everything, and the last coupon is decided when this resolves. */
async function sellOut(
  plan: SalePlan,
  sale: { target: Target; eventId: string; run: string; watchers: Watchers | null },
): Promise<readonly Attempt[]> {
  const { mechanism, earlierPeople = 0, deadlineMs } = plan;
  if (earlierPeople === 0) return [];
  const { target, eventId, watchers } = sale;
  const connections = await openConnections(target, earlierPeople);
  try {
    const arrivals = peopleAtOnce(`e${sale.run}`, earlierPeople);
    const crowd = { target, eventId, mechanism, connections, arrivals, deadlineMs };
    const { claims } = await runTrace(crowd);
    if (watchers !== null) {
      const soldOut = (): boolean =>
        watchers.firstSeenMs(({ state }) => state === "sold-out") !== null;
      if (!(await within(soldOutMsMax, soldOut))) {
        throw new Error(
          `Event ${eventId} was not sold out ${soldOutMsMax / 1_000} s after ${earlierPeople} people ` +
            "had claimed: look at the decider in the server's log.",
        );
      }
    }
    return claims;
  } finally {
    for (const connection of connections) connection.close();
  }
}

async function settle(
  plan: SalePlan,
  {
    crowd,
    claims,
    watchers,
  }: { crowd: CrowdPlan; claims: readonly Attempt[]; watchers: Watchers | null },
): Promise<Settlement | null> {
  const end = async (): Promise<void> => plan.meter?.end();
  if (plan.mechanism === "kafka-queue" && watchers !== null) {
    return settleQueue(crowd, claims, watchers, end);
  }
  await end();
  return null;
}

async function saleOf(
  plan: SalePlan,
  run: {
    eventId: string;
    earlier: readonly Attempt[];
    ran: CrowdRun;
    settled: Settlement | null;
    stored: StoredSale;
  },
): Promise<Sale> {
  const { mechanism, limit } = plan;
  const { eventId, ran, settled, stored } = run;
  const statuses = settled?.statuses ?? [];
  const attempts = [...run.earlier, ...ran.claims, ...statuses];
  const finalMs = settled === null ? lastAnswerMs(ran.claims) : settled.finalMs;
  const unclean = uncleanOf(attempts);
  if (settled !== null && finalMs === null) {
    unclean.push(`the queue was not decided within ${plan.deadlineMs / 1_000} s`);
  }
  const queued = stillQueued(statuses);
  if (queued > 0) unclean.push(`${queued} people are still told "queued" after the end`);
  const violations = await (plan.judge ?? judge)({ mechanism, limit, attempts, sale: stored });
  return { eventId, crowd: ran, attempts, finalMs, stored, violations, unclean };
}

/** Without a queue every answer is final; somebody without one still waits. */
function lastAnswerMs(claims: readonly Attempt[]): number | null {
  if (claims.some(({ status }) => status === null)) return null;
  return claims.reduce((last, { returnedMs }) => Math.max(last, returnedMs), 0);
}

/** Everybody at time 0, with names that no other run uses. */
export function peopleAtOnce(run: string, users: number): readonly Arrival[] {
  return Array.from({ length: users }, (_, index) => ({ person: nameOf(run, index), atMs: 0 }));
}

/** The name of the n-th person of a run, counted from 0. */
export function nameOf(run: string, index: number): string {
  return `p-${run}-${String(index + 1).padStart(5, "0")}`;
}
