import type { ClaimAnswer, CouponIssuer, EventId, UserId } from "@stampede/domain";
import { decideAtDoor, EngineFault } from "@stampede/domain";
import type { EventDirectory, Glance, Lookup } from "../rows/event-directory.ts";
import type { Postgres } from "../engines/postgres/open.ts";
import { statusByRows } from "../rows/status.ts";
import { measuredBacklog } from "../rows/backlog.ts";
import type { BatchWriter } from "../rows/batch-writer.ts";
import { BATCH_ROWS_MAX } from "../rows/write-batch.ts";
import { fullest } from "../engines/measure.ts";
import type { EventShares, Fullness } from "../engines/measure.ts";
import { untilSettled } from "../engines/time.ts";
import { ReservationLine } from "./reservation-line.ts";
import type { Generations } from "./generations.ts";
import { reservationWriter } from "./reservations.ts";
import type { Redis } from "../engines/redis/open.ts";
import { holdsNumber, stampOf } from "./scripts.ts";

export type RedisCounterOptions = {
  readonly redis: Redis;
  readonly postgres: Postgres;
  readonly directory: EventDirectory;
  readonly generations: Generations;
  readonly drawCode: () => string;
};

export type RedisCounterIssuer = CouponIssuer &
  Fullness & {
    /** Claims that are not answered yet. */
    inFlight(): number;
    /** Takes no more claims and waits, for a bounded time, until those taken are answered. */
    close(): Promise<void>;
    [Symbol.asyncDispose](): Promise<void>;
  };

/** Claims that may wait for an answer, of all events; one more is turned away. About 1 KiB each. */
const IN_FLIGHT_MAX = 100_000;
/** ... and of one event. */
const IN_FLIGHT_OF_EVENT_MAX = 50_000;
/** Before anything was measured: two transactions, which any machine writes in time. */
const BACKLOG = { perMs: 0, least: 2 * BATCH_ROWS_MAX };
const DRAIN_MS_MAX = 8_000;

/**
 * v2: one script in Redis reserves for all claims of a turn, one transaction in PostgreSQL writes
 * the rows of hundreds. Redis gates and never issues: a coupon is issued when its row is committed.
 */
export function redisCounterIssuer(options: RedisCounterOptions): RedisCounterIssuer {
  const { redis, postgres, directory, generations } = options;
  const gates = new Gates(options);
  let inFlight = 0;
  let closing = false;

  /** Null: the claim goes on to Redis. */
  const atDoor = ({ known, mine }: Glance): ClaimAnswer | "look" | null => {
    const decision = decideAtDoor(known.event, mine, postgres.clock.nowMs());
    if (decision.kind === "pass") return null;
    if (decision.kind === "look") return "look";
    return decision.kind === "refuse"
      ? { kind: "refused", refusal: decision.refusal }
      : { kind: "replayed", couponIssue: decision.couponIssue };
  };
  const claimFrom = async (
    found: Glance | Promise<Glance | null>,
    eventId: EventId,
    userId: UserId,
  ): Promise<ClaimAnswer> => {
    // Awaited only where the database must be asked: a turn saved for each of ten thousand.
    const glance = found instanceof Promise ? await found : found;
    if (glance === null) throw gone(eventId);
    let answer = atDoor(glance);
    if (answer === "look") {
      const lookup = await directory.lookUp(eventId, userId);
      if (lookup === null) throw gone(eventId);
      answer = atDoor({ known: lookup, mine: lookup.mine });
    }
    // Nobody is asked to look again after a look.
    return answer === null || answer === "look" ? gates.claim(eventId, userId) : answer;
  };

  const issuer: RedisCounterIssuer = {
    async claim(eventId, userId) {
      const found = directory.glance(eventId, userId);
      const known = found instanceof Promise ? null : atDoor(found);
      if (known !== null && known !== "look") return known;
      if (closing || inFlight >= IN_FLIGHT_MAX) {
        throw new EngineFault(
          "redis",
          "not-applied",
          closing ? "this process is shutting down" : "too many claims wait in this process",
        );
      }
      inFlight += 1;
      try {
        return await claimFrom(found, eventId, userId);
      } finally {
        inFlight -= 1;
      }
    },
    async status(eventId, userId) {
      const lookup = await directory.lookUp(eventId, userId);
      const byRows = statusByRows(lookup);
      if (lookup === null || byRows.kind !== "none") return byRows;
      return (await isReserved(redis, lookup, userId)) ? { kind: "pending" } : byRows;
    },
    available: (eventId) =>
      !closing && redis.isUp() && postgres.isUp() && !generations.isOthers(eventId),
    inFlight: () => inFlight,
    saturation: () => fullest(inFlight / IN_FLIGHT_MAX, gates.lines()),
    lines: () => gates.lines(),
    async close() {
      closing = true;
      await untilSettled(postgres.time, () => inFlight === 0, DRAIN_MS_MAX);
    },
    [Symbol.asyncDispose]: async () => issuer.close(),
  };
  return issuer;
}

/** Asked after the rows: what is committed meanwhile is told the next time. */
async function isReserved(redis: Redis, { event, generation }: Lookup, userId: UserId) {
  if (generation === null) return false;
  try {
    const session = redis.session();
    const stamp = stampOf(generation, session.runId);
    return await holdsNumber(session, { eventId: event.id, stamp, userId });
  } catch (error) {
    // Redis is only the shorter way to know: what it has reserved becomes a row, and is told then.
    if (!(error instanceof EngineFault)) throw error;
    return false;
  }
}

function gone(eventId: EventId): EngineFault {
  return new EngineFault("postgres", "not-applied", `the row of event ${eventId} is gone`);
}

type Gate = {
  readonly line: ReservationLine;
  readonly writer: BatchWriter<number>;
  inFlight: number;
};

/** The line and the writer of each event that has claims now; nothing is kept of the others. */
class Gates {
  readonly #options: RedisCounterOptions;
  readonly #gates = new Map<EventId, Gate>();

  constructor(options: RedisCounterOptions) {
    this.#options = options;
  }

  *lines(): EventShares {
    for (const [id, { inFlight }] of this.#gates) yield [id, inFlight / IN_FLIGHT_OF_EVENT_MAX];
  }

  async claim(eventId: EventId, userId: UserId): Promise<ClaimAnswer> {
    const gate = this.#gates.get(eventId) ?? this.#add(eventId);
    if (gate.inFlight >= IN_FLIGHT_OF_EVENT_MAX) {
      throw new EngineFault("redis", "not-applied", "too many claims of this event wait here");
    }
    gate.inFlight += 1;
    try {
      return await gate.line.claim(userId);
    } finally {
      gate.inFlight -= 1;
    }
  }

  #add(eventId: EventId): Gate {
    const { postgres, directory, drawCode } = this.#options;
    const onIdle = (): void => {
      const isLast = this.#gates.get(eventId) === gate && gate.line.isIdle && gate.writer.isIdle;
      if (isLast) this.#gates.delete(eventId);
    };
    const backlog = measuredBacklog(BACKLOG);
    const writing = { postgres, directory, drawCode };
    const writer = reservationWriter({ writing, eventId, backlog, onIdle });
    const room = (): number => backlog.room(writer.waiting);
    const line = new ReservationLine({ ...this.#options, writer, room, eventId, onIdle });
    const gate: Gate = { line, writer, inFlight: 0 };
    this.#gates.set(eventId, gate);
    return gate;
  }
}
