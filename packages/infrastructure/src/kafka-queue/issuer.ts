// v3, the front: a claim is appended to its event's log and answered with its place there. Who gets a
// coupon is decided behind the log (decider.ts).
//
// While PostgreSQL is away, people go on queueing: the door is judged by the event as last read and
// by the database's clock as last measured. Only what is final is answered without it.
import type { ClaimAnswer, ClaimStatus, CouponIssuer, EventId, Ticket } from "@stampede/domain";
import {
  ahead,
  doorRefusal,
  EngineFault,
  estimateWait,
  guaranteed,
  invariant,
} from "@stampede/domain";
import type {
  EventDirectory,
  KnownEvent,
  Lookup,
  QueueFacts,
} from "../postgres/event-directory.ts";
import type { Postgres } from "../postgres/open.ts";
import type { Time } from "../time.ts";
import { claimLines } from "./claim-lines.ts";
import { estimateErrors } from "./estimate-errors.ts";
import { queueHalts } from "./halts.ts";
import type { Halts } from "./halts.ts";
import type { Kafka } from "./open.ts";
import { patientDirectory } from "./patient-directory.ts";

export type KafkaQueueIssuer = CouponIssuer & {
  /** The taken share of the fullest line of claims, 0 to 1; at 1 the next claim is turned away. */
  saturation(): number;
  /** Ends its timers; what is on its way to the log is still answered. Close it before Kafka. */
  close(): void;
  [Symbol.dispose](): void;
};

export type KafkaQueueOptions = {
  readonly kafka: Kafka;
  readonly postgres: Postgres;
  readonly directory: EventDirectory;
  /** Draws a coupon's code for each claim before it is queued: the log alone decides who gets which. */
  readonly drawCode: () => string;
  /** Called once when this process halts an event, for a loud log line. */
  readonly onHalt: (eventId: EventId, reason: string) => void;
};

const HALTED_RETRY_MS = 30_000;
const PREPARED_BEFORE_MS = 60_000;

export function kafkaQueueIssuer(options: KafkaQueueOptions): KafkaQueueIssuer {
  const { kafka, postgres, directory } = options;
  const halts = queueHalts(postgres, options.onHalt);
  const patient = patientDirectory(postgres, directory);
  const lines = claimLines({ ...options, time: postgres.time, halts });
  const errors = estimateErrors(directory, postgres.time);
  const ticketOf = ticketFactory(directory, postgres.time);

  const issuer: KafkaQueueIssuer = {
    async claim(eventId, userId): Promise<ClaimAnswer> {
      const final = directory.final(eventId, userId);
      if (final === "sold-out") return { kind: "refused", refusal: { kind: "sold-out" } };
      if (final !== null) return { kind: "replayed", couponIssue: final };
      const event = patient.event(eventId);
      const known = event instanceof Promise ? await event : event;
      const reading = await patient.read(eventId, userId);
      const { event: judged, queue } = reading?.known ?? known;
      invariant(queue !== null, "an event of kafka-queue has a queue");
      // Without an answer of PostgreSQL nobody is told sold-out: this person may hold a coupon.
      const mine = reading?.mine.get(userId);
      if (mine !== undefined) return { kind: "replayed", couponIssue: mine };
      // By the coupon issues that are committed, never by the log's length: records repeat (B26).
      if (reading !== null && judged.issued === judged.limit) {
        return { kind: "refused", refusal: { kind: "sold-out" } };
      }
      const refusal = doorRefusal(judged, postgres.clock.nowMs());
      if (refusal !== null) return { kind: "refused", refusal };
      refuseUnserved({ eventId, queue, halts, kafka });
      const offset = await lines.of(eventId, queue).append(userId);
      const ticket = ticketOf(directory.peek(eventId) ?? known, offset);
      errors.told(ticket);
      return { kind: "queued", ticket };
    },

    async status(eventId, userId, ticket): Promise<ClaimStatus> {
      const final = directory.final(eventId, userId);
      if (final === "sold-out") return { kind: "sold-out" };
      if (final !== null) return { kind: "issued", couponIssue: final };
      const known = directory.peek(eventId);
      if (ticket === null || ticket < (known?.queue?.nextOffset ?? Number.MAX_VALUE)) {
        return statusOf(await directory.lookUp(eventId, userId), ticket, ticketOf);
      }
      const reading = await patient.read(eventId, userId);
      if (reading !== null) {
        const mine = reading.mine.get(userId) ?? null;
        return statusOf({ ...reading.known, mine }, ticket, ticketOf);
      }
      if (known === null) return { kind: "none" };
      // While PostgreSQL is away nothing is decided either: the mark as last read is the mark.
      return { kind: "queued", ticket: ticketOf(known, ticket) };
    },

    available(eventId) {
      // This process may not know the event yet: then its halts alone know of it.
      if (!kafka.isUp() || halts.isHalted(eventId)) return false;
      const known = directory.peek(eventId);
      if ((known?.queue?.halted ?? null) !== null) return false;
      // Whoever looks at an event is about to claim: the first of ten thousand must not wait for three
      // questions to the broker, with all others behind.
      if (known !== null && known.queue !== null && isAboutToSell(known, postgres.clock.nowMs())) {
        lines.prepare(eventId, known.queue);
      }
      return true;
    },
    saturation: () => lines.saturation(),
    close() {
      errors.close();
      halts.close();
    },
    [Symbol.dispose]: () => issuer.close(),
  };
  return issuer;
}

/** Open, or open within a minute, with coupons left. */
function isAboutToSell({ event }: KnownEvent, nowMs: number): boolean {
  const opensSoon = event.opensAtMs - nowMs < PREPARED_BEFORE_MS;
  return event.issued < event.limit && opensSoon && nowMs < (event.closesAtMs ?? Infinity);
}

function refuseUnserved(at: {
  readonly eventId: EventId;
  readonly queue: QueueFacts;
  readonly halts: Halts;
  readonly kafka: Kafka;
}): void {
  const halted = at.halts.reason(at.eventId) ?? at.queue.halted;
  if (halted !== null) {
    const message = `event ${at.eventId} is halted until an operator clears it: ${halted}`;
    throw new EngineFault("kafka", "not-applied", message, { retryAfterMs: HALTED_RETRY_MS });
  }
  if (!at.kafka.isUp()) throw new EngineFault("kafka", "not-applied", "no Kafka broker answers");
}

function statusOf(
  lookup: Lookup | null,
  ticket: number | null,
  ticketOf: (known: KnownEvent, ticket: number) => Ticket,
): ClaimStatus {
  if (lookup === null) return { kind: "none" };
  if (lookup.mine !== null) return { kind: "issued", couponIssue: lookup.mine };
  if (lookup.event.issued === lookup.event.limit) return { kind: "sold-out" };
  if (ticket === null || ticket < (lookup.queue?.nextOffset ?? 0)) return { kind: "none" };
  return { kind: "queued", ticket: ticketOf(lookup, ticket) };
}

/** Rates change by the second, and reading them costs more than all else in an answer. */
const RATES_KEPT_MS = 50;

function ticketFactory(
  directory: EventDirectory,
  time: Time,
): (known: KnownEvent, ticket: number) => Ticket {
  type Kept = {
    readonly eventId: EventId;
    readonly rates: readonly number[];
    readonly atMs: number;
  };
  let kept: Kept | null = null;
  const ratesOf = (eventId: EventId): readonly number[] => {
    const nowMs = time.nowMs();
    if (kept?.eventId !== eventId || nowMs - kept.atMs > RATES_KEPT_MS) {
      kept = { eventId, rates: directory.recentRates(eventId), atMs: nowMs };
    }
    return kept.rates;
  };
  return ({ event, queue }, ticket) => {
    const aheadCount = ahead(ticket, queue?.nextOffset ?? 0);
    return {
      eventId: event.id,
      ticket,
      ahead: aheadCount,
      guaranteed: guaranteed(ticket, event.limit),
      estimate: estimateWait(aheadCount, event.pace === null ? ratesOf(event.id) : [event.pace]),
    };
  };
}
