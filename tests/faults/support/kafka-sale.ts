// What the rows of Kafka share: a sale of v3 beside sales of v1 and v2 that must not notice anything,
// the queue's row, its log, and the end of every row: the deadlines measured, the log read back, and
// the referee over all of it.
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import type { Attempt } from "@stampede/lab";
import { judge } from "@stampede/lab/referee";
import type { Finding, Invariant } from "@stampede/lab/referee";
import type { Program } from "../../support/program.ts";
import { endOf, readLog } from "./kafka-operator.ts";
import type { TopicAt } from "./kafka-operator.ts";
import type { Row } from "./row.ts";
import {
  askEverybody,
  claimAtOnce,
  claimUntilAnswered,
  openSale,
  people,
  readStored,
  tally,
  unsettled,
  withDatabase,
} from "./sale.ts";
import type { Sale } from "./sale.ts";

const DEADLINE_MS = 40_000;
const POLL_MS = 20;
/** L1, L2, L4 and L6. */
const SETTLED_MS_MAX = 10_000;
/** L3 for Kafka, from the command that starts the broker again. */
const GOOD_CLAIM_MS_MAX = 15_000;
/** A halt needs three looks at the log, and every process reads it within a second. */
const HALTED_MS_MAX = 10_000;
const STRANDED = 10;

export type QueueSale = { readonly sale: Sale; readonly brokers: string };

export type Queue = {
  readonly topic: string;
  readonly topicId: string;
  readonly epoch: number;
  readonly nextOffset: number;
  readonly lastWinningTicket: number | null;
  readonly halted: string | null;
  /** Records that were decided as no claims. */
  readonly rejected: readonly { readonly ticket: number; readonly reason: string }[];
};

/** The queue as the database has it now. */
export async function queueOf({ program, eventId }: Sale): Promise<Queue> {
  return withDatabase(program, async (client) => {
    const { rows } = await client.query<Omit<Queue, "rejected">>(
      `SELECT topic, topic_id AS "topicId", epoch::float8 AS epoch, halted,
              next_offset::float8 AS "nextOffset", last_winning_ticket::float8 AS "lastWinningTicket"
         FROM queues WHERE event_id = $1`,
      [eventId],
    );
    const rejected = await client.query<{ ticket: number; reason: string }>(
      "SELECT ticket::float8 AS ticket, reason FROM rejected_records WHERE event_id = $1 ORDER BY 1",
      [eventId],
    );
    return { ...rows[0]!, rejected: rejected.rows };
  });
}

export async function topicOf({ sale, brokers }: QueueSale): Promise<TopicAt> {
  return { brokers, topic: (await queueOf(sale)).topic };
}

/** What `GET /events/{id}` says of whether claims are taken now. */
export async function isAvailable({ program, eventId }: Sale): Promise<boolean> {
  const answer = await fetch(`${program.url}/events/${eventId}`);
  const { available } = (await answer.json()) as { readonly available: boolean };
  return available;
}

/** As an operator does; counts within a second. */
export async function changePace(sale: Sale, pace: number | null): Promise<void> {
  const url = `${sale.program.url}/events/${sale.eventId}`;
  const etag = (await fetch(url)).headers.get("etag") ?? "";
  const answer = await fetch(url, {
    method: "PATCH",
    headers: {
      authorization: `Bearer ${sale.program.adminToken}`,
      "content-type": "application/json",
      "if-match": etag,
    },
    body: JSON.stringify({ pace }),
  });
  assert.equal(answer.status, 200, await answer.text());
}

/** The state of Kafka as `/readyz` tells it, and its status. */
export async function readiness({ url }: Program): Promise<{ status: number; kafka: string }> {
  const answer = await fetch(`${url}/readyz`);
  const { engines } = (await answer.json()) as { readonly engines: { readonly kafka: string } };
  return { status: answer.status, kafka: engines.kafka };
}

export async function metric({ url }: Program, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(new RegExp(`^${name} (?<value>\\S+)$`, "m").exec(text)?.groups?.["value"]);
}

export type Bystanders = {
  /** Waits for their people, judges, and requires that nobody of v1 and v2 met a fault. */
  readonly end: (row: Row) => Promise<void>;
};

/** Sales of v1 and v2 whose people come over all this time: whatever Kafka does is not theirs. */
export async function openBystanders(program: Program, spreadMs: number): Promise<Bystanders> {
  const limit = 50;
  const count = 100;
  const sales = [
    await openSale(program, { mechanism: "row-lock", limit }),
    await openSale(program, { mechanism: "redis-counter", limit }),
  ];
  const crowds = sales.map(async (sale) =>
    claimUntilAnswered(sale, people(count), { spreadMs, deadlineMs: DEADLINE_MS }),
  );
  return {
    async end(row) {
      for (const [n, sale] of sales.entries()) {
        const told = await crowds[n]!;
        const { refused = 0, unknown = 0 } = tally(told);
        assert.deepEqual({ refused, unknown }, { refused: 0, unknown: 0 }, sale.mechanism);
        const asked = await askEverybody(sale, told);
        assert.deepEqual(unsettled(asked), [], sale.mechanism);
        row.judged(told, 0);
        assert.deepEqual(await findingsOf(sale, null, [...told, ...asked]), [], sale.mechanism);
        assert.equal((await readStored(sale)).rows.length, limit, sale.mechanism);
      }
    },
  };
}

/** Everybody claims until answered, one after the other within `spreadMs`. */
export async function claimAll(
  sale: Sale,
  persons: readonly string[],
  spreadMs = 200,
): Promise<Attempt[]> {
  return claimUntilAnswered(sale, persons, { spreadMs, deadlineMs: DEADLINE_MS });
}

/** The last frame of the event's stream, read until the test ends (L6). */
export function watchStream(t: TestContext, sale: Sale): () => Record<string, unknown> {
  const ending = new AbortController();
  let last: Record<string, unknown> = {};
  const watching = (async () => {
    const url = `${sale.program.url}/events/${sale.eventId}/stream`;
    const { body } = await fetch(url, { signal: ending.signal });
    let text = "";
    for await (const chunk of body!.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      const lines = text.split("\n");
      text = lines.pop() ?? "";
      const data = lines.findLast((line) => line.startsWith("data: "));
      if (data !== undefined) last = JSON.parse(data.slice("data: ".length));
    }
  })();
  t.after(async () => {
    ending.abort();
    // Being cut off is how it ends: by the abort, or by the program that stopped before.
    await watching.catch(() => undefined);
  });
  return () => last;
}

export type Ending = QueueSale & {
  readonly row: Row;
  readonly told: readonly Attempt[];
  /** When the broker, the decider, ... was told to start or to go on. */
  readonly healedMs: number;
  readonly stream?: () => Record<string, unknown>;
};

/** The deadlines after healing; then the whole history with the log as it lies there. */
export async function endQueueSale(ending: Ending): Promise<void> {
  const { sale, brokers, row, told, healedMs, stream } = ending;
  const fromMs = Math.max(healedMs, ...told.map(({ returnedMs }) => returnedMs));
  const at = await topicOf(ending);
  const reach = async (deadline: "L1" | "L4" | "L6", condition: () => Promise<boolean>) => {
    while (!(await condition())) {
      const lateMs = performance.now() - fromMs;
      assert.ok(lateMs < SETTLED_MS_MAX, `${deadline}: not within ${SETTLED_MS_MAX} ms`);
      await pause(POLL_MS);
    }
    row.recovered(deadline, Math.round(performance.now() - fromMs));
  };
  await reach("L1", async () => (await readStored(sale)).issued === sale.limit);
  await reach("L4", async () => {
    const [{ nextOffset }, end] = [await queueOf(sale), await endOf(at)];
    return nextOffset === end && (await stuckSessions(sale)) === 0;
  });
  if (stream !== undefined) {
    await reach("L6", async () => {
      const { issued, decided } = stream();
      return issued === sale.limit && decided === (await endOf(at));
    });
  }
  const asked = await askEverybody(sale, told);
  assert.deepEqual(unsettled(asked), [], "L2: everybody has a final answer");
  const lastMs = Math.max(...asked.map(({ returnedMs }) => returnedMs));
  row.recovered("L2", Math.round(lastMs - fromMs));
  noteRetries(row, told);
  await judgeQueue({ ...ending, brokers }, asked);
  assert.equal((await readStored(sale)).rows.length, sale.limit);
}

/** L3: how long after healing the first claim was answered well. */
export function noteGoodClaim(row: Row, told: readonly Attempt[], healedMs: number): void {
  const good = told.filter(
    ({ outcome, returnedMs }) =>
      returnedMs >= healedMs && !["refused", "unknown"].includes(outcome),
  );
  const ms = Math.min(...good.map(({ returnedMs }) => returnedMs)) - healedMs;
  row.recovered("L3", Math.round(ms));
  assert.ok(ms <= GOOD_CLAIM_MS_MAX, `L3: ${Math.round(ms)} ms until the first good claim`);
}

/** Judges with the log read back; `except` are promises that the destroyed data carried. */
export async function judgeQueue(
  { sale, brokers, row, told }: Pick<Ending, "sale" | "brokers" | "row" | "told">,
  asked: readonly Attempt[],
  except: readonly Invariant[] = [],
): Promise<void> {
  const log = except.includes("S11") ? null : brokers;
  const findings = (await findingsOf(sale, log, [...told, ...asked])).filter(
    ({ invariant }) => !except.includes(invariant),
  );
  row.judged(told, findings.length);
  assert.deepEqual(findings, []);
}

async function findingsOf(
  sale: Sale,
  brokers: string | null,
  attempts: readonly Attempt[],
): Promise<readonly Finding[]> {
  const { eventId, mechanism, limit } = sale;
  const { issued, rows } = await readStored(sale);
  const event = { eventId, mechanism, limit, issued };
  const history = attempts.map((attempt, id) => ({ ...attempt, id }));
  const run = { events: [event], history, rows: rows.map((row) => ({ ...row, eventId })) };
  if (brokers === null) return judge(run);
  const { nextOffset: decided, lastWinningTicket } = await queueOf(sale);
  const records = await readLog(await topicOf({ sale, brokers }));
  const log = records.map(({ offset, key, value }) => {
    return { eventId, offset, key: key?.toString() ?? null, value: value?.toString() ?? null };
  });
  // Nobody is told the last winning ticket before it is the last (S25).
  const last = issued === limit ? lastWinningTicket : null;
  const events = [{ ...event, decided, lastWinningTicket: last }];
  return judge({ ...run, events, log: new Map([[eventId, log]]) });
}

/** Waits until the event is halted, and requires that nobody is served any more. */
export async function assertHalts(
  { sale, row }: Pick<Ending, "sale" | "row">,
  { reason, sinceMs }: { readonly reason: RegExp; readonly sinceMs: number },
): Promise<Attempt[]> {
  // The alarm's metric too, whoever saw it first: the door or the decider.
  const told = async (): Promise<string> =>
    JSON.stringify({
      halted: (await queueOf(sale)).halted !== null,
      available: await isAvailable(sale),
      alarm: (await metric(sale.program, "stampede_queues_halted")) > 0,
    });
  const wanted = JSON.stringify({ halted: true, available: false, alarm: true });
  for (let is = await told(); is !== wanted; is = await told()) {
    const lateMs = performance.now() - sinceMs;
    assert.ok(lateMs < HALTED_MS_MAX, `after ${HALTED_MS_MAX} ms it is not halted: ${is}`);
    await pause(POLL_MS);
  }
  row.met("an event was halted");
  const before = await queueOf(sale);
  assert.match(before.halted ?? "", reason);
  const { rows } = await readStored(sale);
  const stranded = await claimAtOnce(sale, people(STRANDED));
  assert.deepEqual(
    stranded.map(({ status, problemType }) => `${status} ${problemType}`),
    Array<string>(STRANDED).fill("503 /problems/unavailable"),
  );
  assert.deepEqual(await queueOf(sale), before, "the mark stays");
  assert.deepEqual((await readStored(sale)).rows, rows, "the rows stay");
  return stranded;
}

/** Situations that the history itself shows. */
function noteRetries(row: Row, told: readonly Attempt[]): void {
  const unknown = told.filter(({ outcome }) => outcome === "unknown");
  if (unknown.length > 0) row.met("a claim's outcome was unknown");
}

/** Claims that were on their way at this moment. */
export function inFlightAt(told: readonly Attempt[], ms: number): readonly Attempt[] {
  return told.filter(({ sentMs, returnedMs }) => sentMs < ms && returnedMs > ms);
}

async function stuckSessions({ program }: Sale): Promise<number> {
  return withDatabase(program, async (client) => {
    const { rowCount } = await client.query(
      `SELECT 1 FROM pg_stat_activity WHERE datname = current_database()
          AND pid <> pg_backend_pid() AND xact_start < clock_timestamp() - interval '5 s'`,
    );
    return rowCount ?? 0;
  });
}
