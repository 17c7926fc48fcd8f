// When Redis may count for an event, and how it comes to that.
//
// Purpose. Redis may lose or restore anything at any time, so what it has counts only while it shows
// the generation that PostgreSQL names, the run of the server in which that was opened, and the scripts
// of this build. Anything else is "closed": claims are refused until the persons are rebuilt from the
// rows.
//
// Opening
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
// - A builder that was paused comes back: its token is gone, or `open` is not what it saw, so it
//   changes nothing.
// - A batch reserved before the opening commits after the rows were read: its persons are missing in
//   Redis until the reconciler merges them, and the guard refuses who was let in instead.
// - Redis is restarted or flushed while it is built: the token or the count is wrong, or the run is.
//
// Two builds at once (a rolling deployment). Redis counts by one build's scripts at a time, since each
// one's `open` is closed to the other. The higher number takes over, in the way above: its reconciler
// does so at its start. The lower one opens nothing that the higher one has opened; its claims are
// refused, what it reserved before is written by its batches or was by the taking over, and the guard
// decides. Builds with other texts under the same number are a mistake: whoever opened counts.
//
// The latch is set by the same building, without a new generation: `sold out` is told by Redis only
// with exactly the persons of the rows, all of them committed.
import type { EventId } from "@stampede/domain";
import { EngineFault } from "@stampede/domain";
import { lockEvent } from "../postgres/coupon-issues.ts";
import { readEvents } from "../postgres/directory-rows.ts";
import type { EventReading } from "../postgres/directory-rows.ts";
import type { Postgres } from "../postgres/open.ts";
import { publishRecovery, publishRepair } from "../telemetry.ts";
import type { Time } from "../time.ts";
import type { Redis, RedisSession } from "./open.ts";
import { findPending, winnerPages, writePending } from "./roll-forward.ts";
import type { EventState } from "./scripts.ts";
import { isOthers, openedBy, readState, rebuildStep, scriptsId } from "./scripts.ts";
import type { RowWriting } from "./write-batch.ts";

export type GenerationsOptions = RowWriting & {
  readonly redis: Redis;
  /** 128 random bits: never drawn twice, so another history's generation is never taken for ours. */
  readonly drawToken: () => string;
  /** Told once of an event that another build counts, so that this process has to refuse its claims. */
  readonly onOthers?: (eventId: EventId, reason: string) => void;
};

/** How long an opening waits for another builder that makes no progress before it takes over. */
const STALLED_MS_MAX = 1_000;
const LOOK_EVERY_MS = 50;
const ATTEMPTS_MAX = 100;
/** Whoever claims, and the reconciler, look again; nobody else tells when the other build is gone. */
const OTHERS_MS = 5_000;

/** See the top of this file. One per process, shared by claims, preparation and reconciler. */
export class Generations {
  readonly #options: GenerationsOptions;
  readonly #opening = new Map<EventId, Promise<void>>();
  readonly #latching = new Map<EventId, Promise<boolean>>();
  /** Events that another build counts, and when that was last seen. */
  readonly #others = new Map<EventId, number>();

  constructor(options: GenerationsOptions) {
    this.#options = options;
  }

  /**
   * Resolves once Redis counts for this event in the generation that PostgreSQL names; rebuilds it
   * where it does not. The directory knows that generation then. Rejects with `EngineFault`.
   */
  async open(eventId: EventId): Promise<void> {
    return shared(this.#opening, eventId, async () => this.#open(eventId));
  }

  /** Whether another build's scripts count for this event, as seen within the last seconds. */
  isOthers(eventId: EventId): boolean {
    const seenMs = this.#others.get(eventId) ?? Number.NEGATIVE_INFINITY;
    return this.#options.postgres.time.nowMs() - seenMs < OTHERS_MS;
  }

  /** Opens the first generation of an event that was just made, without any row. */
  async openNew(eventId: EventId, generation: string): Promise<void> {
    const session = this.#options.redis.session();
    // Whatever Redis has under this id is another database's.
    const { open } = await readState(session, eventId);
    const plan = { token: generation, seen: open, generation };
    // A reconciler that saw the event first has opened it, or is about to.
    if (!(await this.#build(session, eventId, plan))) await this.open(eventId);
  }

  /** Sets the latch of an event whose coupons are all committed rows; false where it cannot be now. */
  async latch(eventId: EventId): Promise<boolean> {
    return shared(this.#latching, eventId, async () => this.#latch(eventId));
  }

  async #latch(eventId: EventId): Promise<boolean> {
    const session = this.#options.redis.session();
    const { event, generation } = await this.#read(eventId);
    if (generation === null || event.issued < event.limit) return false;
    const seen = openedBy(generation, session.runId);
    const token = `latch-${this.#options.drawToken()}`;
    return this.#build(session, eventId, { token, seen, generation });
  }

  async #open(eventId: EventId): Promise<void> {
    const { redis, directory, postgres } = this.#options;
    const progress = new Progress(postgres.time);
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
      const session = redis.session();
      const reading = await this.#read(eventId);
      const state = await readState(session, eventId);
      if (isOpen(reading, state, session)) {
        this.#others.delete(eventId);
        directory.noteCommitted(reading, []);
        return;
      }
      if (isOthers(reading.generation, state.open)) throw this.#refusal(eventId, state);
      if (progress.isMoving(reading, state)) await postgres.time.sleep(LOOK_EVERY_MS);
      else if (await this.#reopen(session, reading, state)) publishRecovery("redis-rebuild");
    }
    throw new EngineFault("redis", "not-applied", `${eventId} is still being rebuilt in Redis`);
  }

  #refusal(eventId: EventId, { open }: EventState): EngineFault {
    const reason = `another build counts (${open?.split(":")[2]}, this one is ${scriptsId})`;
    if (!this.#others.has(eventId)) this.#options.onOthers?.(eventId, reason);
    this.#others.set(eventId, this.#options.postgres.time.nowMs());
    return new EngineFault("redis", "not-applied", reason);
  }

  async #reopen(
    session: RedisSession,
    { event, generation }: EventReading,
    { open }: EventState,
  ): Promise<boolean> {
    if (generation !== null && open?.startsWith(`${generation}:`) === true) {
      const pending = await findPending(session, this.#options.postgres, event.id);
      publishRepair("rows-written", await writePending(this.#options, event.id, [...pending]));
    }
    const next = this.#options.drawToken();
    const change = { generation, next };
    if (!(await replaceGeneration(this.#options.postgres, event.id, change))) return false;
    return this.#build(session, event.id, { token: next, seen: open, generation: next });
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
    // Read after the rows: a limit that was raised before the last of them is seen.
    const { event } = await this.#read(eventId);
    const latch = count === event.limit ? "1" : "0";
    const opened = openedBy(plan.generation, session.runId);
    return rebuildStep(session, eventId, ["open", token, opened, latch, String(count)]);
  }

  async #read(eventId: EventId): Promise<EventReading> {
    const reading = (await readEvents(this.#options.postgres, [eventId]))[0];
    if (reading === undefined) {
      throw new EngineFault("postgres", "not-applied", `the row of event ${eventId} is gone`);
    }
    return reading;
  }
}

/** True where the generation still was what we read, and now is ours. */
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

function isOpen(reading: EventReading, state: EventState, session: RedisSession): boolean {
  return reading.generation !== null && state.open === openedBy(reading.generation, session.runId);
}

/** Tells whether another builder is at work on this event. */
class Progress {
  readonly #time: Time;
  #seen: string | null = null;
  #seenMs = 0;

  constructor(time: Time) {
    this.#time = time;
  }

  isMoving({ generation }: EventReading, { building, built }: EventState): boolean {
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

/** One run at a time for each event, shared by all who ask meanwhile. */
async function shared<Value>(
  runs: Map<EventId, Promise<Value>>,
  eventId: EventId,
  start: () => Promise<Value>,
): Promise<Value> {
  const running = runs.get(eventId);
  if (running !== undefined) return running;
  const run = start().finally(() => runs.delete(eventId));
  runs.set(eventId, run);
  return run;
}
