import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EngineFault, changeEvent, claimCoupon } from "@stampede/domain";
import type { CouponIssuer, Mechanism, UserId } from "@stampede/domain";
import { memoryMechanisms } from "@stampede/domain/memory";
import { START_MS, eventId, mechanismsWith, openTestSale, person } from "../support.ts";
import type { TestSale } from "../support.ts";

const names = memoryMechanisms.map(({ name }) => name);

type Claimed = ReturnType<typeof claimCoupon>;

function claimer(sale: TestSale, mechanism: Mechanism): (userId: UserId) => Claimed {
  return async (userId) => claimCoupon(sale, { eventId: sale.id, userId, mechanism });
}

describe("a claim", () => {
  for (const mechanism of ["row-lock", "redis-counter"] as const) {
    test(`by ${mechanism} is answered with the coupon, and repeated with the same one`, async () => {
      const sale = await openTestSale(mechanism);
      const claim = claimer(sale, mechanism);
      const first = await claim(person(1));
      assert.ok(first.ok && first.value.kind === "issued");
      assert.equal(first.value.couponIssue.seq, 1);
      assert.deepEqual(await claim(person(1)), {
        ok: true,
        value: { kind: "replayed", couponIssue: first.value.couponIssue },
      });
      assert.deepEqual(await sale.rows(), [first.value.couponIssue]);
    });
  }

  test("by kafka-queue is answered with a place, and with the coupon once it is decided", async () => {
    const sale = await openTestSale("kafka-queue", { limit: 1 });
    const claim = claimer(sale, "kafka-queue");
    assert.deepEqual(await claim(person(1)), {
      ok: true,
      value: {
        kind: "queued",
        ticket: { eventId: sale.id, ticket: 0, ahead: 0, guaranteed: true, estimate: null },
      },
    });
    const second = await claim(person(2));
    assert.ok(second.ok && second.value.kind === "queued");
    assert.equal(second.value.ticket.ahead, 1);
    assert.equal(second.value.ticket.guaranteed, false);
    sale.decide(sale.id);
    const again = await claim(person(1));
    assert.ok(again.ok && again.value.kind === "replayed");
    assert.equal(again.value.couponIssue.ticket, 0);
    assert.deepEqual(await claim(person(2)), { ok: false, refusal: { kind: "sold-out" } });
  });

  test("finds the mechanism where it is cached and where it has to be asked for", async () => {
    const sale = await openTestSale("row-lock");
    const asked = { ...sale, findMechanism: async () => Promise.resolve("row-lock" as const) };
    const claim = { eventId: sale.id, userId: person(1), mechanism: "row-lock" as const };
    assert.ok((await claimCoupon(asked, claim)).ok);
    assert.ok((await claimCoupon(sale, claim)).ok);
  });

  test("of an unknown event is refused", async () => {
    const sale = await openTestSale("row-lock");
    const claim = { eventId: eventId("autumn"), userId: person(1), mechanism: "row-lock" as const };
    const refused = { ok: false, refusal: { kind: "no-such-event" } };
    assert.deepEqual(await claimCoupon(sale, claim), refused);
    const asked = { ...sale, findMechanism: async () => Promise.resolve(null) };
    assert.deepEqual(await claimCoupon(asked, claim), refused);
  });

  test("of a mechanism that this process does not have is refused without a path", async () => {
    const sale = await openTestSale("row-lock");
    const claim = { eventId: sale.id, userId: person(1), mechanism: "row-lock" };
    const later = { ...sale, findMechanism: () => "of-a-newer-build" };
    const refusal = { kind: "wrong-mechanism", version: null };
    assert.deepEqual(await claimCoupon(later, claim), { ok: false, refusal });
    assert.deepEqual(await sale.rows(), []);
  });

  test("on another mechanism's path is refused with the right one, and claims nothing", async () => {
    for (const mechanism of names) {
      const sale = await openTestSale(mechanism);
      for (const path of names.filter((other) => other !== mechanism)) {
        assert.deepEqual(await claimer(sale, path)(person(1)), {
          ok: false,
          refusal: { kind: "wrong-mechanism", version: `v${names.indexOf(mechanism) + 1}` },
        });
      }
      sale.decide(sale.id);
      assert.deepEqual(await sale.rows(), []);
    }
  });
});

describe("a refused claim", () => {
  for (const mechanism of names) {
    test(`by ${mechanism} names the window, the pause, or that all is sold`, async () => {
      const opensAtMs = START_MS + 100;
      const closesAtMs = START_MS + 200;
      const sale = await openTestSale(mechanism, { limit: 1, opensAtMs, closesAtMs });
      const claim = claimer(sale, mechanism);
      assert.deepEqual(await claim(person(1)), {
        ok: false,
        refusal: { kind: "not-open", opensAtMs, waitMs: 100 },
      });
      sale.clock.nowMs = opensAtMs;
      await changeEvent(sale, { id: sale.id, version: 1, change: { paused: true } });
      assert.deepEqual(await claim(person(1)), { ok: false, refusal: { kind: "paused" } });
      await changeEvent(sale, { id: sale.id, version: 2, change: { paused: false } });
      sale.clock.nowMs = closesAtMs;
      assert.deepEqual(await claim(person(1)), { ok: false, refusal: { kind: "closed" } });
      sale.clock.nowMs = closesAtMs - 1;
      assert.ok((await claim(person(1))).ok);
      sale.decide(sale.id);
      sale.clock.nowMs = closesAtMs;
      assert.deepEqual(await claim(person(2)), { ok: false, refusal: { kind: "sold-out" } });
      const mine = await claim(person(1));
      assert.ok(mine.ok && mine.value.kind === "replayed");
    });
  }
});

test("an engine's fault passes through unchanged: only who sent the claim knows what to say", async () => {
  const sale = await openTestSale("row-lock");
  const fault = new EngineFault("postgres", "unknown", "the COMMIT was not answered");
  const failing: CouponIssuer = {
    claim: async () => Promise.reject(fault),
    status: async () => Promise.reject(fault),
    available: () => false,
  };
  const dependencies = { ...sale, mechanisms: mechanismsWith(sale, "row-lock", failing) };
  const claim = { eventId: sale.id, userId: person(1), mechanism: "row-lock" as const };
  await assert.rejects(claimCoupon(dependencies, claim), fault);
});
