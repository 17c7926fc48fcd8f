// Rolls Redis and the rows forward to each other, for whoever died or was cut off between the two.
//
// One leader among all processes of a build. For each event of which PostgreSQL names a generation,
// twice a second while it moves and every few seconds while it rests:
//   Redis does not count by the right stamp  -> made to count (see generations.ts)
//   persons in Redis without a row               -> their rows are written
//   rows whose persons Redis does not know       -> merged
//   finished (finished.ts)                       -> its keys are deleted, and its generation
//
// Invariants
// - Nothing is taken back and nothing is decided here: rows are written by the same transaction as
//   the batch writer's, which finds what is there already. Two leaders only do the same work twice.
// - A reservation is left to its living writer until it was seen pending twice, half a second apart.
// - An event that was found equal on both sides is not compared again before one of them changes.
// - Of a finished event nobody asks, once its generation is gone: neither PostgreSQL nor Redis, after
//   a restart neither. One that is opened again has a generation with its first claim.
// - A Redis that was put back to an older state shows another run: then, and now and then, a walk over
//   all keys finds those of events without a generation. Another database's are left alone.
// - What is wrong with one event (its keys, its row) is told once and keeps no other event waiting.
//
// Deliberately not done: trusting equal counts. A row that Redis does not know and a reservation
// without a row hide each other in a count (a batch of an old generation, after a rebuild).
import type { CouponEvent, EventId, UserId } from "@stampede/domain";
import { EngineFault } from "@stampede/domain";
import { readEvents } from "../rows/directory-rows.ts";
import type { EventSnapshot } from "../rows/directory-rows.ts";
import { leadership } from "../engines/postgres/leadership.ts";
import type { Leadership } from "../engines/postgres/leadership.ts";
import { publishFailure, publishRecovery, publishRepair } from "../engines/telemetry.ts";
import { finalRefusal } from "./finished.ts";
import { countedEvents } from "./generations.ts";
import type { Generations } from "./generations.ts";
import type { Redis, RedisSession } from "../engines/redis/open.ts";
import { findPending, mergeWinners, writePending } from "./roll-forward.ts";
import type { CounterState } from "./scripts.ts";
import { findEvents, stampOf, readState, scriptsId } from "./scripts.ts";
import type { RowWriting } from "../rows/write-batch.ts";

const PASS_EVERY_MS = 500;
/** Where nothing moved for so long, each look comes after twice as long as the one before, up to this. */
const QUIET_MS = 5_000;
const LOOK_EVERY_MS_MAX = 6_000;
/** While an event moves its writers live; it is compared all the same once a second. */
const COMPARE_WITHIN_MS = 1_000;
/** Comparing may take a fifth of the time: a million persons need seconds. */
const REST_PER_COMPARING = 4;
/** The difference of an event that was compared this long ago is told no more. */
const DRIFT_TOLD_MS = 600_000;
/** Finished events of one pass: after an upgrade there may be thousands, and others wait behind them. */
const FINISHED_MAX = 50;
/** Keys that a leader or a builder left that died at its last step are found within this. */
const WALK_EVERY_MS = 600_000;
/** ... and so soon it is looked whether what a walk has found is gone. */
const WALK_AGAIN_MS = 2_000;
/** Keys of one page of the walk, of which there is one a pass. */
const WALK_KEYS = 500;

export type ReconcilerOptions = RowWriting & {
  readonly redis: Redis;
  readonly generations: Generations;
  readonly onError: (error: unknown) => void;
  /** Told once of an event that cannot be reconciled, with the cause, and again after it could be. */
  readonly onTrouble: (eventId: EventId, reason: string) => void;
  /** Told when this process stops reconciling because it does not reach Redis. */
  readonly onGivenBack: (message: string) => void;
};

/** What the leader remembers of an event between two passes. */
type Memory = {
  seen: string;
  /** The state in which both sides were equal. */
  equal: string;
  /** Persons without a row at the last comparing, and since when. */
  pending: ReadonlyMap<UserId, number>;
  /** Persons on one side only, when last compared; null before that. */
  drift: number | null;
  comparedMs: number;
  restUntilMs: number;
  /** How many coupons were rows at the last look, since when nothing moved, and when the next one is due. */
  issued: number;
  stillSinceMs: number;
  lookAtMs: number;
  lookEveryMs: number;
};

/** See the top of this file. It publishes its repairs as facts. */
export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #leadership: Leadership;
  #memories = new Map<EventId, Memory>();
  /** Those that could not be reconciled the last time, and since when: it was told. */
  readonly #troubles = new Map<EventId, number>();
  #runId = "";
  /** Where the walk over all keys goes on; null while it rests. */
  #cursor: string | null = null;
  #walkAtMs = 0;
  /** Events without a generation of which the last walk found keys. */
  #left = new Set<EventId>();

  constructor(options: ReconcilerOptions) {
    this.#options = options;
    this.#leadership = leadership(options.postgres, {
      // Each build has one: it alone can open and merge what is counted by its scripts.
      duty: `reconciler ${scriptsId}`,
      lead: async (signal) => this.#lead(signal),
      isAble: () => options.redis.isThere(),
      onGivenBack: options.onGivenBack,
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

  /**
   * How long the oldest reservation without a row has waited, as last compared, 0 where there is none,
   * and how long events could not be reconciled; milliseconds. Empty where another process leads.
   */
  pendingAges(): ReadonlyMap<EventId, number> {
    if (!this.isLeader()) return new Map();
    const nowMs = this.#options.postgres.time.nowMs();
    const since = new Map(this.#troubles);
    for (const [eventId, { pending }] of this.#memories) {
      let oldestMs = since.get(eventId) ?? nowMs;
      for (const sinceMs of pending.values()) oldestMs = Math.min(oldestMs, sinceMs);
      since.set(eventId, oldestMs);
    }
    return new Map([...since].map(([eventId, sinceMs]) => [eventId, nowMs - sinceMs]));
  }

  async close(): Promise<void> {
    await this.#leadership.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #lead(signal: AbortSignal): Promise<void> {
    this.#memories = new Map();
    // The first pass of a term looks at everything.
    this.#runId = "";
    while (!signal.aborted) {
      try {
        await this.#pass(signal);
      } catch (error) {
        // An engine is away: the next pass finds what this one left.
        if (!(error instanceof EngineFault)) throw error;
        publishFailure("reconciler", error);
      }
      await this.#options.postgres.time.sleep(PASS_EVERY_MS, signal);
    }
  }

  async #pass(signal: AbortSignal): Promise<void> {
    const { redis, postgres } = this.#options;
    const session = redis.session();
    const nowMs = postgres.time.nowMs();
    const databaseMs = postgres.clock.nowMs();
    const isOtherRun = session.runId !== this.#runId;
    if (isOtherRun) this.#cursor = "0";
    const counted = await countedEvents(postgres);
    const readings = await readEvents(postgres, counted, (id, error) => this.#tell(id, error));
    const isFinished = ({ event }: EventSnapshot): boolean =>
      finalRefusal(event, databaseMs) !== null;
    const going = readings.filter((one) => !isFinished(one));
    await this.#reconcileAll(
      session,
      going.filter(({ event }) => isOtherRun || this.#isDue(event, nowMs)),
      signal,
    );
    // Those that cannot be finished now hold up no others.
    const finished = readings
      .filter(isFinished)
      .sort((one, other) => this.#troubled(one) - this.#troubled(other));
    await this.#finish(finished.slice(0, FINISHED_MAX), signal);
    if (signal.aborted) return;
    const still = new Set(counted);
    for (const id of this.#troubles.keys()) {
      if (!still.has(id) && !this.#left.has(id)) this.#troubles.delete(id);
    }
    for (const id of this.#memories.keys()) if (!still.has(id)) this.#memories.delete(id);
    this.#runId = session.runId;
    await this.#walk(session, still, signal);
  }

  async #reconcileAll(
    session: RedisSession,
    readings: readonly EventSnapshot[],
    signal: AbortSignal,
  ): Promise<void> {
    for (let from = 0; from < readings.length; from += STATES_MAX) {
      const page = readings.slice(from, from + STATES_MAX);
      const states = await Promise.allSettled(
        page.map(async ({ event }) => readState(session, event.id)),
      );
      const looked = page.map((reading, index) => ({ reading, state: states[index] }));
      await sideBySide(looked, EVENTS_AT_ONCE, async ({ reading, state }) => {
        if (signal.aborted || state === undefined) return;
        await this.#unlessTroubled(reading.event.id, async () => {
          if (state.status === "rejected") throw state.reason;
          await this.#reconcile(session, reading, state.value);
        });
      });
    }
  }

  async #finish(readings: readonly EventSnapshot[], signal: AbortSignal): Promise<void> {
    const { generations } = this.#options;
    await sideBySide(readings, EVENTS_AT_ONCE, async ({ event: { id } }) => {
      if (!signal.aborted) await this.#unlessTroubled(id, async () => generations.finish(id));
    });
  }

  /** One page of the walk over all keys of Redis. */
  async #walk(
    session: RedisSession,
    counted: ReadonlySet<EventId>,
    signal: AbortSignal,
  ): Promise<void> {
    const { postgres } = this.#options;
    const nowMs = postgres.time.nowMs();
    if (this.#cursor === null && nowMs >= this.#walkAtMs) this.#cursor = "0";
    if (this.#cursor === null) return;
    if (this.#cursor === "0") this.#left = new Set();
    const page = { cursor: this.#cursor, keys: WALK_KEYS };
    const { cursor, eventIds } = await findEvents(session, page);
    const others = [...eventIds].filter((id) => !counted.has(id));
    // Another database's are none of ours.
    const left = others.length === 0 ? [] : await readEvents(postgres, others);
    for (const { event } of left) this.#left.add(event.id);
    await this.#finish(left, signal);
    this.#cursor = cursor === "0" ? null : cursor;
    if (this.#cursor !== null) return;
    this.#walkAtMs = nowMs + (this.#left.size > 0 ? WALK_AGAIN_MS : WALK_EVERY_MS);
  }

  #troubled({ event }: EventSnapshot): number {
    return this.#troubles.has(event.id) ? 1 : 0;
  }

  /** What is wrong with this event alone is told, and ends nothing else. */
  async #unlessTroubled(eventId: EventId, work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.#troubles.delete(eventId);
    } catch (error) {
      // An engine that is away is everybody's trouble; a key of a wrong type, or a row that somebody
      // holds, is this event's.
      const { redis, postgres } = this.#options;
      if (error instanceof EngineFault && !(redis.isThere() && postgres.isUp())) throw error;
      this.#tell(eventId, error);
    }
  }

  #tell(eventId: EventId, error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    if (this.#troubles.has(eventId)) return;
    this.#troubles.set(eventId, this.#options.postgres.time.nowMs());
    this.#options.onTrouble(eventId, reason);
  }

  async #reconcile(
    session: RedisSession,
    { event, generation }: EventSnapshot,
    state: CounterState,
  ): Promise<void> {
    const stamp = generation === null ? null : stampOf(generation, session.runId);
    if (stamp === null || state.stamp !== stamp) {
      await this.#options.generations.ensureCounting(event.id);
    } else {
      await this.#compare(session, { event, stamp, held: state.held });
    }
  }

  #isDue(event: CouponEvent, nowMs: number): boolean {
    const memory = this.#memories.get(event.id);
    return memory === undefined || memory.issued !== event.issued || nowMs >= memory.lookAtMs;
  }

  async #compare(
    session: RedisSession,
    sides: { readonly event: CouponEvent; readonly stamp: string; readonly held: number },
  ): Promise<void> {
    const { postgres } = this.#options;
    const { event, stamp, held } = sides;
    const nowMs = postgres.time.nowMs();
    const now = `${stamp} ${event.issued} ${held}`;
    const memory = this.#memories.get(event.id) ?? newMemory(nowMs);
    this.#memories.set(event.id, memory);
    const rests = now === memory.equal;
    memory.issued = event.issued;
    if (now !== memory.seen) memory.stillSinceMs = nowMs;
    const isQuiet = rests && nowMs - memory.stillSinceMs > QUIET_MS;
    memory.lookEveryMs = isQuiet
      ? Math.min(2 * memory.lookEveryMs, LOOK_EVERY_MS_MAX)
      : PASS_EVERY_MS;
    // Each look is a little earlier than a pass, so that it falls into that one and not the next.
    memory.lookAtMs = nowMs + memory.lookEveryMs - PASS_EVERY_MS / 2;
    const moves = now !== memory.seen && nowMs - memory.comparedMs < COMPARE_WITHIN_MS;
    memory.seen = now;
    if (rests || moves || nowMs < memory.restUntilMs) return;
    const pending = await findPending(session, postgres, event.id);
    // Persons only join: as many as before are the same ones, and `pending` is exact.
    const exact = (await readState(session, event.id)).held === held;
    const missing = exact && held - pending.size < event.issued;
    memory.comparedMs = nowMs;
    memory.restUntilMs = nowMs + (postgres.time.nowMs() - nowMs) * REST_PER_COMPARING;
    if (exact && !missing && pending.size === 0) memory.equal = now;
    memory.drift = pending.size;
    if (missing) {
      const merged = await mergeWinners(session, postgres, { eventId: event.id, stamp });
      memory.drift += merged;
      publishRepair("merged", merged);
    }
    const abandoned = [...pending].filter((userId) => memory.pending.has(userId));
    memory.pending = new Map([...pending].map((id) => [id, memory.pending.get(id) ?? nowMs]));
    publishRepair("rows-written", await writePending(this.#options, event.id, abandoned));
  }
}

function newMemory(nowMs: number): Memory {
  // Compared at once: at the start of a term nobody knows how long a reservation has been pending.
  return {
    seen: "",
    equal: "",
    pending: new Map(),
    drift: null,
    comparedMs: nowMs - COMPARE_WITHIN_MS,
    restUntilMs: nowMs,
    issued: -1,
    stillSinceMs: nowMs,
    lookAtMs: nowMs,
    lookEveryMs: PASS_EVERY_MS,
  };
}

/** Events of one pipeline: about 300 bytes of replies each. */
const STATES_MAX = 500;
/** A row that somebody holds takes seconds: the events behind it are not to wait for that. */
const EVENTS_AT_ONCE = 4;

/** Does it for all, so many at a time; rejects with the first fault, when none is under way. */
async function sideBySide<Item>(
  items: readonly Item[],
  atOnce: number,
  run: (item: Item) => Promise<void>,
): Promise<void> {
  const left = items.values();
  const lanes = Array.from({ length: atOnce }, async () => {
    for (const item of left) await run(item);
  });
  const ended = await Promise.allSettled(lanes);
  for (const lane of ended) if (lane.status === "rejected") throw lane.reason;
}
