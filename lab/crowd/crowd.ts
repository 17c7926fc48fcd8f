import type { Connection, Exchange, Target } from "./connection.ts";
import { attemptOf, type Asked, type Attempt } from "./history.ts";

/** One person's claim at its intended time, counted from the start of the run. */
export type Arrival = { readonly person: string; readonly atMs: number };

/** What is sent, and what an answer to it means. */
export type Protocol = {
  readonly request: (person: string) => Buffer;
  readonly read: (asked: Asked, exchange: Exchange) => Attempt;
};

/**
 * Who comes when. The n-th arrival uses the n-th connection, which is open already; arrivals are
 * in order of time. In a rush every `atMs` is 0; a steady load spreads them.
 */
export type CrowdPlan = {
  readonly target: Target;
  readonly eventId: string;
  readonly mechanism: string;
  /** Where claims of this event go, as the event tells it. */
  readonly claimPath: string;
  readonly connections: readonly Connection[];
  readonly arrivals: readonly Arrival[];
  /** How long after the start an answer may come; what has none by then is unknown. */
  readonly deadlineMs: number;
  /**
   * Claims of each person, 1 where it is left out. The next one goes out as soon as the one before
   * is answered, on the same connection: a person who does not let go of the button.
   */
  readonly claimsPerPerson?: number;
  /** The first attempt's id, 0 where it is left out: a run of two crowds has one history. */
  readonly firstId?: number;
  /** Where it is left out, this project's own contract is spoken. */
  readonly protocol?: Protocol;
};

/** What a crowd did, and how hard its own process had to work for that. */
export type CrowdRun = {
  /** All first claims in order of arrival, then all second ones, and so on. */
  readonly claims: readonly Attempt[];
  /**
   * When each of `claims` should have been sent, on the clock of `sentMs`: an arrival's own time,
   * for a repeated claim the answer before it.
   */
  readonly dueMs: readonly number[];
  /** Until the last answer: the time, and this thread's CPU in it. */
  readonly wallMs: number;
  readonly cpuMs: number;
};

/** Sends every claim at its time and waits for all answers or the deadline. */
export async function runCrowd(plan: CrowdPlan): Promise<Attempt[]> {
  return [...(await runTrace(plan)).claims];
}

/** The same, with the intended times and the generator's own effort. */
export async function runTrace(plan: CrowdPlan): Promise<CrowdRun> {
  const { arrivals, connections, eventId, mechanism, firstId = 0 } = plan;
  if (arrivals.length > connections.length) {
    throw new Error(
      `${arrivals.length} arrivals need as many connections, not ${connections.length}.`,
    );
  }
  const protocol = plan.protocol ?? contractOf(plan);
  // Encoded beforehand: between two writes of the rush there shall be nothing but a write.
  const requests = arrivals.map(({ person }) => protocol.request(person));
  const sent = await exchangeAll(plan, requests);
  const instance = plan.target.authority;
  const claims = sent.exchanges.map((exchange, index) => {
    const person = arrivals[index % arrivals.length]?.person ?? "";
    const attempt = Math.floor(index / arrivals.length) + 1;
    const kind = "claim" as const;
    const id = firstId + index;
    const asked = { id, kind, person, eventId, mechanism, attempt, instance, ticketAsked: null };
    return protocol.read(asked, exchange);
  });
  return { claims, dueMs: sent.dueMs, wallMs: sent.wallMs, cpuMs: sent.cpuMs };
}

function contractOf({ target, claimPath }: CrowdPlan): Protocol {
  return { request: (person) => claimRequest(target, claimPath, person), read: attemptOf };
}

/** A claim by this project's own contract, as bytes. */
export function claimRequest(target: Target, claimPath: string, person: string): Buffer {
  return Buffer.from(
    `POST ${claimPath} HTTP/1.1\r\nHost: ${target.authority}\r\nX-User-Id: ${person}\r\nContent-Length: 0\r\n\r\n`,
  );
}

type Sent = {
  readonly exchanges: readonly Exchange[];
  readonly dueMs: readonly number[];
  readonly wallMs: number;
  readonly cpuMs: number;
};

function exchangeAll(plan: CrowdPlan, requests: readonly Buffer[]): Promise<Sent> {
  const { arrivals, connections, deadlineMs, claimsPerPerson = 1 } = plan;
  const count = arrivals.length * claimsPerPerson;
  const exchanges = Array.from<Exchange>({ length: count });
  const dueMs = Array.from<number>({ length: count });
  return new Promise((resolve) => {
    // Of this thread alone: helpers of the engine do not keep the crowd from sending.
    const cpu = process.threadCpuUsage();
    const startMs = performance.now();
    let missing = count;
    let next = 0;
    let timer: NodeJS.Timeout | undefined;
    const deadline = setTimeout(() => {
      for (const connection of connections) connection.giveUp();
    }, deadlineMs);
    const end = (): void => {
      clearTimeout(deadline);
      clearTimeout(timer);
      const wallMs = performance.now() - startMs;
      const { user, system } = process.threadCpuUsage(cpu);
      resolve({ exchanges, dueMs, wallMs, cpuMs: (user + system) / 1_000 });
    };
    const claim = (person: number, attempt: number, due: number): void => {
      const [connection, request] = [connections[person], requests[person]];
      if (connection === undefined || request === undefined) return;
      const index = attempt * arrivals.length + person;
      dueMs[index] = due;
      connection.send(request, (exchange) => {
        exchanges[index] = exchange;
        if (--missing === 0) end();
        else if (attempt + 1 < claimsPerPerson) claim(person, attempt + 1, exchange.returnedMs);
      });
    };
    const sendDue = (): void => {
      for (let arrival = arrivals[next]; arrival !== undefined; arrival = arrivals[next]) {
        const waitMs = startMs + arrival.atMs - performance.now();
        if (waitMs > 0) {
          timer = setTimeout(sendDue, waitMs);
          return;
        }
        claim(next++, 0, startMs + arrival.atMs);
      }
    };
    sendDue();
    if (count === 0) end();
  });
}
