// Sales at the one door of a deployment, judged by the referee over everything that anybody was told.
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { rush } from "@stampede/lab";
import type { Attempt } from "@stampede/lab";
import { MECHANISMS, type Mechanism } from "../faults/mechanisms.ts";
import {
  askEverybody,
  openSale,
  people,
  tally,
  unsettled,
  verdict,
  visitor,
} from "../faults/support/sale.ts";
import type { Sale } from "../faults/support/sale.ts";
import type { Program } from "../support/program.ts";
import { servesAgain } from "./stack.ts";

const PEOPLE = 500;
const COUPONS = 50;
const VISITORS = 40;
const DEADLINE_MS = 60_000;
const RETRY_MS = 150;
const SPREAD_MS = 5_000;

/** A crowd at one instant for each mechanism. */
export async function saleOfEach(shop: Program): Promise<string> {
  for (const mechanism of MECHANISMS) {
    const crowd = { mechanism, users: PEOPLE, limit: COUPONS, streams: 3 };
    const sale = await rush({ ...shop, ...crowd });
    assert.deepEqual(sale.violations, [], mechanism);
    assert.deepEqual(sale.voidReasons, [], mechanism);
    assert.equal(sale.issuedRows, COUPONS, mechanism);
  }
  const each = `${PEOPLE} people for ${COUPONS} coupons on each of ${MECHANISMS.join(", ")}`;
  return `${each}: the referee finds nothing wrong`;
}

/**
 * People come for five seconds while something is done to the deployment, try again after every fault and
 * ask in the end. Nobody may be told anything wrong, and all coupons are issued.
 */
export async function saleUnder(
  shop: Program,
  mechanism: Mechanism,
  trouble: () => Promise<void>,
): Promise<string> {
  const sale = await openSale(shop, { mechanism, limit: 150 });
  const claiming = claimWhateverHappens(sale, people(400));
  await pause(SPREAD_MS / 4);
  await trouble();
  await servesAgain(shop);
  const told = await claiming;
  const asked = await askEverybody(sale, told);
  const { violations, stored } = await verdict(sale, [...told, ...asked]);
  const counts = tally(told);
  const context = JSON.stringify({ told: counts, asked: tally(asked) });
  assert.deepEqual(violations, [], context);
  assert.deepEqual(unsettled(asked), [], context);
  assert.equal(stored.rows.length, sale.limit, context);
  const faults = (counts["unknown"] ?? 0) + (counts["refused"] ?? 0);
  return `${mechanism}: ${stored.rows.length} coupons, ${faults} claims met the fault, nothing wrong`;
}

/** As people do: until an answer is one, also where nobody listens for a while. */
async function claimWhateverHappens(
  sale: Sale,
  persons: readonly string[],
): Promise<readonly Attempt[]> {
  const startMs = performance.now();
  const coming = persons.map((person, at) => ({
    person,
    atMs: startMs + (SPREAD_MS * at) / persons.length,
  }));
  const attempts: Attempt[] = [];
  const lane = async (): Promise<void> => {
    const one = visitor();
    for (let next = coming.shift(); next !== undefined; next = coming.shift()) {
      await pause(Math.max(0, next.atMs - performance.now()));
      for (let number = 1; ; number += 1) {
        const asked = { kind: "claim", person: next.person, ticket: null } as const;
        const attempt = await one.send(sale, asked);
        attempts.push({ ...attempt, attempt: number });
        const isFault = attempt.outcome === "refused" || attempt.outcome === "unknown";
        if (!isFault || performance.now() > startMs + DEADLINE_MS) break;
        await pause(RETRY_MS);
      }
    }
    one.leave();
  };
  await Promise.all(Array.from({ length: VISITORS }, lane));
  return attempts;
}

export type Kept = { readonly sale: Sale; readonly told: readonly Attempt[] };

/** A sale on each mechanism whose people are asked again later. */
export async function keptSales(shop: Program): Promise<readonly Kept[]> {
  const kept: Kept[] = [];
  for (const mechanism of MECHANISMS) {
    const sale = await openSale(shop, { mechanism, limit: 30 });
    const told = await claimWhateverHappens(sale, people(60));
    kept.push({ sale, told: [...told, ...(await askEverybody(sale, told))] });
  }
  return kept;
}

/** Everybody is told the same as before, and the rows are the same. */
export async function isAllThere(kept: readonly Kept[], shop: Program): Promise<string> {
  let rows = 0;
  for (const { sale: before, told } of kept) {
    const sale = { ...before, program: shop };
    const asked = await askEverybody(sale, told);
    const { violations, stored } = await verdict(sale, [...told, ...asked]);
    assert.deepEqual(violations, [], before.mechanism);
    assert.deepEqual(unsettled(asked), [], before.mechanism);
    rows += stored.rows.length;
  }
  return `${rows} coupons of ${kept.length} sales are there, and everybody is told the same as before`;
}
