// The end of every sale: all coupons are rows, everybody is told, nothing is stuck, all within the
// deadlines; and the referee over all that anybody was told, the log read back where there is one.
import assert from "node:assert/strict";
import type { Attempt, StoredSale } from "@stampede/lab";
import { judge } from "@stampede/referee";
import type { Invariant, RunPart } from "@stampede/referee";
import { until } from "@stampede/launcher/testing";
import type { Stage } from "./case.ts";
import { queues, reserves } from "./mechanisms.ts";
import { endOf, readLog } from "./support/kafka-operator.ts";
import { queueOf, topicOf } from "./support/queue.ts";
import { keysOf, redisCommand } from "./support/redis-command.ts";
import { askEverybody, readStored, tally, unsettled, withDatabase } from "./support/sale.ts";
import type { Sale } from "./support/sale.ts";

/** L1, L2, L4 and L6. */
const SETTLED_MS_MAX = 10_000;
/** L3 of the slowest engine, from the command that starts it again. */
const GOOD_CLAIM_MS_MAX = 15_000;

type Noting = Pick<Stage, "notes">;

export type Ending = {
  /** When the last fault was gone; now, unless told. Deadlines count from it, or from the last answer. */
  readonly healedMs?: number;
  /** How many rows there must be; the limit, unless told. */
  readonly rows?: number;
  /** The last frame of the event's stream. */
  readonly stream?: () => Record<string, unknown>;
  /** Those who have no final answer to come: turned away at a door that stays shut. */
  readonly leftOut?: ReadonlySet<string>;
} & JudgedBy;

type JudgedBy = {
  /** What the referee cannot know of the event from its rows. */
  readonly limitAtStart?: number;
  readonly closesAt?: string;
  /** Promises that destroyed data carried, or that the referee cannot judge. Without S11 no log is read. */
  readonly except?: readonly Invariant[];
};

export async function finish(
  stage: Noting,
  sale: Sale,
  told: readonly Attempt[],
  ending: Ending = {},
): Promise<StoredSale> {
  const { rows = sale.limit, stream, leftOut = new Set() } = ending;
  const { healedMs = performance.now() } = ending;
  const fromMs = told.reduce((last, { returnedMs }) => Math.max(last, returnedMs), healedMs);
  const reach = async (
    deadline: "L1" | "L4" | "L6",
    what: string,
    condition: () => Promise<boolean>,
  ): Promise<void> => {
    await until(condition, `${sale.mechanism}: ${deadline}, ${what}`, { msMax: SETTLED_MS_MAX });
    stage.notes(sale.mechanism).recovered(deadline, performance.now() - fromMs);
  };
  const ask = async (): Promise<readonly Attempt[]> => {
    const asked = await askEverybody(
      sale,
      told.filter(({ person }) => !leftOut.has(person)),
    );
    assert.deepEqual(unsettled(asked), [], `${sale.mechanism}: L2, everybody has a final answer`);
    stage.notes(sale.mechanism).recovered("L2", performance.now() - fromMs);
    return asked;
  };
  const [asked] = await Promise.all([
    ask(),
    reach("L1", "all coupons are rows", async () => (await readStored(sale)).issued === rows),
  ]);
  await reach("L4", "nothing is stuck", async () => isAtRest(sale, rows));
  if (stream !== undefined) {
    await reach("L6", "the stream has told the end", async () => {
      const { issued, decided } = stream();
      return issued === rows && (!queues(sale) || decided === (await endOf(await topicOf(sale))));
    });
  }
  const stored = await judged(stage, sale, [...told, ...asked], ending);
  assert.equal(stored.rows.length, rows, `${sale.mechanism}: ${JSON.stringify(tally(told))}`);
  return stored;
}

/** Asks the referee. */
export async function judged(
  stage: Noting,
  sale: Sale,
  attempts: readonly Attempt[],
  { except = [], ...facts }: JudgedBy = {},
): Promise<StoredSale> {
  const { mechanism } = sale;
  const stored = await readStored(sale);
  const findings = judge({
    ...(await runPartOf(sale, stored, { ...facts, except })),
    history: attempts.map((attempt, id) => ({ ...attempt, id })),
  }).filter(({ invariant }) => !except.includes(invariant));
  stage.notes(mechanism).judged(attempts, findings.length);
  assert.deepEqual(findings, [], mechanism);
  return stored;
}

/** What the referee is given of a sale, beside what its people were told. */
export async function runPartOf(
  sale: Sale,
  stored: StoredSale,
  { except = [], ...facts }: JudgedBy = {},
): Promise<Pick<RunPart, "events" | "rows" | "log">> {
  const { eventId, mechanism, limit } = sale;
  const { limitAtStart = limit, closesAt = null } = facts;
  const { issued } = stored;
  const { log, ...queue } =
    queues(sale) && !except.includes("S11") ? await queueFacts(sale, issued) : {};
  return {
    events: [{ eventId, mechanism, limit, limitAtStart, closesAt, issued, ...queue }],
    rows: stored.rows.map((row) => ({ ...row, eventId })),
    ...(log === undefined ? {} : { log }),
  };
}

/** What the referee reads of a queue. */
async function queueFacts(sale: Sale, issued: number): Promise<QueueFacts> {
  const { nextOffset: decided, lastWinningTicket: last } = await queueOf(sale);
  const records = (await readLog(await topicOf(sale))).map(({ offset, key, value }) => ({
    eventId: sale.eventId,
    offset,
    key: key?.toString() ?? null,
    value: value?.toString() ?? null,
  }));
  // Nobody is told the last winning ticket before it is the last (S25).
  const lastWinningTicket = issued === sale.limit ? last : null;
  return { decided, lastWinningTicket, log: new Map([[sale.eventId, records]]) };
}

type QueueFacts = Pick<RunPart["events"][number], "decided" | "lastWinningTicket"> &
  Pick<RunPart, "log">;

/** L4: no session sits in a transaction or waits, the log is decided, and Redis has what the rows have. */
export async function isAtRest(sale: Sale, rows: number): Promise<boolean> {
  return (
    (await isFreeOfStuckSessions(sale)) &&
    (!queues(sale) || (await queueOf(sale)).nextOffset === (await endOf(await topicOf(sale)))) &&
    (!reserves(sale) || (await redisIsEven(sale, rows)))
  );
}

/** Others may still sell on the same database: what moves on within a second is not stuck. */
async function isFreeOfStuckSessions({ program }: Sale): Promise<boolean> {
  return withDatabase(program, async (client) => {
    const { rowCount } = await client.query(
      `SELECT 1 FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'stampede'
          AND (clock_timestamp() - xact_start > interval '5 seconds'
               OR clock_timestamp() - state_change > interval '1 second'
                  AND (cardinality(pg_blocking_pids(pid)) > 0
                       OR state LIKE 'idle in transaction%'))`,
    );
    return rowCount === 0;
  });
}

/** S16: Redis has exactly as many persons as there are rows, and nothing at all where that is all. */
async function redisIsEven({ program, eventId, limit }: Sale, rows: number): Promise<boolean> {
  if (rows === limit) return (await keysOf(program.redisUrl, eventId)).length === 0;
  return (await redisCommand(program.redisUrl, "HLEN", `stampede:{${eventId}}:persons`)) === rows;
}

/** The time until the first claim after this moment that is no fault. */
export function firstGoodMs(attempts: readonly Attempt[], sinceMs: number): number {
  const good = attempts.filter(
    ({ outcome, returnedMs }) =>
      returnedMs >= sinceMs && !["refused", "unknown", "none"].includes(outcome),
  );
  return good.reduce((least, { returnedMs }) => Math.min(least, returnedMs), Infinity) - sinceMs;
}

/** L3; nothing is measured where nobody was left to claim after it. */
export function noteGoodClaim(
  stage: Noting,
  { mechanism }: Pick<Sale, "mechanism">,
  told: readonly Attempt[],
  { healedMs, msMax = GOOD_CLAIM_MS_MAX }: { readonly healedMs: number; readonly msMax?: number },
): void {
  if (!told.some(({ returnedMs }) => returnedMs >= healedMs)) return;
  const ms = Math.round(firstGoodMs(told, healedMs));
  stage.notes(mechanism).recovered("L3", ms);
  assert.ok(ms <= msMax, `${mechanism}: L3 took ${ms} of ${msMax} ms`);
}

/** The people whose claim got an answer of this kind once, and a row of their own when they retried. */
export function foundTheirRow(attempts: readonly Attempt[]): string[] {
  const unknown = new Set(
    attempts.filter(({ outcome }) => outcome === "unknown").map(({ person }) => person),
  );
  const replayed = attempts.filter(({ outcome }) => outcome === "replay");
  return [...new Set(replayed.map(({ person }) => person))].filter((one) => unknown.has(one));
}
