import type { Mechanism } from "../public/mechanisms.js";
import type { CouponEvent, Frame } from "../public/wire.js";

export const ROW_LOCK: Mechanism = {
  name: "row-lock",
  version: "v1",
  title: "Row lock",
  summary: "Each claim locks the event's row in PostgreSQL, decides, and commits before the next.",
};

/** A mechanism that the pages have no words of their own for. */
export function myIdea(changes: Partial<Mechanism> = {}): Mechanism {
  return {
    name: "my-idea",
    version: "v9",
    title: "My idea",
    summary: "It thinks, then it decides.",
    ...changes,
  };
}

/** An open queue of a hundred coupons; `changes` says what a test is about. */
export function anEvent(changes: Partial<CouponEvent> = {}): CouponEvent {
  return {
    id: "spring",
    name: "Spring coupon",
    mechanism: "kafka-queue",
    limit: 100,
    issued: 0,
    remaining: 100,
    state: "open",
    paused: false,
    opensAt: "2026-12-01T00:00:00.000Z",
    closesAt: null,
    pace: null,
    version: 1,
    claim: "/v3/events/spring/issues",
    available: true,
    ...changes,
  };
}

export function aFrame(changes: Partial<Frame> = {}): Frame {
  return {
    issued: 0,
    remaining: 100,
    state: "open",
    decided: 0,
    perSecond: null,
    lastWinningTicket: null,
    ...changes,
  };
}

export const COUPON = {
  seq: 7,
  code: "0123456789ABCDEFGHJKMNPQRS",
  issuedAt: "2026-12-01T00:00:01.000Z",
};

export const SOLD_OUT_AT_103: Partial<Frame> = {
  issued: 100,
  remaining: 0,
  state: "sold-out",
  decided: 4711,
  lastWinningTicket: 103,
};
