import assert from "node:assert/strict";
import { createEvent, parseEventId, parseUserId } from "@stampede/domain";
import type {
  CouponEvent,
  CouponIssue,
  CouponIssuer,
  EventId,
  Mechanism,
  Mechanisms,
  NewEvent,
  UserId,
} from "@stampede/domain";
import { memorySale } from "@stampede/domain/memory";
import type { MemorySale } from "@stampede/domain/memory";

/** When the clocks of these tests start: 2026-12-01T00:00:00.000Z. */
export const START_MS = 1_796_083_200_000;

export function eventId(text: string): EventId {
  const id = parseEventId(text);
  assert.ok(id !== null, `${text} is no event id`);
  return id;
}

export function person(name: string | number): UserId {
  const userId = parseUserId(`person-${name}`);
  assert.ok(userId !== null);
  return userId;
}

/** An open event, ten coupons, none issued. */
export function couponEvent(fields: Partial<CouponEvent> = {}): CouponEvent {
  return {
    id: eventId("spring"),
    name: "Spring",
    mechanism: "row-lock",
    limit: 10,
    issued: 0,
    opensAtMs: START_MS,
    closesAtMs: null,
    paused: false,
    pace: null,
    listed: true,
    voided: false,
    version: 1,
    ...fields,
  };
}

export function couponIssue(fields: Partial<CouponIssue> = {}): CouponIssue {
  return {
    eventId: eventId("spring"),
    userId: person(1),
    seq: 1,
    code: "0123456789ABCDEFGHJKMNPQRS",
    issuedAtMs: START_MS,
    ticket: null,
    ...fields,
  };
}

/** What an operator would post for an event that opens now and never closes. */
export function newEvent(fields: Partial<NewEvent> = {}): NewEvent {
  return {
    id: eventId("spring"),
    name: "Spring",
    mechanism: "row-lock",
    limit: 10,
    opensAtMs: null,
    closesAtMs: null,
    pace: null,
    listed: true,
    ...fields,
  };
}

export type TestSale = MemorySale & {
  readonly id: EventId;
  /** The sale's clock; a test sets it. */
  readonly clock: { nowMs: number };
  /** All coupon issues of the event, in `seq` order. */
  readonly rows: () => Promise<readonly CouponIssue[]>;
};

/** A sale on the memory adapters with one event; its codes count up, its clock stands still. */
export async function openTestSale(
  mechanism: Mechanism,
  fields: Partial<NewEvent> = {},
): Promise<TestSale> {
  const clock = { nowMs: START_MS };
  let codes = 0;
  const sale = memorySale({
    nowMs: () => clock.nowMs,
    drawCode: () => {
      codes += 1;
      return String(codes).padStart(26, "0");
    },
  });
  const created = await createEvent(sale, newEvent({ mechanism, ...fields }));
  assert.ok(created.ok);
  const { id } = created.value.event;
  const rows = async (): Promise<readonly CouponIssue[]> => {
    const page = await sale.store.issues(id, { size: Number.MAX_SAFE_INTEGER, cursor: null });
    assert.ok(page.ok);
    return page.value.entries;
  };
  return { ...sale, id, clock, rows };
}

/** The mechanisms of a sale, one of them with another issuer. */
export function mechanismsWith(
  sale: MemorySale,
  mechanism: Mechanism,
  issuer: CouponIssuer,
): Mechanisms {
  const facts = sale.mechanisms.get(mechanism)?.facts;
  assert.ok(facts !== undefined);
  return new Map(sale.mechanisms).set(mechanism, { facts, issuer });
}
