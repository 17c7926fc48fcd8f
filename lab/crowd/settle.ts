import { setTimeout as delay } from "node:timers/promises";

import {
  exchange,
  getRequest,
  openConnection,
  type Connection,
  type Target,
} from "./connection.ts";
import type { CrowdPlan } from "./crowd.ts";
import { attemptOf, type Attempt } from "./history.ts";
import { within, type Frame, type Watchers } from "./watchers.ts";

/** What became of a queue. */
export type Settlement = {
  /** When everyone could know their final answer, on the monotonic clock; null: not in time. */
  readonly finalMs: number | null;
  /** What people were told who asked afterwards. */
  readonly statuses: readonly Attempt[];
};

const beyondLastWinner = 100;
const othersAsked = 200;
const askersMax = 50;
const askAgainMs = 100;
/** A final answer is there at most this long after the mark passed a ticket. */
const finalMsMax = 10_000;

/**
 * Waits until the stream's mark has passed every ticket, then asks for the people around the last
 * coupon and for some of the others, so that "issued" and "sold out" of v3 can be judged too.
 */
export async function settleQueue(
  plan: CrowdPlan,
  claims: readonly Attempt[],
  watchers: Watchers,
  /** Called once when everyone's answer is final, or too late to be: asking comes after it. */
  onDecided: () => Promise<void> = async () => {},
): Promise<Settlement> {
  const queued = claims.filter(({ ticket }) => ticket !== null);
  queued.sort((a, b) => Number(a.ticket) - Number(b.ticket));
  const highest = queued.at(-1)?.ticket ?? -1;
  const isFinal = (frame: Frame): boolean => isDecided(frame, highest);
  const lastAnswerMs = Math.max(...claims.map(({ returnedMs }) => returnedMs));
  await within(plan.deadlineMs, () => watchers.firstSeenMs(isFinal) !== null);
  const seenMs = watchers.firstSeenMs(isFinal);
  await onDecided();
  // Where the end did not come, asking once tells how far it is; otherwise answers may lag a little.
  const patienceMs = seenMs === null ? 0 : finalMsMax;
  const people = peopleToAsk(claims, queued, watchers.newest());
  const statuses = await askAll(plan, { people, patienceMs, firstId: claims.length });
  return { finalMs: seenMs === null ? null : Math.max(seenMs, lastAnswerMs), statuses };
}

/** Whether a frame gives everyone up to this ticket a final answer. */
export function isDecided(frame: Frame, highestTicket: number): boolean {
  if (frame.state === "sold-out" && frame.lastWinningTicket !== null) return true;
  return frame.decided !== null && frame.decided > highestTicket;
}

function peopleToAsk(
  claims: readonly Attempt[],
  queued: readonly Attempt[],
  frame: Frame | null,
): Attempt[] {
  const last = (frame?.lastWinningTicket ?? Infinity) + beyondLastWinner;
  const near = queued.filter(({ ticket }) => Number(ticket) <= last);
  const far = queued.filter(({ ticket }) => Number(ticket) > last);
  const step = Math.max(1, Math.floor(far.length / othersAsked));
  const sample = far.filter((_, index) => index % step === 0).slice(0, othersAsked);
  return [...near, ...sample, ...claims.filter(({ outcome }) => outcome === "unknown")];
}

async function askAll(
  plan: CrowdPlan,
  asking: {
    readonly people: readonly Attempt[];
    readonly patienceMs: number;
    readonly firstId: number;
  },
): Promise<Attempt[]> {
  const { people, patienceMs, firstId } = asking;
  const statuses: Attempt[] = [];
  const waiting = [...people];
  const endMs = performance.now() + patienceMs;
  let nextId = firstId;
  const open = plan.connections.filter((connection) => connection.isOpen());
  const asker = async (index: number): Promise<void> => {
    let connection = open[index] ?? (await openConnection(plan.target));
    for (let claim = waiting.shift(); claim !== undefined; claim = waiting.shift()) {
      if (!connection.isOpen()) connection = await openConnection(plan.target);
      const status = await askOne({
        plan,
        connection,
        claim,
        id: nextId++,
      });
      statuses.push(status);
      // Still in line although the mark has passed: asked again, behind the others, up to the end.
      if (status.outcome === "queued" && performance.now() < endMs) {
        waiting.push(claim);
        await delay(askAgainMs);
      }
    }
    connection.close();
  };
  await Promise.all(Array.from({ length: Math.min(askersMax, people.length) }, (_, i) => asker(i)));
  return statuses;
}

type Question = {
  readonly plan: CrowdPlan;
  readonly connection: Connection;
  readonly claim: Attempt;
  readonly id: number;
};

async function askOne({ plan, connection, claim, id }: Question): Promise<Attempt> {
  const { person, eventId, mechanism, instance, ticket } = claim;
  const timer = setTimeout(connection.giveUp, finalMsMax);
  const answer = await exchange(connection, statusRequest(plan.target, claim));
  clearTimeout(timer);
  const kind = "status" as const;
  const asked = { id, kind, person, eventId, mechanism, attempt: 1, instance, ticketAsked: ticket };
  return attemptOf(asked, answer);
}

/** The question what became of somebody's claim, as bytes. */
export function statusRequest(
  target: Target,
  { eventId, person, ticket }: Pick<Attempt, "eventId" | "person" | "ticket">,
): Buffer {
  const query = ticket === null ? "" : `?ticket=${ticket}`;
  return getRequest(target, `/events/${eventId}/issues/me${query}`, [`X-User-Id: ${person}`]);
}

/** How many people's last answer was still "queued". */
export function stillQueued(statuses: readonly Attempt[]): number {
  const last = new Map(statuses.map(({ person, outcome }) => [person, outcome]));
  return [...last.values()].filter((outcome) => outcome === "queued").length;
}
