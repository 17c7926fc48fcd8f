import type { Connection, Exchange, Target } from "./connection.ts";
import { attemptOf, mechanisms, type Attempt, type Mechanism } from "./history.ts";

/** One person's claim at its intended time, counted from the start of the run. */
export type Arrival = { readonly person: string; readonly atMs: number };

/**
 * Who comes when. The n-th arrival uses the n-th connection, which is open already; arrivals are
 * in order of time. In a rush every `atMs` is 0; a steady load spreads them.
 */
export type CrowdPlan = {
  readonly target: Target;
  readonly eventId: string;
  readonly mechanism: Mechanism | "ceiling";
  readonly connections: readonly Connection[];
  readonly arrivals: readonly Arrival[];
  /** How long after the start an answer may come; what has none by then is unknown. */
  readonly deadlineMs: number;
};

/** Sends every claim at its time and waits for all answers or the deadline. */
export async function runCrowd(plan: CrowdPlan): Promise<Attempt[]> {
  const { arrivals, connections } = plan;
  if (arrivals.length > connections.length) {
    throw new Error(
      `${arrivals.length} arrivals need as many connections, not ${connections.length}.`,
    );
  }
  const path = claimPath(plan.mechanism, plan.eventId);
  // Encoded beforehand: between two writes of the rush there shall be nothing but a write.
  const requests = arrivals.map(({ person }) => claimRequest(plan.target, path, person));
  const exchanges = await exchangeAll(plan, requests);
  const instance = plan.target.authority;
  const { eventId, mechanism } = plan;
  return exchanges.map((exchange, id) => {
    const person = arrivals[id]?.person ?? "";
    const kind = "claim" as const;
    const asked = { id, kind, person, eventId, mechanism, attempt: 1, instance, ticketAsked: null };
    return attemptOf(asked, exchange);
  });
}

/** The path that an event of this mechanism takes claims on. */
export function claimPath(mechanism: Mechanism | "ceiling", eventId: string): string {
  const version = mechanism === "ceiling" ? "v1" : mechanisms[mechanism].version;
  return `/${version}/events/${eventId}/issues`;
}

function claimRequest(target: Target, path: string, person: string): Buffer {
  return Buffer.from(
    `POST ${path} HTTP/1.1\r\nHost: ${target.authority}\r\nX-User-Id: ${person}\r\nContent-Length: 0\r\n\r\n`,
  );
}

function exchangeAll(plan: CrowdPlan, requests: readonly Buffer[]): Promise<Exchange[]> {
  const { arrivals, connections, deadlineMs } = plan;
  const exchanges = Array.from<Exchange>({ length: arrivals.length });
  return new Promise((resolve) => {
    const startMs = performance.now();
    let missing = arrivals.length;
    let next = 0;
    let timer: NodeJS.Timeout | undefined;
    const deadline = setTimeout(() => {
      for (const connection of connections) connection.giveUp();
    }, deadlineMs);
    const sendDue = (): void => {
      for (;;) {
        const arrival = arrivals[next];
        const request = requests[next];
        const connection = connections[next];
        if (arrival === undefined || request === undefined || connection === undefined) return;
        const waitMs = arrival.atMs - (performance.now() - startMs);
        if (waitMs > 0) {
          timer = setTimeout(sendDue, waitMs);
          return;
        }
        const index = next++;
        connection.send(request, (exchange) => {
          exchanges[index] = exchange;
          if (--missing > 0) return;
          clearTimeout(deadline);
          clearTimeout(timer);
          resolve(exchanges);
        });
      }
    };
    sendDue();
    if (arrivals.length === 0) {
      clearTimeout(deadline);
      resolve(exchanges);
    }
  });
}
