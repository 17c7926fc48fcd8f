// When Redis may count for an event, and how it comes to that.
//
// Purpose. Redis may lose or restore anything at any time, so what it has counts only while it shows
// the generation that PostgreSQL names, the run of the server in which that began, and the scripts of
// this build: the stamp. Anything else is "closed": claims are refused until the persons are rebuilt from the
// rows.
//
// How counting begins
//   1. Same generation, another run: Redis was restarted from its file. Whoever is in it reserved
//      truly, so reservations without a row are written first. (Of any other generation nothing is
//      taken over: it may be another database's.)
//   2. A new random generation goes to PostgreSQL, by compare-and-set under the event row's lock: of
//      two processes one wins, and the other waits for it.
//   3. The winner's persons are built beside the old ones, page by page, and swapped in one script.
//
// Every crash point
// - Dead between 2 and 3, or in 3: Redis stays closed. Whoever waits takes over, with a generation of
//   its own, once nothing has moved for a second; nothing of the half-built one remains.
// - A builder that was paused comes back: its token is gone, or the stamp is not what it saw, so it
//   changes nothing.
// - A batch reserved before the counting began commits after the rows were read: its persons are missing in
//   Redis until the reconciler merges them, and the guard refuses who was let in instead.
// - Redis is restarted or flushed while it is built: the token or the count is wrong, or the run is.
//
// How counting ends
//   An event that is finished (finished.ts) is not made to count: claims that still come are answered
//   from its rows. What Redis holds of it is deleted, and then the generation, so PostgreSQL names
//   one only while there may be something to do. To claims a deleted event is an emptied Redis: one
//   that is opened again is built anew by the first of them.
//   1. What Redis holds is read, and then the row.
//   2. Closed, not sold out: reservations without a row are written first. (Of a sold-out event there
//      are none that could become one.)
//   3. One script deletes it if it still is what was read: who reserves at the last moment, through a
//      stopped or slow process, is found the next time.
//   4. The generation goes, if it still is the one that was read.
//   Dead before 4, or a reply lost: done again, and finds nothing. Reopened meanwhile: whoever builds
//   it takes another generation and another stamp, which 3 and 4 let stand. Reopened or built between
//   1 and 3 without a change in Redis: the builder's token is gone, and it begins again.
//
// Two builds at once (a rolling deployment). Redis counts by one build's scripts at a time, since each
// one's stamp is closed to the other. The higher number takes over, in the way above: its reconciler
// does so at its start. The lower one takes nothing over from the higher one; its claims are
// refused, what it reserved before is written by its batches or was by the taking over, and the guard
// decides. Builds with other texts under the same number are a mistake: the first one counts.
import type { EventId } from "@stampede/domain";
import { EngineFault } from "@stampede/domain";
import { finalRefusal } from "./finished.ts";
import { lockEvent } from "../rows/coupon-issues.ts";
import { readEvents } from "../rows/directory-rows.ts";
import type { EventSnapshot } from "../rows/directory-rows.ts";
import type { Postgres } from "../engines/postgres/open.ts";
import { publishRecovery, publishRepair } from "../engines/telemetry.ts";
import type { Time } from "../engines/time.ts";
import type { Redis, RedisSession } from "../engines/redis/open.ts";
import { findPending, winnerPages, writePending } from "./roll-forward.ts";
import type { CounterState } from "./scripts.ts";
import { deleteKeys, isOthers, stampOf, readState, rebuildStep, scriptsId } from "./scripts.ts";
import type { RowWriting } from "../rows/write-batch.ts";

export type GenerationsOptions = RowWriting & {
  readonly redis: Redis;
  /** 128 random bits: never drawn twice, so another history's generation is never taken for ours. */
  readonly drawToken: () => string;
  /** Told once of an event that another build counts, so that this process has to refuse its claims. */
  readonly onOthers?: (eventId: EventId, reason: string) => void;
};

/** How long one waits for another builder that makes no progress before it takes over. */
const STALLED_MS_MAX = 1_000;
const LOOK_EVERY_MS = 50;
const ATTEMPTS_MAX = 100;
/** Whoever claims, and the reconciler, look again; nobody else tells when the other build is gone. */
const OTHERS_MS = 5_000;

/** See the top of this file. One per process, shared by claims, preparation and reconciler. */
export class Generations {
  readonly #options: GenerationsOptions;
  readonly #starting = new Map<EventId, Promise<void>>();
  /** Events that another build counts, and when that was last seen. */
  readonly #others = new Map<EventId, number>();

  constructor(options: GenerationsOptions) {
    this.#options = options;
  }

  /**
   * Resolves once Redis counts for this event in the generation that PostgreSQL names; rebuilds it
   * where it does not. The directory knows that generation then, or that the event is finished: then
   * nothing is built. Rejects with `EngineFault`. All who ask meanwhile share one run.
   */
  async ensureCounting(eventId: EventId): Promise<void> {
    const running = this.#starting.get(eventId);
    if (running !== undefined) return running;
    const run = this.#ensureCounting(eventId).finally(() => this.#starting.delete(eventId));
    this.#starting.set(eventId, run);
    return run;
  }

  /** Whether another build's scripts count for this event, as seen within the last seconds. */
  isOthers(eventId: EventId): boolean {
    const seenMs = this.#others.get(eventId) ?? Number.NEGATIVE_INFINITY;
    return this.#options.postgres.time.nowMs() - seenMs < OTHERS_MS;
  }

  /** Begins the first generation of an event that was just made, without any row. */
  async beginCounting(eventId: EventId, generation: string): Promise<void> {
    const session = this.#options.redis.session();
    // Whatever Redis has under this id is another database's.
    const { stamp } = await readState(session, eventId);
    const plan = { token: generation, seen: stamp, generation };
    // A reconciler that saw the event first has begun it, or is about to.
    if (!(await this.#build(session, eventId, plan))) await this.ensureCounting(eventId);
  }

  /**
   * Deletes what Redis holds of an event that is finished, or of which PostgreSQL names no generation.
   * Changes nothing of any other, nor where somebody reserved meanwhile. Rejects with `EngineFault`.
   */
  async finish(eventId: EventId): Promise<void> {
    const { redis, postgres } = this.#options;
    const session = redis.session();
    const state = await readState(session, eventId);
    const { event, generation } = await this.#read(eventId);
    const refusal = finalRefusal(event, postgres.clock.nowMs());
    if (generation !== null && refusal === null) return;
    if (refusal?.kind !== "sold-out" && isOthers(generation, state.stamp)) {
      throw this.#refusal(eventId, state);
    }
    if (refusal?.kind === "closed")
      await this.#writeReserved(session, { eventId, generation, state });
    if (!(await deleteKeys(session, eventId, state))) return;
    await postgres.query("DELETE FROM redis_generations WHERE event_id = $1 AND generation = $2", [
      eventId,
      generation,
    ]);
  }

  async #ensureCounting(eventId: EventId): Promise<void> {
    const { redis, directory, postgres } = this.#options;
    const rebuild = new RebuildWatch(postgres.time);
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
      const session = redis.session();
      const reading = await this.#read(eventId);
      if (finalRefusal(reading.event, postgres.clock.nowMs()) !== null) {
        directory.noteCommitted(reading, []);
        // It was finished while it was built here.
        if (attempt > 1) await this.finish(eventId);
        return;
      }
      const state = await readState(session, eventId);
      if (isCounting(reading, state, session)) {
        this.#others.delete(eventId);
        directory.noteCommitted(reading, []);
        return;
      }
      if (isOthers(reading.generation, state.stamp)) throw this.#refusal(eventId, state);
      if (rebuild.isMoving(reading, state)) await postgres.time.sleep(LOOK_EVERY_MS);
      else if (await this.#rebuild(session, reading, state)) publishRecovery("redis-rebuild");
    }
    throw new EngineFault("redis", "not-applied", `${eventId} is still being rebuilt in Redis`);
  }

  #refusal(eventId: EventId, { stamp }: CounterState): EngineFault {
    const reason = `another build counts this event (its scripts are ${stamp?.split(":")[2]}, ours are ${scriptsId})`;
    if (!this.#others.has(eventId)) this.#options.onOthers?.(eventId, reason);
    this.#others.set(eventId, this.#options.postgres.time.nowMs());
    return new EngineFault("redis", "not-applied", reason);
  }

  async #rebuild(
    session: RedisSession,
    { event, generation }: EventSnapshot,
    state: CounterState,
  ): Promise<boolean> {
    await this.#writeReserved(session, { eventId: event.id, generation, state });
    const next = this.#options.drawToken();
    const change = { generation, next };
    if (!(await replaceGeneration(this.#options.postgres, event.id, change))) return false;
    return this.#build(session, event.id, { token: next, seen: state.stamp, generation: next });
  }

  /** Whoever holds a number of the generation that PostgreSQL names reserved truly, by any build's scripts. */
  async #writeReserved(
    session: RedisSession,
    at: {
      readonly eventId: EventId;
      readonly generation: string | null;
      readonly state: CounterState;
    },
  ): Promise<void> {
    const { eventId, generation, state } = at;
    if (generation === null || state.stamp?.startsWith(`${generation}:`) !== true) return;
    const pending = await findPending(session, this.#options.postgres, eventId);
    publishRepair("rows-written", await writePending(this.#options, eventId, [...pending]));
  }

  /** False where somebody else was quicker, or Redis lost what was built. */
  async #build(
    session: RedisSession,
    eventId: EventId,
    plan: { readonly token: string; readonly seen: string | null; readonly generation: string },
  ): Promise<boolean> {
    const { postgres } = this.#options;
    const { token } = plan;
    if (!(await rebuildStep(session, eventId, ["begin", token, plan.seen ?? ""]))) return false;
    let count = 0;
    for await (const userIds of winnerPages(postgres, eventId)) {
      if (!(await rebuildStep(session, eventId, ["add", token, ...userIds]))) return false;
      count += userIds.length;
    }
    // Somebody else began anew, or the event was finished: what is built here nobody would look at.
    if ((await this.#read(eventId)).generation !== plan.generation) return false;
    const stamp = stampOf(plan.generation, session.runId);
    return rebuildStep(session, eventId, ["open", token, stamp, String(count)]);
  }

  async #read(eventId: EventId): Promise<EventSnapshot> {
    const reading = (await readEvents(this.#options.postgres, [eventId]))[0];
    if (reading === undefined) {
      throw new EngineFault("postgres", "not-applied", `the row of event ${eventId} is gone`);
    }
    return reading;
  }
}

/** The events of which PostgreSQL names a generation: those that are not finished, and a few that just were. */
export async function countedEvents(postgres: Postgres): Promise<readonly EventId[]> {
  const rows = await postgres.query<{ id: EventId }>(
    "SELECT g.event_id AS id FROM redis_generations g",
  );
  return rows.map(({ id }) => id);
}

/** True where the generation still was what we read, or is gone, and now is ours. */
export async function replaceGeneration(
  postgres: Postgres,
  eventId: EventId,
  change: { readonly generation: string | null; readonly next: string },
): Promise<boolean> {
  return postgres.transaction(async (sql) => {
    // No batch is between its lock and its commit now: what it writes, we shall read.
    await lockEvent(sql, eventId);
    const rows = await sql.query(
      `INSERT INTO redis_generations AS g (event_id, generation) VALUES ($1, $2)
           ON CONFLICT (event_id) DO UPDATE SET generation = $2 WHERE g.generation = $3
       RETURNING g.event_id`,
      [eventId, change.next, change.generation],
    );
    return rows.length === 1;
  });
}

function isCounting(reading: EventSnapshot, state: CounterState, session: RedisSession): boolean {
  return reading.generation !== null && state.stamp === stampOf(reading.generation, session.runId);
}

/** Tells whether another builder is at work on this event. */
class RebuildWatch {
  readonly #time: Time;
  #seen: string | null = null;
  #seenMs = 0;

  constructor(time: Time) {
    this.#time = time;
  }

  isMoving({ generation }: EventSnapshot, { building, built }: CounterState): boolean {
    const now = `${generation} ${building} ${built}`;
    const started = this.#seen !== null || (building !== null && building === generation);
    if (now !== this.#seen) {
      this.#seen = now;
      this.#seenMs = this.#time.nowMs();
      return started;
    }
    return this.#time.nowMs() - this.#seenMs < STALLED_MS_MAX;
  }
}
