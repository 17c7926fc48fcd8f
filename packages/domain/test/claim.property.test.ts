import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { changeEvent, claimCoupon, claimStatus } from "@stampede/domain";
import type { CouponIssue, EventChange } from "@stampede/domain";
import fc from "fast-check";
import { START_MS, openTestSale, person } from "./support.ts";
import type { TestSale } from "./support.ts";

type Step =
  | { readonly kind: "claim"; readonly person: number }
  | { readonly kind: "change"; readonly change: EventChange }
  | { readonly kind: "wait"; readonly ms: number };

const OPENS_MS = START_MS + 10;
const CLOSES_MS = START_MS + 80;

const claim = fc.record({
  kind: fc.constant("claim" as const),
  person: fc.integer({ min: 1, max: 8 }),
});
const change = fc.record({
  kind: fc.constant("change" as const),
  change: fc.oneof(
    fc.record({ limit: fc.integer({ min: 1, max: 8 }) }),
    fc.record({ paused: fc.boolean() }),
    fc.record({ closesAtMs: fc.constantFrom(null, CLOSES_MS, OPENS_MS + 1) }),
  ),
});
const wait = fc.record({
  kind: fc.constant("wait" as const),
  ms: fc.integer({ min: 0, max: 20 }),
});
const steps = fc.array(
  fc.oneof<fc.WeightedArbitrary<Step>[]>(
    { arbitrary: claim, weight: 6 },
    { arbitrary: change, weight: 1 },
    { arbitrary: wait, weight: 1 },
  ),
  { maxLength: 60 },
);

/** The whole of the rules, in one screen and by other means: names in a list, a door that is said. */
type Model = {
  readonly winners: number[];
  limit: number;
  paused: boolean;
  closesAtMs: number | null;
  version: number;
};

function expectedAnswer(model: Model, name: number, nowMs: number): string {
  if (model.winners.includes(name)) return `replayed ${model.winners.indexOf(name) + 1}`;
  if (model.winners.length >= model.limit) return "sold-out";
  if (nowMs < OPENS_MS) return "not-open";
  if (model.closesAtMs !== null && nowMs >= model.closesAtMs) return "closed";
  if (model.paused) return "paused";
  model.winners.push(name);
  return `issued ${model.winners.length}`;
}

function applyChange(model: Model, wanted: EventChange): boolean {
  const limit = wanted.limit ?? model.limit;
  if (limit < model.limit) return false;
  if (limit > model.limit && model.winners.length === model.limit) return false;
  Object.assign(model, wanted, { version: model.version + 1 });
  return true;
}

function assertLawful(rows: readonly CouponIssue[], limit: number): void {
  assert.ok(rows.length <= limit);
  assert.deepEqual(
    rows.map((row) => row.seq),
    rows.map((_, index) => index + 1),
  );
  assert.equal(new Set(rows.map((row) => row.userId)).size, rows.length);
  assert.equal(new Set(rows.map((row) => row.code)).size, rows.length);
}

async function answerOf(sale: TestSale, name: number): Promise<string> {
  const answer = await claimCoupon(sale, {
    eventId: sale.id,
    userId: person(name),
    mechanism: "row-lock",
  });
  if (!answer.ok) return answer.refusal.kind;
  assert.ok(answer.value.kind !== "queued");
  return `${answer.value.kind} ${answer.value.couponIssue.seq}`;
}

describe("any sequence of claims, changes and passing time", () => {
  // Red where decideClaim compares with `limit + 1`, or asks the door before sold out.
  test("is answered as a list of names and a limit would answer it", async () => {
    const limits = fc.integer({ min: 1, max: 5 });
    await fc.assert(
      fc.asyncProperty(limits, steps, async (limit, sequence) => {
        const sale = await openTestSale("row-lock", {
          limit,
          opensAtMs: OPENS_MS,
          closesAtMs: CLOSES_MS,
        });
        const { id, clock } = sale;
        const model: Model = {
          winners: [],
          limit,
          paused: false,
          closesAtMs: CLOSES_MS,
          version: 1,
        };
        const kept = new Map<number, CouponIssue>();
        for (const step of sequence) {
          if (step.kind === "wait") {
            clock.nowMs += step.ms;
          } else if (step.kind === "change") {
            const wanted = { id, version: model.version, change: step.change };
            const changed = await changeEvent(sale, wanted);
            assert.equal(changed.ok, applyChange(model, step.change));
          } else {
            const expected = expectedAnswer(model, step.person, clock.nowMs);
            assert.equal(await answerOf(sale, step.person), expected);
          }
          const rows = await sale.rows();
          assertLawful(rows, model.limit);
          assert.deepEqual(
            rows.map((row) => row.userId),
            model.winners.map(person),
          );
          // A coupon issue is for ever: number, code and time of an earlier step are still there.
          rows.forEach((row, index) => {
            assert.deepEqual(row, kept.get(index) ?? row);
            kept.set(index, row);
          });
        }
      }),
      { numRuns: 500 },
    );
  });
});

type QueueStep =
  | { readonly kind: "claim"; readonly person: number }
  | { readonly kind: "decide"; readonly count: number };

describe("any log of claims, decided in any portions", () => {
  const sequence = fc.array(
    fc.oneof<fc.WeightedArbitrary<QueueStep>[]>(
      { arbitrary: claim, weight: 4 },
      {
        arbitrary: fc.record({
          kind: fc.constant("decide" as const),
          count: fc.integer({ min: 0, max: 4 }),
        }),
        weight: 1,
      },
    ),
    { maxLength: 60 },
  );

  test("gives the coupons to the first persons of the log, and keeps every promise of a ticket", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 5 }), sequence, async (limit, steps) => {
        const sale = await openTestSale("kafka-queue", { limit });
        const log: number[] = [];
        const places = new Map<number, number>();
        const promised = new Set<number>();
        for (const step of steps) {
          if (step.kind === "decide") {
            sale.decide(sale.id, step.count);
          } else {
            const userId = person(step.person);
            const answer = await claimCoupon(sale, {
              eventId: sale.id,
              userId,
              mechanism: "kafka-queue",
            });
            if (answer.ok && answer.value.kind === "queued") {
              const { ticket, guaranteed } = answer.value.ticket;
              assert.equal(ticket, log.length);
              log.push(step.person);
              if (guaranteed) promised.add(step.person);
            }
          }
          await assertPlacesShrink(sale, log, places);
        }
        sale.decide(sale.id);
        const rows = await sale.rows();
        assertLawful(rows, limit);
        const winners = [...new Set(log)].slice(0, limit).map(person);
        assert.deepEqual(
          rows.map((row) => row.userId),
          winners,
        );
        for (const name of promised) assert.ok(winners.includes(person(name)));
      }),
      { numRuns: 300 },
    );
  });
});

async function assertPlacesShrink(
  sale: TestSale,
  log: readonly number[],
  places: Map<number, number>,
): Promise<void> {
  for (const [ticket, name] of log.entries()) {
    const status = await claimStatus(sale, { eventId: sale.id, userId: person(name), ticket });
    assert.ok(status.ok);
    if (status.value.kind !== "queued") continue;
    const place = status.value.ticket.ahead;
    assert.ok(place <= (places.get(ticket) ?? ticket), `ticket ${ticket} moved back`);
    places.set(ticket, place);
  }
}
