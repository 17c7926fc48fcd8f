import type { CouponEvent, EventState } from "./coupon-event.ts";
import { eventState } from "./coupon-event.ts";

/** What everybody who watches an event is told; committed facts only. */
export type Progress = {
  /** Grows with every change, an operator's and the window's too; equal on every instance. */
  readonly id: number;
  readonly issued: number;
  readonly remaining: number;
  readonly state: EventState;
  /** Where people queue: the next undecided ticket; null elsewhere. */
  readonly decided: number | null;
  /** Decisions (where people queue) or coupon issues (elsewhere) per second, lately. */
  readonly perSecond: number;
  /** Where people queue, once sold out: the ticket of the last coupon issue. */
  readonly lastWinningTicket: number | null;
  /** The line stands still until an operator acts. */
  readonly stalled: boolean;
  /** Ended for good by an operator: who has no coupon gets none. */
  readonly voided: boolean;
};

/** Where an event's queue stands; null for mechanisms without one. */
export type QueueMark = {
  readonly decided: number;
  readonly lastWinningTicket: number | null;
  readonly halted: boolean;
  /** How often it was halted or set free: it only grows. */
  readonly haltChanges: number;
};

// A version can turn "closed" back into "scheduled", so one version weighs more than all states.
const STATE_ORDER = { scheduled: 0, open: 1, "sold-out": 2, closed: 2 } as const;
const STATES_WEIGHT = 4;

/** Composes the progress of an event at `nowMs`. Every summand of `id` only grows. */
export function progressOf(
  event: CouponEvent,
  queue: QueueMark | null,
  at: { readonly nowMs: number; readonly perSecond: number },
): Progress {
  const state = eventState(event, at.nowMs);
  const decided = queue?.decided ?? null;
  return {
    id:
      event.version * STATES_WEIGHT +
      STATE_ORDER[state] +
      event.issued +
      (decided ?? 0) +
      (queue?.haltChanges ?? 0),
    issued: event.issued,
    remaining: event.limit - event.issued,
    state,
    decided,
    perSecond: at.perSecond,
    lastWinningTicket: state === "sold-out" ? (queue?.lastWinningTicket ?? null) : null,
    stalled: queue?.halted === true && state !== "sold-out" && !event.voided,
    voided: event.voided,
  };
}
