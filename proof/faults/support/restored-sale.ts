// A sale on every mechanism whose database goes back to an earlier state of it: a restored copy (O2), or
// a standby that was behind (P11). v1 and v2 have lost what came after that state, and sell what is left
// as a sale of its own; v3 decides its log again from the mark, and everybody has the coupon that they
// were told of.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Attempt, StoredSale } from "@stampede/lab";
import { until } from "@stampede/launcher/testing";
import type { Program } from "../../support/program.ts";
import type { Stage } from "../case.ts";
import { assertGuardsSilent } from "../course.ts";
import { finish, noteGoodClaim } from "../finish.ts";
import { queues, reserves } from "../mechanisms.ts";
import { happened } from "../notes.ts";
import type { PrivateEngine, PrivateEngines } from "./private-engines.ts";
import { redisCommand } from "./redis-command.ts";
import {
  askEverybody,
  assertAnswered,
  claimAtOnce,
  claimUntilAnswered,
  openSale,
  people,
  readStored,
} from "./sale.ts";
import type { Sale } from "./sale.ts";

const LIMIT = 150;
const PEOPLE_FIRST = 60;
const PEOPLE = 200;
const SPREAD_MS = 3_000;
const DEADLINE_MS = 40_000;
/** Of those who claimed before, so many claim again. */
const OLD_PEOPLE = 30;
const GOOD_CLAIM_MS_MAX = 5_000;
export const LOST = "rows that were told were not in the copy";

export type Sold = {
  readonly sale: Sale;
  /** All that was answered before the restore. */
  readonly told: Attempt[];
  /** Nobody claims from it after the restore: what is there is what was restored. */
  readonly quiet: boolean;
};

type StoredRow = StoredSale["rows"][number];

export type At = PrivateEngines & { readonly program: Program };

/** Sells all of it; `inMidSale` runs when each sale has begun and none is over. */
export async function sellAll(
  sales: readonly Sold[],
  inMidSale: () => Promise<void>,
): Promise<ReadonlyMap<Sale, StoredSale>> {
  for (const { sale, told } of sales) told.push(...(await claimAtOnce(sale, people(PEOPLE_FIRST))));
  await untilIssued(sales, PEOPLE_FIRST);
  const crowds = sales.map(async ({ sale, told }) => {
    const options = { spreadMs: SPREAD_MS, deadlineMs: DEADLINE_MS };
    told.push(...(await claimUntilAnswered(sale, people(PEOPLE), options)));
  });
  // What could not be done in mid-sale ends the case before anybody awaits them.
  for (const crowd of crowds) crowd.catch(() => undefined);
  await untilIssued(sales, PEOPLE_FIRST + 1);
  await inMidSale();
  await Promise.all(crowds);
  await untilIssued(sales, LIMIT);
  const before = new Map<Sale, StoredSale>();
  for (const { sale, told } of sales) {
    told.push(...(await askEverybody(sale, told)));
    before.set(sale, await readStored(sale));
  }
  return before;
}

/** From when the service runs on the earlier state: sells on, and judges. */
export async function finishRestored(
  stage: Stage,
  at: At,
  sales: readonly Sold[],
  before: ReadonlyMap<Sale, StoredSale>,
): Promise<void> {
  const healedMs = performance.now();
  const ends = sales.map(async (one) => {
    stage.notes(one.sale.mechanism).injected();
    if (one.quiet) return assertRestored(at, one, before.get(one.sale)!);
    const sellOn = queues(one.sale) ? decideAgain : sellTheRest;
    return sellOn(stage, one, before.get(one.sale)!, healedMs);
  });
  const outcomes = await Promise.allSettled(ends);
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  assertGuardsSilent(at.postgres);
}

/** One of each mechanism, and one more from which nobody claims afterwards, but of those who queue. */
export async function openSales({ mechanisms }: Stage, program: Program): Promise<readonly Sold[]> {
  const sales: Sold[] = [];
  for (const mechanism of mechanisms) {
    for (const quiet of queues({ mechanism }) ? [false] : [false, true]) {
      sales.push({ sale: await openSale(program, { mechanism, limit: LIMIT }), told: [], quiet });
    }
  }
  return sales;
}

async function untilIssued(sales: readonly Pick<Sold, "sale">[], least: number): Promise<void> {
  for (const { sale } of sales) {
    const some = async (): Promise<boolean> => (await readStored(sale)).issued >= least;
    await until(some, `${sale.mechanism}: ${least} are issued`, { msMax: DEADLINE_MS });
  }
}

/** With owner and mode, as a backup keeps them. */
export function copyFolder(from: string, to: string): void {
  const { status, stderr } = spawnSync("cp", ["-a", from, to], { encoding: "utf8" });
  assert.equal(status, 0, stderr);
}

/** What the operator is told to run: no other way is tried here. */
export function documentedSql(): string {
  const text = readFileSync(join(import.meta.dirname, "../../../docs/operating.md"), "utf8");
  const chapter = text.slice(text.indexOf("### Restoring an older copy"));
  const statement = /```sql\s+(?<sql>[^`]+)```/.exec(chapter)?.groups?.["sql"];
  assert.ok(statement !== undefined, "docs/operating.md names the statement");
  return statement;
}

/** v1, v2 before anybody claims: the rows of the copy and no others, and nobody else in Redis. */
async function assertRestored(at: At, { sale }: Sold, before: StoredSale): Promise<void> {
  const { redis } = at;
  if (reserves(sale)) {
    const { rows } = await readStored(sale);
    const held = async (): Promise<string> => JSON.stringify(await heldBy(redis, sale));
    const wanted = JSON.stringify(rows.map(({ userId }) => userId).sort());
    await until(async () => (await held()) === wanted, "Redis persons = row persons");
  }
  const { rows } = await readStored(sale);
  assert.ok(rows.length < LIMIT, `${sale.mechanism}: the copy is of mid-sale`);
  const kept = before.rows.slice(0, rows.length);
  assert.deepEqual(rows.map(couponOf), kept.map(couponOf), sale.mechanism);
}

async function heldBy({ url }: PrivateEngine, { eventId }: Sale): Promise<readonly string[]> {
  const persons = await redisCommand(url, "HKEYS", `stampede:{${eventId}}:persons`);
  assert.ok(Array.isArray(persons));
  return persons.map(String).sort();
}

/**
 * A sale of its own: of what was told before, only what the copy still has is held against it. People
 * of before come too, some with a row in the copy and some whose row is gone.
 */
async function sellTheRest(
  stage: Stage,
  { sale, told }: Sold,
  before: StoredSale,
  healedMs: number,
): Promise<void> {
  const old = before.rows.filter((_, n) => n < OLD_PEOPLE || n >= LIMIT - OLD_PEOPLE);
  const crowd = [...old.map(({ userId }) => userId), ...people(LIMIT)];
  const options = { spreadMs: 1_000, deadlineMs: DEADLINE_MS };
  const again = await claimUntilAnswered(sale, crowd, options);
  assertAnswered(again);
  noteGoodClaim(stage, sale, again, { healedMs, msMax: GOOD_CLAIM_MS_MAX });
  const coupons = new Map(before.rows.map(({ userId, code }) => [userId, code]));
  await untilSold(stage, sale);
  const { rows } = await readStored(sale);
  const kept = rows.filter(({ userId, code }) => coupons.get(userId) === code);
  happened(kept.length > OLD_PEOPLE, `${sale.mechanism}: the copy had no rows`);
  if (kept.length < LIMIT) stage.notes(sale.mechanism).met(LOST);
  const survivors = new Set(kept.map(({ userId }) => userId));
  const history = [...told.filter(({ person }) => survivors.has(person)), ...again];
  await finish(stage, sale, history);
}

/** v3: the whole history holds, but for the time of the second decision. */
async function decideAgain(
  stage: Stage,
  { sale, told }: Sold,
  before: StoredSale,
  healedMs: number,
): Promise<void> {
  const winners = before.rows.map(({ userId }) => userId).slice(-OLD_PEOPLE);
  const options = { spreadMs: 1_000, deadlineMs: DEADLINE_MS };
  const again = await claimUntilAnswered(sale, [...winners, ...people(OLD_PEOPLE)], options);
  assertAnswered(again);
  noteGoodClaim(stage, sale, again, { healedMs, msMax: GOOD_CLAIM_MS_MAX });
  await untilSold(stage, sale);
  const { rows } = await readStored(sale);
  const timeless = (one: StoredRow): StoredRow => ({ ...couponOf(one), issuedAt: "" });
  assert.deepEqual(rows.map(timeless), before.rows.map(timeless), "the same coupons");
  const dates = new Map(rows.map(({ userId, issuedAt }) => [userId, issuedAt]));
  const anew = rows.filter(({ issuedAt }, n) => issuedAt !== before.rows[n]?.issuedAt).length;
  happened(anew < LIMIT, `${sale.mechanism}: the copy had no rows`);
  if (anew > 0) stage.notes(sale.mechanism).met(LOST);
  const dated = told.map((attempt) => ({
    ...attempt,
    issuedAt: attempt.issuedAt === null ? null : (dates.get(attempt.person) ?? null),
  }));
  await finish(stage, sale, [...dated, ...again]);
}

/** L1, from the last answer on: all coupons are rows once enough people have come. */
async function untilSold(stage: Stage, sale: Sale): Promise<void> {
  const fromMs = performance.now();
  await until(async () => (await readStored(sale)).issued === LIMIT, `${sale.mechanism}: L1`);
  stage.notes(sale.mechanism).recovered("L1", performance.now() - fromMs);
}

/** Without the event's own counter, which the reading has beside it. */
function couponOf({ seq, userId, code, issuedAt, ticket }: StoredRow): StoredRow {
  return { seq, userId, code, issuedAt, ticket };
}
