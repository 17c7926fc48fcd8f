import type { ClaimAnswer, CouponEvent, CouponIssuer, EventId, UserId } from "@stampede/domain";
import { doorRefusal, EngineFault } from "@stampede/domain";
import type { EventDirectory } from "../postgres/event-directory.ts";
import type { Postgres } from "../postgres/open.ts";
import { statusWithoutQueue } from "../postgres/row-lock-issuer.ts";
import { BatchWriter } from "./batch-writer.ts";
import { ClaimLine } from "./claim-line.ts";
import type { Generations } from "./generations.ts";
import type { Redis } from "./open.ts";

export type RedisCounterOptions = {
  readonly redis: Redis;
  readonly postgres: Postgres;
  readonly directory: EventDirectory;
  readonly generations: Generations;
  readonly drawCode: () => string;
  /** Told of a failure that is nobody's answer: a latch that could not be set. */
  readonly onError: (error: unknown) => void;
};

export type RedisCounterIssuer = CouponIssuer & {
  /** Claims that are not answered yet. */
  inFlight(): number;
  /** The taken share of its line of claims, 0 to 1; at 1 the next claim is turned away. */
  saturation(): number;
  /** Takes no more claims and waits, for a bounded time, until those taken are answered. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** Claims that may wait for an answer; one more is turned away. About 1 KiB each. */
const IN_FLIGHT_MAX = 50_000;
const DRAIN_MS_MAX = 8_000;
const DRAIN_LOOK_EVERY_MS = 20;

/**
 * v2: one script in Redis reserves for all claims of a turn, one transaction in PostgreSQL writes
 * the rows of hundreds. Redis gates and never issues: a coupon is issued when its row is committed.
 */
export function redisCounterIssuer(options: RedisCounterOptions): RedisCounterIssuer {
  const { redis, postgres, directory, generations } = options;
  const claimInLine = openGates(options);
  let inFlight = 0;
  let closing = false;

  const decide = async (event: CouponEvent, userId: UserId): Promise<ClaimAnswer> => {
    const door = doorRefusal(event, postgres.clock.nowMs());
    if (door !== null || event.issued === event.limit) {
      const lookup = await directory.lookUp(event.id, userId);
      const mine = lookup?.mine ?? null;
      if (mine !== null) return { kind: "replayed", couponIssue: mine };
      const now = lookup?.event ?? event;
      if (now.issued === now.limit) return { kind: "refused", refusal: { kind: "sold-out" } };
      if (door !== null) return { kind: "refused", refusal: door };
    }
    return claimInLine(event.id, userId);
  };

  const issuer: RedisCounterIssuer = {
    async claim(eventId, userId) {
      const final = directory.final(eventId, userId);
      if (final === "sold-out") return { kind: "refused", refusal: { kind: "sold-out" } };
      if (final !== null) return { kind: "replayed", couponIssue: final };
      if (closing || inFlight >= IN_FLIGHT_MAX) {
        throw new EngineFault(
          "redis",
          "not-applied",
          closing ? "this process is shutting down" : "the line of claims is full",
        );
      }
      inFlight += 1;
      try {
        const found = directory.fresh(eventId);
        // Awaited only where the database must be asked: a turn saved for each of ten thousand.
        const known = found instanceof Promise ? await found : found;
        if (known === null) {
          throw new EngineFault("postgres", "not-applied", `the row of event ${eventId} is gone`);
        }
        return await decide(known.event, userId);
      } finally {
        inFlight -= 1;
      }
    },
    async status(eventId, userId) {
      return statusWithoutQueue(await directory.lookUp(eventId, userId));
    },
    available: (eventId) =>
      !closing && redis.isUp() && postgres.isUp() && !generations.isOthers(eventId),
    inFlight: () => inFlight,
    saturation: () => inFlight / IN_FLIGHT_MAX,
    async close() {
      closing = true;
      const { time } = postgres;
      const untilMs = time.nowMs() + DRAIN_MS_MAX;
      while (issuer.inFlight() > 0 && time.nowMs() < untilMs) await time.sleep(DRAIN_LOOK_EVERY_MS);
    },
    [Symbol.asyncDispose]: async () => issuer.close(),
  };
  return issuer;
}

type Gate = { readonly line: ClaimLine; readonly writer: BatchWriter };

/** The line and the writer of each event that has claims now; nothing is kept of the others. */
function openGates(
  options: RedisCounterOptions,
): (eventId: EventId, userId: UserId) => Promise<ClaimAnswer> {
  const { postgres, directory, generations, drawCode, onError } = options;
  const gates = new Map<EventId, Gate>();

  const open = (eventId: EventId): Gate => {
    const onIdle = (): void => {
      const isLast = gates.get(eventId) === gate && gate.line.isIdle && gate.writer.isIdle;
      if (isLast) gates.delete(eventId);
    };
    const onSoldOut = (): void => {
      // Everybody is answered from the rows now; the reconciler sets a latch that fails here.
      generations.latch(eventId).catch((error: unknown) => {
        if (!(error instanceof EngineFault)) onError(error);
      });
    };
    const writing = { postgres, directory, drawCode };
    const writer = new BatchWriter({ writing, eventId, onSoldOut, onIdle });
    const line = new ClaimLine({ ...options, writer, eventId, onIdle });
    const gate: Gate = { line, writer };
    gates.set(eventId, gate);
    return gate;
  };
  return async (eventId, userId) => (gates.get(eventId) ?? open(eventId)).line.claim(userId);
}
