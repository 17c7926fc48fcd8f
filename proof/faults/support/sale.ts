// What the fault cases share: a sale on the real program, people who claim and ask, the stored rows,
// and the lab's judge over everything that anybody was told.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { missing } from "@stampede/launcher/testing";
import { attemptOf, judge, openConnections, runCrowd } from "@stampede/lab";
import type { Attempt, Connection, StoredSale, Target, Violation } from "@stampede/lab";
import pg from "pg";
import type { Program } from "../../support/program.ts";

export { MECHANISMS } from "../mechanisms.ts";
import type { Mechanism } from "../mechanisms.ts";

/** Why there is an engine too few: the cases run on all three or not at all. */
export function engineMissing(): string | false {
  return missing("postgres", "redis", "kafka");
}

const POLL_MS = 20;
const ASKERS_MIN = 20;
/** Of ten thousand people, as many as two hundred ask at the same time: L2 is theirs, not the asking's. */
const PEOPLE_PER_ASKER = 50;
/** How long a person waits for an answer to one request. */
const ANSWER_MS_MAX = 20_000;
/** L2: every 202 and every reservation has a final answer this long after the fault is gone. */
const FINAL_MS_MAX = 10_000;
const RETRY_MS = 100;

export type Sale = {
  readonly program: Program;
  readonly eventId: string;
  readonly mechanism: Mechanism;
  readonly limit: number;
  readonly claimPath: string;
  readonly target: Target;
  /** The header line by which a person says who they are; without it, as with AUTH=dev. */
  readonly credentials?: (person: string) => string;
};

/** An event on the program, open unless its window says else; its topic or key exists when this resolves. */
export async function openSale(
  program: Program,
  {
    mechanism,
    limit,
    window,
  }: {
    readonly mechanism: Mechanism;
    readonly limit: number;
    readonly window?: { readonly opensAt: string; readonly closesAt: string };
  },
): Promise<Sale> {
  const eventId = `fault-${randomBytes(5).toString("hex")}`;
  const answer = await fetch(`${program.url}/events`, {
    method: "POST",
    headers: { authorization: `Bearer ${program.adminToken}`, "content-type": "application/json" },
    body: JSON.stringify({ id: eventId, name: "A sale under faults", mechanism, limit, ...window }),
  });
  const text = await answer.text();
  assert.equal(answer.status, 201, text);
  const { claim: claimPath } = JSON.parse(text) as { readonly claim: string };
  return { program, eventId, mechanism, limit, claimPath, target: targetOf(program) };
}

/** The same sale through another instance. */
export function throughInstance(sale: Sale, program: Program): Sale {
  return { ...sale, program, target: targetOf(program) };
}

function targetOf({ url }: Program): Target {
  const { hostname, port, host } = new URL(url);
  return { address: hostname, port: Number(port), authority: host };
}

/** So many names that no other sale uses. */
export function people(count: number): string[] {
  const run = randomBytes(4).toString("hex");
  return Array.from({ length: count }, (_, n) => `p-${run}-${n}`);
}

/**
 * Everybody claims at one instant, each on a connection of their own. `onAnswer` is called with the
 * number of answers so far, in the same turn in which the last of them came; `beforeSending` runs
 * when all connections stand.
 */
export async function claimAtOnce(
  { eventId, mechanism, claimPath, target }: Sale,
  persons: readonly string[],
  hooks: {
    readonly beforeSending?: () => Promise<void>;
    readonly onAnswer?: (answers: number) => void;
    /** They come evenly within this time instead. */
    readonly spreadMs?: number;
  } = {},
): Promise<Attempt[]> {
  let answers = 0;
  const counted = (connection: Connection): Connection => ({
    ...connection,
    send: (request, done) =>
      connection.send(request, (exchange) => {
        done(exchange);
        if (exchange.answer !== null) hooks.onAnswer?.((answers += 1));
      }),
  });
  const opened = await openConnections(target, persons.length);
  try {
    const connections = opened.map(counted);
    const gapMs = (hooks.spreadMs ?? 0) / persons.length;
    const arrivals = persons.map((person, n) => ({ person, atMs: n * gapMs }));
    const deadlineMs = ANSWER_MS_MAX;
    await hooks.beforeSending?.();
    const crowd = { target, eventId, mechanism, claimPath, connections, arrivals, deadlineMs };
    return await runCrowd(crowd);
  } finally {
    for (const connection of opened) close(connection);
  }
}

/**
 * Each person claims until the answer is no fault: issued, sold out or queued. They come one after
 * the other within `spreadMs` and try again a moment after every fault, until `deadlineMs` has passed.
 */
export async function claimUntilAnswered(
  sale: Sale,
  persons: readonly string[],
  { spreadMs, deadlineMs }: { readonly spreadMs: number; readonly deadlineMs: number },
): Promise<Attempt[]> {
  const endMs = performance.now() + deadlineMs;
  const opened = await openConnections(sale.target, persons.length);
  const lane = async (person: string, index: number): Promise<Attempt[]> => {
    await pause((spreadMs * index) / persons.length);
    let connection = opened[index]!;
    const attempts: Attempt[] = [];
    for (;;) {
      if (!connection.isOpen()) connection = await reopen(sale, connection);
      const attempt = await send(sale, connection, { kind: "claim", person, ticket: null });
      attempts.push({ ...attempt, attempt: attempts.length + 1 });
      const isFault = attempt.outcome === "refused" || attempt.outcome === "unknown";
      if (!isFault || performance.now() > endMs) break;
      await pause(RETRY_MS);
    }
    close(connection);
    return attempts;
  };
  return (await Promise.all(persons.map(lane))).flat();
}

/** Claims and asks for one person after the other, on one connection. */
export type Visitor = {
  /** Where nobody listens it is a claim that was refused, or a question without an answer. */
  readonly send: (sale: Sale, question: Question) => Promise<Attempt>;
  readonly leave: () => void;
};

export function visitor(): Visitor {
  let connection: Connection | null = null;
  const leave = (): void => {
    if (connection !== null) close(connection);
    connection = null;
  };
  return {
    leave,
    async send(sale, question) {
      const sentMs = performance.now();
      if (connection?.isOpen() !== true) {
        leave();
        try {
          connection = (await openConnections(sale.target, 1))[0]!;
        } catch {
          // The program is down: nothing ever left.
          const nothing = { answer: null, fault: "unsent", returnedMs: performance.now() } as const;
          return attemptOf(askedOf(sale, question), { ...nothing, sentMs });
        }
      }
      return send(sale, connection, question);
    },
  };
}

/**
 * Asks for everybody what became of their claims, those in line again until their answer is final.
 * A queued person asks with the first ticket that they were told.
 */
export async function askEverybody(sale: Sale, told: readonly Attempt[]): Promise<Attempt[]> {
  const endMs = performance.now() + FINAL_MS_MAX;
  const waiting = [...new Set(told.map(({ person }) => person))];
  const tickets = firstTickets(told);
  const answers: Attempt[] = [];
  const asker = async (opened: Connection): Promise<void> => {
    let connection = opened;
    for (let person = waiting.shift(); person !== undefined; person = waiting.shift()) {
      if (!connection.isOpen()) connection = await reopen(sale, connection);
      const ticket = tickets.get(person) ?? null;
      const answer = await send(sale, connection, { kind: "status", person, ticket });
      answers.push(answer);
      if (isFinal(answer) || performance.now() > endMs) continue;
      waiting.push(person);
      await pause(POLL_MS);
    }
    close(connection);
  };
  const askers = Math.max(ASKERS_MIN, Math.ceil(waiting.length / PEOPLE_PER_ASKER));
  await Promise.all((await openConnections(sale.target, askers)).map(asker));
  return answers;
}

/** Whatever became of a claim, it was told so by one of the answers that a claim has. */
export function assertAnswered(told: readonly Attempt[]): void {
  const wrong = told.filter(({ status }) => ![200, 201, 202, 409, 503, null].includes(status));
  assert.deepEqual(wrong, []);
}

/** The people whose last answer is not final. */
export function unsettled(answers: readonly Attempt[]): string[] {
  const last = new Map(answers.map((answer) => [answer.person, answer]));
  return [...last.values()].filter((answer) => !isFinal(answer)).map(({ person }) => person);
}

/** All that must not be, over everything that anybody was told; the rows as they are now. */
export async function verdict(
  sale: Sale,
  attempts: readonly Attempt[],
): Promise<{ readonly violations: readonly Violation[]; readonly stored: StoredSale }> {
  const stored = await readStored(sale);
  const { mechanism, limit } = sale;
  const numbered = attempts.map((attempt, id) => ({ ...attempt, id }));
  return { violations: judge({ mechanism, limit, attempts: numbered, sale: stored }), stored };
}

/** What the database holds of the sale, in one snapshot, past the program. */
export async function readStored({ program, eventId }: Sale): Promise<StoredSale> {
  const stored = await readStoredOf(program, [eventId]);
  return stored.get(eventId)!;
}

/** The same of several events, in one snapshot of all. */
export async function readStoredOf(
  program: Program,
  eventIds: readonly string[],
): Promise<ReadonlyMap<string, StoredSale>> {
  return withDatabase(program, async (client) => {
    const { rows } = await client.query(
      `SELECT e.id, e.issued, i.seq, i.user_id AS "userId", i.code, i.ticket::float8 AS ticket,
              to_char(i.issued_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS "issuedAt"
         FROM events e LEFT JOIN coupon_issues i ON i.event_id = e.id
        WHERE e.id = ANY ($1) ORDER BY e.id, i.seq`,
      [eventIds],
    );
    const byEvent = Map.groupBy(rows, ({ id }) => String(id));
    return new Map(
      [...byEvent].map(([id, those]) => [
        id,
        { issued: those[0].issued, rows: those.filter(({ seq }) => seq !== null) },
      ]),
    );
  });
}

/** Runs with a session of its own on the program's database. */
export async function withDatabase<Value>(
  { databaseUrl }: Pick<Program, "databaseUrl">,
  run: (client: pg.Client) => Promise<Value>,
): Promise<Value> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    return await run(client);
  } finally {
    await client.end();
  }
}

/** How often each outcome was told: for messages, and to see that a fault really hit. */
export function tally(attempts: readonly Attempt[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { outcome } of attempts) counts[outcome] = (counts[outcome] ?? 0) + 1;
  return counts;
}

function isFinal({ outcome }: Attempt): boolean {
  return outcome === "issued" || outcome === "replay" || outcome === "sold-out";
}

const REOPENINGS_MAX = 3;

/** Of everybody at once: looking for each of ten thousand among thirty thousand takes half a minute. */
function firstTickets(told: readonly Attempt[]): ReadonlyMap<string, number> {
  const first = new Map<string, number>();
  for (const { person, ticket } of told) {
    if (ticket !== null) first.set(person, Math.min(first.get(person) ?? Infinity, ticket));
  }
  return first;
}

/**
 * Closes what the server has not begun to close: resetting a half-closed socket left its shutdown
 * pending, and the test process then span at its exit for ever (Node 26.10, one run in three).
 */
function close(connection: Connection): void {
  if (connection.isOpen()) connection.close();
}

/** One of several workers may be killed with connections in its queue: the next one goes to another. */
async function reopen({ target }: Sale, old: Connection): Promise<Connection> {
  close(old);
  for (let left = REOPENINGS_MAX; ; left -= 1) {
    try {
      const [connection] = await openConnections(target, 1);
      return connection!;
    } catch (error) {
      if (left === 1) throw error;
    }
  }
}

type Question = {
  readonly kind: "claim" | "status";
  readonly person: string;
  readonly ticket: number | null;
};

async function send(sale: Sale, connection: Connection, question: Question): Promise<Attempt> {
  const { eventId, target } = sale;
  const { kind, person, ticket } = question;
  const query = ticket === null ? "" : `?ticket=${ticket}`;
  const line =
    kind === "claim" ? `POST ${sale.claimPath}` : `GET /events/${eventId}/issues/me${query}`;
  const credentials = sale.credentials?.(person) ?? `X-User-Id: ${person}`;
  const head = `${line} HTTP/1.1\r\nHost: ${target.authority}\r\n${credentials}\r\n`;
  const request = Buffer.from(`${head}Content-Length: 0\r\n\r\n`);
  const timer = setTimeout(connection.giveUp, ANSWER_MS_MAX);
  const exchange = await new Promise<Parameters<typeof attemptOf>[1]>((resolve) => {
    connection.send(request, resolve);
  });
  clearTimeout(timer);
  return attemptOf(askedOf(sale, question), exchange);
}

function askedOf(
  { eventId, mechanism, target }: Sale,
  { kind, person, ticket }: Question,
): Parameters<typeof attemptOf>[0] {
  const instance = target.authority;
  const asked = { id: 0, kind, person, eventId, mechanism, attempt: 1, instance };
  return { ...asked, ticketAsked: ticket };
}
