import { randomBytes } from "node:crypto";

import { openConnections, targetOf, type Connection } from "./connection.ts";
import { runTrace, type Arrival, type CrowdPlan, type CrowdRun } from "./crowd.ts";
import type { Attempt } from "./history.ts";
import { createEvent, releaseQueue } from "./operator.ts";
import { isDecided, settleQueue, stillQueued, type Settlement } from "./settle.ts";
import { oddAnswers } from "./statistics.ts";
import { judge, type Judge, type StoredSale, type Violation } from "./verdict.ts";
import { watch, within, type Frame, type Watchers } from "./watchers.ts";

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
  /** By its name. */
  readonly mechanism: string;
  readonly limit: number;
  /**
   * A queue's tickets per second. With 0 the line rests until everybody has an answer, and is let go
   * then: so the server is seen without the work of deciding.
   */
  readonly pace?: number | null;
  /** Who comes when; `run` makes names that no other run uses. */
  readonly arrivals: (run: string) => readonly Arrival[];
  readonly claimsPerPerson?: number;
  /** People who come first and buy everything; judged like the others, but not measured. */
  readonly earlierPeople?: number;
  /** People who watch the stream during the sale; one does in any case. */
  readonly streams: number;
  readonly deadlineMs: number;
  /** Who judges the sale; the project's own referee where it is left out. */
  readonly judge?: Judge;
  readonly meter?: Meter;
};

/** The people who were to watch, and what they saw. */
export type Watching = {
  readonly streams: number;
  readonly sawEnd: number;
  readonly reconnects: number;
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
  /** Null where nobody was to watch. */
  readonly watching: Watching | null;
  /** What must never be; any of them makes the run wrong. */
  readonly violations: readonly Violation[];
  /** What makes the run void although nothing said was wrong. */
  readonly voidReasons: readonly string[];
};

/** How long after the last answer of the earlier people the last coupon may take to be decided. */
const soldOutMsMax = 60_000;
/** The slowest line that an operator may ask for: for the moment of a crowd it is as good as at rest. */
const slowestPace = 1;
/** How long after the last answer the last frame may come. */
const lastFrameMsMax = 10_000;

/** Creates an event, lets the crowd in, waits for the end, reads the rows and judges. */
export async function runSale(
  shop: Shop,
  plan: SalePlan,
  progress: (text: string) => void = () => {},
): Promise<Sale> {
  const { mechanism, limit, pace = null, deadlineMs } = plan;
  const target = await targetOf(shop.url);
  const run = randomBytes(4).toString("hex");
  const eventId = `crowd-${mechanism}-${run}`;
  const paced = pace === null ? {} : { pace: Math.max(pace, slowestPace) };
  const wanted = { id: eventId, mechanism, limit, ...paced };
  const claimPath = await createEvent(shop, wanted);
  let watchers: Watchers | null = null;
  let connections: Connection[] = [];
  try {
    // A queue's end shows on the stream alone, and whether it is a queue does too.
    watchers = await watch(target, eventId, Math.max(plan.streams, 1));
    const place = { target, eventId, mechanism, claimPath, deadlineMs };
    const earlier = await sellOut(plan, { place, run, watchers });
    const arrivals = plan.arrivals(run);
    connections = await openConnections(target, arrivals.length, (opened) => {
      progress(`${mechanism}: ${opened} of ${arrivals.length} connections open`);
    });
    const { claimsPerPerson = 1 } = plan;
    const crowd = { ...place, connections, arrivals, claimsPerPerson, firstId: earlier.length };
    await plan.meter?.begin();
    const ran = await runTrace(crowd);
    const claims = [...earlier, ...ran.claims];
    const settled = await settle(plan, { shop, crowd, claims, watchers });
    progress(`${mechanism}: everybody is answered; reading the rows`);
    const stored = await shop.readSale(eventId);
    const watching = await lastFrame(plan, { claims, watchers, stored });
    return await saleOf(plan, { eventId, earlier, ran, settled, stored, watching });
  } finally {
    watchers?.close();
    for (const connection of connections) connection.close();
  }
}

/** Where a crowd claims. */
type Place = Pick<CrowdPlan, "target" | "eventId" | "mechanism" | "claimPath" | "deadlineMs">;

/** The crowd before the crowd: it buys everything, and the last coupon is decided when this resolves. */
async function sellOut(
  { earlierPeople = 0 }: SalePlan,
  sale: { place: Place; run: string; watchers: Watchers },
): Promise<readonly Attempt[]> {
  if (earlierPeople === 0) return [];
  const { place, watchers } = sale;
  const connections = await openConnections(place.target, earlierPeople);
  try {
    const arrivals = peopleAtOnce(`e${sale.run}`, earlierPeople);
    const { claims } = await runTrace({ ...place, connections, arrivals });
    const soldOut = (): boolean =>
      watchers.firstSeenMs(({ state }) => state === "sold-out") !== null;
    if (!(await within(soldOutMsMax, soldOut))) {
      throw new Error(
        `Event ${place.eventId} was not sold out ${soldOutMsMax / 1_000} s after ${earlierPeople} ` +
          "people had claimed: look at the server's log.",
      );
    }
    return claims;
  } finally {
    for (const connection of connections) connection.close();
  }
}

type Claimed = { readonly claims: readonly Attempt[]; readonly watchers: Watchers };

async function settle(
  plan: SalePlan,
  { shop, crowd, claims, watchers }: Claimed & { readonly shop: Shop; readonly crowd: CrowdPlan },
): Promise<Settlement | null> {
  const end = async (): Promise<void> => plan.meter?.end();
  // Only a queue has a mark of what is decided.
  if (watchers.newest()?.decided === null) {
    await end();
    return null;
  }
  if (plan.pace !== 0) return settleQueue(crowd, claims, watchers, end);
  await end();
  await releaseQueue(shop, crowd.eventId);
  return settleQueue(crowd, claims, watchers);
}

/** Waits until all who were to watch have the sale's end, and counts them. */
async function lastFrame(
  { streams, limit, deadlineMs }: SalePlan,
  { claims, watchers, stored }: Claimed & { readonly stored: StoredSale },
): Promise<Watching | null> {
  if (streams === 0) return null;
  const highest = claims.reduce((most, { ticket }) => Math.max(most, ticket ?? -1), -1);
  const isEnd = (frame: Frame): boolean => {
    if (frame.issued !== stored.rows.length) return false;
    if (frame.state === "sold-out") return true;
    return frame.decided === null ? stored.rows.length < limit : isDecided(frame, highest);
  };
  await within(Math.min(lastFrameMsMax, deadlineMs), () => watchers.count(isEnd) === streams);
  return { streams, sawEnd: watchers.count(isEnd), reconnects: watchers.reconnects() };
}

async function saleOf(
  plan: SalePlan,
  run: Pick<Sale, "eventId" | "stored" | "watching"> & {
    readonly earlier: readonly Attempt[];
    readonly ran: CrowdRun;
    readonly settled: Settlement | null;
  },
): Promise<Sale> {
  const { mechanism, limit } = plan;
  const { eventId, ran, settled, stored, watching } = run;
  const statuses = settled?.statuses ?? [];
  const attempts = [...run.earlier, ...ran.claims, ...statuses];
  const finalMs = settled === null ? lastAnswerMs(ran.claims) : settled.finalMs;
  const voidReasons = oddAnswers(attempts);
  if (settled !== null && finalMs === null) {
    voidReasons.push(`the queue was not decided within ${plan.deadlineMs / 1_000} s`);
  }
  const queued = stillQueued(statuses);
  if (queued > 0) voidReasons.push(`${queued} people are still told "queued" after the end`);
  if (watching !== null && watching.sawEnd < watching.streams) {
    const blind = watching.streams - watching.sawEnd;
    voidReasons.push(`${blind} of ${watching.streams} watchers did not see the end`);
  }
  const violations = await (plan.judge ?? judge)({ mechanism, limit, attempts, sale: stored });
  return { eventId, crowd: ran, attempts, finalMs, stored, watching, violations, voidReasons };
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
