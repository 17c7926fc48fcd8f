// Interleavings of awaits: fast-check's scheduler decides which of the waiting steps goes on, so
// that every order in which engines may answer can come up, and a failing one is shrunk and replays.
//
// The memory adapters decide in one step; the scheduled awaits before and after it are the way to an
// engine and back. That a mechanism without a lock is found out proves that the orders are real.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { changeEvent, claimCoupon, claimStatus, decideClaim } from "@stampede/domain";
import type {
  CouponIssue,
  CouponIssuer,
  EventStore,
  Mechanism,
  Mechanisms,
} from "@stampede/domain";
import fc from "fast-check";
import { couponIssue, openTestSale, person, mechanismsWith } from "./support.ts";
import type { TestSale } from "./support.ts";

/** Waits until the scheduler lets it go on. */
type Travel = (label: string) => Promise<void>;

function travelBy(scheduler: fc.Scheduler): Travel {
  return async (label) => scheduler.schedule(Promise.resolve(), label);
}

function delayed(issuer: CouponIssuer, travel: Travel): CouponIssuer {
  return {
    async claim(eventId, userId) {
      await travel(`${userId} asks`);
      const answer = await issuer.claim(eventId, userId);
      await travel(`${userId} is answered`);
      return answer;
    },
    async status(eventId, userId, ticket) {
      await travel(`${userId} asks for the status`);
      const status = await issuer.status(eventId, userId, ticket);
      await travel(`${userId} is told the status`);
      return status;
    },
    available: (eventId) => issuer.available(eventId),
  };
}

/** An operator's way to the store and back. */
function delayedStore(store: EventStore, travel: Travel): EventStore {
  return {
    ...store,
    async change(id, version, decide) {
      await travel("a change is sent");
      const changed = await store.change(id, version, decide);
      await travel("a change is answered");
      return changed;
    },
  };
}

/** The bug that every mechanism exists to avoid: reads, waits, and writes by what it has read. */
function carelessIssuer(sale: TestSale, travel: Travel, written: CouponIssue[]): CouponIssuer {
  return {
    async claim(eventId, userId) {
      const mine = written.find((row) => row.userId === userId) ?? null;
      const reading = await sale.store.find(eventId);
      assert.ok(reading !== null);
      const { limit } = reading.event;
      const facts = { limit, issued: Math.min(written.length, limit), mine, door: null };
      const decision = decideClaim(facts);
      await travel(`${userId} was counted`);
      if (!decision.ok) return { kind: "refused", refusal: decision.refusal };
      if (decision.value.kind === "replay") {
        return { kind: "replayed", couponIssue: decision.value.couponIssue };
      }
      const row = couponIssue({ userId, seq: decision.value.seq });
      written.push(row);
      return { kind: "issued", couponIssue: row };
    },
    status: async () => Promise.resolve({ kind: "none" }),
    available: () => true,
  };
}

type Crowd = {
  readonly limit: number;
  /** The persons who claim, in the order of sending; a name twice is a person who clicks twice. */
  readonly claims: readonly number[];
};

const crowds: fc.Arbitrary<Crowd> = fc.record({
  limit: fc.integer({ min: 1, max: 3 }),
  claims: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 10 }),
});

/** What must stand in the rows once everybody of a crowd has a final answer. */
function assertExact(rows: readonly CouponIssue[], limit: number, claims: readonly number[]): void {
  const people = new Set(claims);
  assert.equal(rows.length, Math.min(limit, people.size), "exactly the limit, or everybody");
  assert.deepEqual(
    rows.map((row) => row.seq),
    rows.map((_, index) => index + 1),
  );
  assert.equal(new Set(rows.map((row) => row.userId)).size, rows.length, "one a person");
}

async function runCrowd(
  parts: {
    readonly id: TestSale["id"];
    readonly mechanism: Mechanism;
    readonly mechanisms: Mechanisms;
  },
  crowd: Crowd,
  options: {
    readonly travel: Travel;
    readonly rows: () => Promise<readonly CouponIssue[]>;
    readonly limitNow: () => Promise<number>;
  },
): Promise<{ readonly soldOut: boolean }> {
  const { id, mechanism, mechanisms } = parts;
  const findMechanism = async (): Promise<Mechanism> => {
    await options.travel("the mechanism is looked up");
    return mechanism;
  };
  const told = new Map<string, string>();
  let soldOut = false;
  await Promise.all(
    crowd.claims.map(async (name) => {
      const claim = { eventId: id, userId: person(name), mechanism };
      const answer = await claimCoupon({ findMechanism, mechanisms }, claim);
      const rows = await options.rows();
      if (!answer.ok) {
        assert.equal(answer.refusal.kind, "sold-out");
        soldOut = true;
        assert.equal(rows.length, await options.limitNow(), "sold out before all was issued");
        return;
      }
      if (answer.value.kind === "queued") return;
      const { couponIssue } = answer.value;
      const row = rows.find(({ userId }) => userId === claim.userId);
      assert.deepEqual(row, couponIssue, "told issued without that row");
      const before = told.get(couponIssue.userId) ?? couponIssue.code;
      assert.equal(couponIssue.code, before, "two answers to one person differ");
      told.set(couponIssue.userId, couponIssue.code);
    }),
  );
  return { soldOut };
}

function limitOf(sale: TestSale): () => Promise<number> {
  return async () => (await sale.store.find(sale.id))?.event.limit ?? 0;
}

describe("a crowd whose steps interleave in any order", () => {
  test("gets exactly the limit, one coupon a person, and sold out only when all are issued", async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), crowds, async (scheduler, crowd) => {
        const sale = await openTestSale("row-lock", { limit: crowd.limit });
        const travel = travelBy(scheduler);
        const issuer = delayed(sale.issuerOf("row-lock"), travel);
        const mechanisms = mechanismsWith(sale, "row-lock", issuer);
        const options = { travel, rows: sale.rows, limitNow: limitOf(sale) };
        const parts = { id: sale.id, mechanism: "row-lock", mechanisms };
        await scheduler.waitFor(runCrowd(parts, crowd, options));
        assertExact(await sale.rows(), crowd.limit, crowd.claims);
      }),
      { numRuns: 500 },
    );
  });

  test("keeps all that while operators raise the limit, and sold out stays final", async () => {
    const raises = fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), crowds, raises, async (scheduler, crowd, limits) => {
        const sale = await openTestSale("row-lock", { limit: crowd.limit });
        const travel = travelBy(scheduler);
        const issuer = delayed(sale.issuerOf("row-lock"), travel);
        const mechanisms = mechanismsWith(sale, "row-lock", issuer);
        const options = { travel, rows: sale.rows, limitNow: limitOf(sale) };
        const operator = { ...sale, store: delayedStore(sale.store, travel) };
        const operators = limits.map(async (limit) => {
          const version = (await sale.store.find(sale.id))?.event.version ?? 0;
          return changeEvent(operator, { id: sale.id, version, change: { limit } });
        });
        const parts = { id: sale.id, mechanism: "row-lock", mechanisms };
        const people = runCrowd(parts, crowd, options);
        const [changed, told] = await scheduler.waitFor(
          Promise.all([Promise.all(operators), people]),
        );
        // All read version 1, so at most one of them is let through.
        const raised = changed.filter((one) => one.ok).length;
        assert.ok(raised <= 1);
        const reading = await sale.store.find(sale.id);
        assert.equal(reading?.event.version, 1 + raised);
        const { limit } = reading.event;
        const rows = await sale.rows();
        assert.ok(rows.length <= limit);
        // A limit that rose after somebody was told "sold out" would leave coupons over.
        if (told.soldOut) assert.equal(rows.length, limit, "sold out was not final");
        else assertExact(rows, limit, crowd.claims);
      }),
      { numRuns: 500 },
    );
  });

  test("gets its coupons from the queue in the order of the log, however the decider keeps up", async () => {
    const portions = fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), crowds, portions, async (scheduler, crowd, counts) => {
        const sale = await openTestSale("kafka-queue", { limit: crowd.limit });
        const travel = travelBy(scheduler);
        const issuer = delayed(sale.issuerOf("kafka-queue"), travel);
        const mechanisms = mechanismsWith(sale, "kafka-queue", issuer);
        const options = { travel, rows: sale.rows, limitNow: limitOf(sale) };
        const decider = async (): Promise<void> => {
          for (const count of counts) {
            await travel("the decider reads");
            sale.decide(sale.id, count);
          }
        };
        const parts = { id: sale.id, mechanism: "kafka-queue", mechanisms };
        const watchers = crowd.claims.map(async (name, ticket) => {
          const question = { eventId: sale.id, userId: person(name), ticket };
          const status = await claimStatus({ ...sale, mechanisms }, question);
          assert.ok(status.ok);
          const rows = await sale.rows();
          if (status.value.kind === "sold-out") assert.equal(rows.length, crowd.limit);
        });
        await scheduler.waitFor(
          Promise.all([runCrowd(parts, crowd, options), decider(), ...watchers]),
        );
        sale.decide(sale.id);
        const rows = await sale.rows();
        assertExact(rows, crowd.limit, crowd.claims);
        const tickets = rows.map((row) => row.ticket ?? -1);
        assert.deepEqual(
          tickets,
          tickets.toSorted((a, b) => a - b),
        );
      }),
      { numRuns: 500 },
    );
  });

  test("is seen through where a mechanism reads, waits and then writes by what it read", async () => {
    const found = await fc.check(
      fc.asyncProperty(fc.scheduler(), crowds, async (scheduler, crowd) => {
        const sale = await openTestSale("row-lock", { limit: crowd.limit });
        const travel = travelBy(scheduler);
        const written: CouponIssue[] = [];
        const mechanisms = mechanismsWith(sale, "row-lock", carelessIssuer(sale, travel, written));
        const rows = async (): Promise<readonly CouponIssue[]> => Promise.resolve(written);
        const parts = { id: sale.id, mechanism: "row-lock", mechanisms };
        const options = { travel, rows, limitNow: limitOf(sale) };
        await scheduler.waitFor(runCrowd(parts, crowd, options));
        assertExact(written, crowd.limit, crowd.claims);
      }),
      { numRuns: 500 },
    );
    assert.equal(found.failed, true, "the race was never found: the orders are not real");
  });
});
