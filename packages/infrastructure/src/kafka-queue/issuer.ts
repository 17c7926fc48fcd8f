// v3, the front: a claim is appended to its event's log and answered with its place there. Who gets a
// coupon is decided behind the log (decider.ts).
//
// While PostgreSQL is away, people go on queueing: the door is judged by the event as last read and
// by the database's clock as last measured. Only what is final is answered without it.
import type {
  ClaimAnswer,
  ClaimRefusal,
  CouponIssuer,
  DoorDecision,
  EventId,
} from "@stampede/domain";
import { decideAtDoor, doorRefusal, EngineFault, invariant } from "@stampede/domain";
import type { EventDirectory, KnownEvent, QueueFacts } from "../rows/event-directory.ts";
import { fullest } from "../engines/measure.ts";
import type { Fullness } from "../engines/measure.ts";
import type { Postgres } from "../engines/postgres/open.ts";
import { claimLines } from "./door/claim-lines.ts";
import { estimateErrors } from "./door/estimate-errors.ts";
import { queueHalts } from "./halts.ts";
import type { Halts } from "./halts.ts";
import type { Kafka } from "./log/open.ts";
import { patientDirectory } from "./door/patient-directory.ts";
import { queueStatus, tickets } from "./status.ts";

export type KafkaQueueIssuer = CouponIssuer &
  Fullness & {
    /** Ends its timers; what is on its way to the log is still answered. Close it before Kafka. */
    close(): void;
    [Symbol.dispose](): void;
  };

export type KafkaQueueOptions = {
  readonly kafka: Kafka;
  readonly postgres: Postgres;
  readonly directory: EventDirectory;
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
  const ticketOf = tickets(directory, postgres.time);
  const status = queueStatus({ postgres, directory, ticketOf });

  const issuer: KafkaQueueIssuer = {
    async claim(eventId, userId): Promise<ClaimAnswer> {
      const looked = patient.look(eventId, userId);
      const reading = looked.reading === null ? null : await looked.reading;
      const known = reading?.known ?? looked.known ?? (await patient.event(eventId));
      const mine = reading === null ? looked.mine : (reading.mine.get(userId) ?? null);
      const nowMs = postgres.clock.nowMs();
      const decision = decideAtDoor(known.event, mine, nowMs);
      if (decision.kind === "replay") {
        return { kind: "replayed", couponIssue: decision.couponIssue };
      }
      // Without an answer of PostgreSQL nobody is told sold out: this person may hold a coupon.
      const refusal =
        decision.kind === "look" ? doorRefusal(known.event, nowMs) : refusalOf(decision);
      if (refusal !== null) return { kind: "refused", refusal };
      const { queue } = known;
      invariant(queue !== null, "an event with a line has a queue");
      refuseUnserved({ eventId, queue, halts, kafka });
      const offset = await lines.of(eventId, queue).append(userId);
      const ticket = ticketOf.now(known, offset);
      errors.told(ticket);
      return { kind: "queued", ticket };
    },

    status,

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
    saturation: () => fullest(0, lines.shares()),
    lines: () => lines.shares(),
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
  if (!at.kafka.isUp()) throw new EngineFault("kafka", "not-applied", "Kafka cannot be used now");
}

function refusalOf(decision: DoorDecision): ClaimRefusal | null {
  return "refusal" in decision ? decision.refusal : null;
}
