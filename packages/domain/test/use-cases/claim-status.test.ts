import assert from "node:assert/strict";
import { test } from "node:test";
import { EngineFault, claimCoupon, claimStatus } from "@stampede/domain";
import type { ClaimStatus, UserId } from "@stampede/domain";
import { memoryMechanisms } from "@stampede/domain/memory";
import { eventId, openTestSale, person } from "../support.ts";
import type { TestSale } from "../support.ts";

async function statusOf(
  sale: TestSale,
  userId: UserId,
  ticket: number | null = null,
): Promise<ClaimStatus> {
  const status = await claimStatus(sale, { eventId: sale.id, userId, ticket });
  assert.ok(status.ok);
  return status.value;
}

test("whoever asks about an unknown event is told that there is none", async () => {
  const sale = await openTestSale("row-lock");
  const question = { eventId: eventId("autumn"), userId: person(1), ticket: null };
  assert.deepEqual(await claimStatus(sale, question), {
    ok: false,
    refusal: { kind: "no-such-event" },
  });
});

test("a holder is shown the coupon by every mechanism, the others that all is sold out", async () => {
  for (const mechanism of memoryMechanisms.map(({ name }) => name)) {
    const sale = await openTestSale(mechanism, { limit: 1 });
    assert.deepEqual(await statusOf(sale, person(1)), { kind: "none" });
    await claimCoupon(sale, { eventId: sale.id, userId: person(1), mechanism });
    sale.decide(sale.id);
    const [row] = await sale.rows();
    assert.deepEqual(await statusOf(sale, person(1)), { kind: "issued", couponIssue: row });
    assert.deepEqual(await statusOf(sale, person(2)), { kind: "sold-out" });
    assert.deepEqual(await statusOf(sale, person(2), 17), { kind: "sold-out" });
  }
});

test("a person in the line sees the place move up, by the ticket, and nothing without it", async () => {
  const sale = await openTestSale("kafka-queue", { limit: 9 });
  for (const name of [1, 2, 3]) {
    await claimCoupon(sale, {
      eventId: sale.id,
      userId: person(name),
      mechanism: "kafka-queue",
    });
  }
  const places: (number | null)[] = [];
  for (let decided = 0; decided < 3; decided += 1) {
    const status = await statusOf(sale, person(3), 2);
    places.push(status.kind === "queued" ? status.ticket.ahead : null);
    assert.deepEqual(await statusOf(sale, person(3)), { kind: "none" });
    sale.decide(sale.id, 1);
  }
  assert.deepEqual(places, [2, 1, 0]);
  assert.equal((await statusOf(sale, person(3), 2)).kind, "issued");
});

test("a made-up ticket misleads only whoever made it up", async () => {
  const sale = await openTestSale("kafka-queue", { limit: 9 });
  await claimCoupon(sale, { eventId: sale.id, userId: person(1), mechanism: "kafka-queue" });
  sale.decide(sale.id);
  assert.deepEqual(await statusOf(sale, person(2), 0), { kind: "none" });
  assert.equal((await statusOf(sale, person(2), 500)).kind, "queued");
  assert.equal((await statusOf(sale, person(1), 500)).kind, "issued");
  assert.equal((await sale.rows()).length, 1);
});

test("whoever asks about an event of another build's mechanism is told that this one cannot say", async () => {
  const sale = await openTestSale("row-lock");
  const later = { ...sale, findMechanism: () => "of-a-newer-build" };
  const question = { eventId: sale.id, userId: person(1), ticket: null };
  await assert.rejects(
    claimStatus(later, question),
    (error) => error instanceof EngineFault && error.outcome === "not-applied",
  );
});
