// Rolls Redis and the rows forward to each other, for whoever died or was cut off between the two.
//
// One leader among all processes of a build, at start and twice a second. For each event that is not finished:
//   Redis is not open for the generation and run -> opened (see generations.ts)
//   persons in Redis without a row               -> their rows are written
//   rows whose persons Redis does not know       -> merged
//   all coupons are rows, and no latch           -> latched
//
// Invariants
// - Nothing is taken back and nothing is decided here: rows are written by the same transaction as
//   the batch writer's, which finds what is there already. Two leaders only do the same work twice.
// - A reservation is left to its living writer until it was seen pending twice, half a second apart.
// - An event that was found equal on both sides is not compared again before one of them changes.
//
// Deliberately not done: trusting equal counts. A row that Redis does not know and a reservation
// without a row hide each other in a count (a batch of an old generation, after a rebuild).
import type { CouponEvent, EventId, UserId } from "@stampede/domain";
import { EngineFault } from "@stampede/domain";
import { readEvents } from "../postgres/directory-rows.ts";
import type { EventReading } from "../postgres/directory-rows.ts";
import { leadership } from "../postgres/leadership.ts";
import type { Leadership } from "../postgres/leadership.ts";
import { publishRecovery, publishRepair } from "../telemetry.ts";
import type { Generations } from "./generations.ts";
import type { Redis, RedisSession } from "./open.ts";
import { findPending, mergeWinners, writePending } from "./roll-forward.ts";
import type { EventState } from "./scripts.ts";
import { openedBy, readState, scriptsId } from "./scripts.ts";
import type { RowWriting } from "./write-batch.ts";

const PASS_EVERY_MS = 500;
/**
 * Every so often events are looked at that closed long ago, or were sold out by somebody else. Below
 * the ten seconds within which nothing may be left over (L4): Redis may be emptied after the end.
 */
const FULL_PASS_EVERY_MS = 8_000;
/** While an event moves its writers live; it is compared all the same once a second. */
const COMPARE_WITHIN_MS = 1_000;
/** Comparing may take a fifth of the time: a million persons need seconds. */
const REST_PER_COMPARING = 4;
/** The difference of an event that was compared this long ago is told no more. */
const DRIFT_TOLD_MS = 600_000;

export type ReconcilerOptions = RowWriting & {
  readonly redis: Redis;
  readonly generations: Generations;
  readonly onError: (error: unknown) => void;
};

/** What the leader remembers of an event between two passes. */
type Memory = {
  seen: string;
  /** The state in which both sides were equal. */
  equal: string;
  pending: ReadonlySet<UserId>;
  /** Persons on one side only, when last compared; null before that. */
  drift: number | null;
  comparedMs: number;
  restUntilMs: number;
};

/** See the top of this file. It publishes its repairs as facts. */
export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #leadership: Leadership;
  #memories = new Map<EventId, Memory>();
  /** Events that were not finished in the last pass. */
  #followed: EventId[] = [];
  #runId = "";
  #fullPassMs = Number.NEGATIVE_INFINITY;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
    this.#leadership = leadership(options.postgres, {
      // Each build has one: it alone can open, merge and latch what is counted by its scripts.
      duty: `reconciler ${scriptsId}`,
      lead: async (signal) => this.#lead(signal),
      onError: options.onError,
      onTakeover: () => publishRecovery("reconciler-takeover"),
    });
  }

  isLeader(): boolean {
    return this.#leadership.isLeader();
  }

  /**
   * For events compared lately, the persons who were on one side only (in Redis without a row, or
   * the other way round) when the sides were last compared: at most `eventsMax`, the greatest
   * differences first. While people claim, reservations under way are among them. Empty where
   * another process leads.
   */
  drift(eventsMax: number): ReadonlyMap<EventId, number> {
    if (!this.isLeader()) return new Map();
    const sinceMs = this.#options.postgres.time.nowMs() - DRIFT_TOLD_MS;
    const told: [EventId, number][] = [];
    for (const [eventId, { drift, comparedMs }] of this.#memories) {
      if (drift !== null && (drift > 0 || comparedMs >= sinceMs)) told.push([eventId, drift]);
    }
    return new Map(told.sort(([, one], [, other]) => other - one).slice(0, eventsMax));
  }

  async close(): Promise<void> {
    await this.#leadership.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #lead(signal: AbortSignal): Promise<void> {
    this.#memories = new Map();
    this.#followed = [];
    this.#fullPassMs = Number.NEGATIVE_INFINITY;
    while (!signal.aborted) {
      try {
        await this.#pass(signal);
      } catch (error) {
        // An engine is away: the next pass finds what this one left.
        if (!(error instanceof EngineFault)) throw error;
      }
      await this.#options.postgres.time.sleep(PASS_EVERY_MS, signal);
    }
  }

  async #pass(signal: AbortSignal): Promise<void> {
    const { redis, postgres } = this.#options;
    const session = redis.session();
    const nowMs = postgres.time.nowMs();
    const full = session.runId !== this.#runId || nowMs - this.#fullPassMs >= FULL_PASS_EVERY_MS;
    const readings = await readEvents(postgres, await this.#unfinished(full));
    const states = await readStates(session, readings);
    const followed: EventId[] = [];
    for (const [index, reading] of readings.entries()) {
      const state = states[index];
      if (signal.aborted || state === undefined) return;
      if (!(await this.#isFinished(session, reading, state))) followed.push(reading.event.id);
    }
    this.#followed = followed;
    for (const [id, { comparedMs }] of this.#memories) {
      const isOld = comparedMs < nowMs - DRIFT_TOLD_MS;
      if (full && isOld && !followed.includes(id)) this.#memories.delete(id);
    }
    if (full) [this.#runId, this.#fullPassMs] = [session.runId, nowMs];
  }

  /**
   * Events that may need a repair, newest first. A sequential scan of `events`; the rows by their
   * primary key. A sold-out event that nobody saw unfinished here is looked at in full passes, for
   * ten minutes: without its latch its claims are answered from the rows all the same.
   */
  async #unfinished(full: boolean): Promise<EventId[]> {
    const rows = await this.#options.postgres.query<{ id: EventId }>(
      `SELECT e.id FROM events e
        WHERE e.mechanism = 'redis-counter'
          AND (e.id = ANY ($2)
           OR (e.issued < e.limit_quantity AND
               ($1 OR e.closes_at IS NULL OR e.closes_at > clock_timestamp() - interval '1 minute'))
           OR ($1 AND e.issued = e.limit_quantity AND EXISTS (
               SELECT 1 FROM coupon_issues i WHERE i.event_id = e.id AND i.seq = e.limit_quantity
                  AND i.issued_at > clock_timestamp() - interval '10 minutes')))
        ORDER BY e.created_seq DESC`,
      [full, this.#followed],
    );
    return rows.map((row) => row.id);
  }

  async #isFinished(
    session: RedisSession,
    reading: EventReading,
    state: EventState,
  ): Promise<boolean> {
    try {
      return await this.#reconcile(session, reading, state);
    } catch (error) {
      // One event's row may be locked by somebody: the others are not to wait for it.
      if (!(error instanceof EngineFault) || !this.#options.redis.isUp()) throw error;
      return false;
    }
  }

  /** True where the event is finished: all coupons are rows, and the latch is set. */
  async #reconcile(
    session: RedisSession,
    { event, generation }: EventReading,
    state: EventState,
  ): Promise<boolean> {
    const { generations } = this.#options;
    const opened = generation === null ? null : openedBy(generation, session.runId);
    if (opened === null || state.open !== opened) {
      await generations.open(event.id);
      return false;
    }
    if (event.issued === event.limit) {
      const latched = state.latched || (await generations.latch(event.id));
      if (latched && !state.latched) publishRepair("latched", 1);
      if (latched) this.#noteLatched(event.id);
      return state.latched;
    }
    await this.#compare(session, { event, opened, held: state.held });
    return false;
  }

  /** With the latch, Redis has exactly the persons of the rows. */
  #noteLatched(eventId: EventId): void {
    const memory = this.#memories.get(eventId);
    if (memory?.drift === 0) return;
    const nowMs = this.#options.postgres.time.nowMs();
    this.#memories.set(eventId, { ...newMemory(nowMs), drift: 0, comparedMs: nowMs });
  }

  async #compare(
    session: RedisSession,
    sides: { readonly event: CouponEvent; readonly opened: string; readonly held: number },
  ): Promise<void> {
    const { postgres } = this.#options;
    const { event, opened, held } = sides;
    const nowMs = postgres.time.nowMs();
    const now = `${opened} ${event.issued} ${held}`;
    const memory = this.#memories.get(event.id) ?? newMemory(nowMs);
    this.#memories.set(event.id, memory);
    if (now === memory.equal) return;
    const moves = now !== memory.seen && nowMs - memory.comparedMs < COMPARE_WITHIN_MS;
    memory.seen = now;
    if (moves || nowMs < memory.restUntilMs) return;
    const pending = await findPending(session, postgres, event.id);
    // Persons only join: as many as before are the same ones, and `pending` is exact.
    const exact = (await readState(session, event.id)).held === held;
    const missing = exact && held - pending.size < event.issued;
    memory.comparedMs = nowMs;
    memory.restUntilMs = nowMs + (postgres.time.nowMs() - nowMs) * REST_PER_COMPARING;
    if (exact && !missing && pending.size === 0) memory.equal = now;
    memory.drift = pending.size;
    if (missing) {
      const merged = await mergeWinners(session, postgres, { eventId: event.id, opened });
      memory.drift += merged;
      publishRepair("merged", merged);
    }
    const abandoned = [...pending].filter((userId) => memory.pending.has(userId));
    memory.pending = pending;
    publishRepair("rows-written", await writePending(this.#options, event.id, abandoned));
  }
}

function newMemory(nowMs: number): Memory {
  // Compared at once: at the start of a term nobody knows how long a reservation has been pending.
  return {
    seen: "",
    equal: "",
    pending: new Set(),
    drift: null,
    comparedMs: nowMs - COMPARE_WITHIN_MS,
    restUntilMs: nowMs,
  };
}

/** Events of one pipeline: about 300 bytes of replies each. */
const STATES_MAX = 500;

async function readStates(
  session: RedisSession,
  readings: readonly EventReading[],
): Promise<EventState[]> {
  const states: EventState[] = [];
  for (let from = 0; from < readings.length; from += STATES_MAX) {
    const page = readings.slice(from, from + STATES_MAX);
    states.push(...(await Promise.all(page.map(({ event }) => readState(session, event.id)))));
  }
  return states;
}
