// The claims of one event on their way through Redis.
//
// Purpose. All claims that arrive in one turn of the event loop, or while a script call is under way,
// share the next call; one call at a time, so that the answers' order is the claims'.
//
// A claim's way: arrived -> asked -> reserved (to the batch writer) | told to wait
//   - Told to wait: the last seats are taken, and the rows have to tell by whom. The first of those who wait is asked
//     again every 50 ms and on every change that this process learns of. When its answer is another
//     one, everybody's is, and all are asked. Nobody waits longer than 5 s.
//   - Closed: Redis is made to count first, or the event is found to be finished; then all go on.
//   - Lost answer: the script is repeated once, since it changes nothing for who is in already. From
//     then on this claim may have reserved, and is never again called "not applied".
//   - Finished, as the directory knows: everybody is answered from the rows, and Redis is not asked.
//   - More is reserved than can be written in time: nobody is asked for. Whoever waits too long for
//     that is told "unavailable", and has reserved nothing.
//   - A person is in the line once, however often they claim: the others share the answer.
//
// Deliberately not done: any way around Redis while it is away. Two deciders would be worse than none.
import type { ClaimAnswer, ClaimRefusal, EventId, UserId } from "@stampede/domain";
import { EngineFault } from "@stampede/domain";
import type { EventDirectory, KnownEvent } from "../rows/event-directory.ts";
import type { Postgres } from "../engines/postgres/open.ts";
import { publishBatch } from "../engines/telemetry.ts";
import { asReplay } from "../rows/batch-writer.ts";
import type { BatchWriter } from "../rows/batch-writer.ts";
import { finalRefusal } from "./finished.ts";
import type { Generations } from "./generations.ts";
import type { Redis } from "../engines/redis/open.ts";
import type { ScriptAnswer } from "./scripts.ts";
import { stampOf, reserve } from "./scripts.ts";

/** Claims of one script call: about a millisecond of Redis. */
const ASK_MAX = 1_000;
const ASK_AGAIN_EVERY_MS = 50;
const WAIT_MS_MAX = 5_000;
/** A crowd of ten thousand winners is written by then, also on a slow machine. */
const ROOM_MS_MAX = 10_000;
const ROOM_LOOK_EVERY_MS = 20;
const COUNTING_MS_MAX = 2_000;
/** How long a claim whose answer was lost waits for Redis before its one repetition. */
const RETURN_MS_MAX = 1_000;

type WaitingClaim = {
  readonly userId: UserId;
  readonly arrivedMs: number;
  readonly answer: Promise<ClaimAnswer>;
  readonly resolve: (answer: ClaimAnswer | Promise<ClaimAnswer>) => void;
  readonly reject: (error: unknown) => void;
  /** An answer of Redis was lost: this person may hold a reservation. */
  mayBeReserved: boolean;
};

export type ReservationLineOptions = {
  readonly redis: Redis;
  readonly postgres: Postgres;
  readonly directory: EventDirectory;
  readonly generations: Generations;
  readonly writer: BatchWriter<number>;
  /** So many more can be written in time, behind what is reserved now. */
  readonly room: () => number;
  readonly eventId: EventId;
  /** Called when nobody is in the line. */
  readonly onIdle: () => void;
};

export class ReservationLine {
  readonly #options: ReservationLineOptions;
  /** Persons who are not asked for, or not answered by Redis yet. */
  readonly #inLine = new Map<UserId, WaitingClaim>();
  #arrived: WaitingClaim[] = [];
  readonly #waiting: WaitingClaim[] = [];
  #running: Promise<void> | null = null;
  #wake: () => void = () => undefined;

  constructor(options: ReservationLineOptions) {
    this.#options = options;
  }

  get isIdle(): boolean {
    return this.#running === null;
  }

  async claim(userId: UserId): Promise<ClaimAnswer> {
    const first = this.#inLine.get(userId);
    if (first !== undefined) return first.answer.then(asReplay);
    const { promise: answer, resolve, reject } = Promise.withResolvers<ClaimAnswer>();
    const claim: WaitingClaim = {
      userId,
      arrivedMs: this.#options.postgres.time.nowMs(),
      answer,
      resolve: (told) => {
        this.#inLine.delete(userId);
        resolve(told);
      },
      reject: (error) => {
        this.#inLine.delete(userId);
        reject(error);
      },
      mayBeReserved: false,
    };
    this.#inLine.set(userId, claim);
    this.#arrived.push(claim);
    this.#wake();
    this.#running ??= this.#run();
    return answer;
  }

  async #run(): Promise<void> {
    const { directory, postgres, eventId, onIdle } = this.#options;
    const unlisten = directory.onChange(eventId, () => this.#wake());
    // The end of this turn of the event loop: claims that arrive in it share the first call.
    await new Promise<void>(postgres.time.endOfTurn);
    while (this.#arrived.length + this.#waiting.length > 0) {
      if (this.#arrived.length === 0) await this.#pause(ASK_AGAIN_EVERY_MS);
      try {
        await this.#turn();
      } catch (error) {
        for (const claim of this.#takeAll()) fail(claim, error);
      }
    }
    unlisten();
    this.#running = null;
    onIdle();
  }

  async #turn(): Promise<void> {
    this.#expire();
    const { directory, eventId } = this.#options;
    const known = await directory.fresh(eventId);
    if (known === null) {
      throw new EngineFault("postgres", "not-applied", `the row of event ${eventId} is gone`);
    }
    const refusal = finalRefusal(known.event, this.#options.postgres.clock.nowMs());
    if (refusal !== null) {
      for (const claim of this.#takeAll()) claim.resolve(this.#whenFinished(claim, refusal));
      return;
    }
    const room = this.#options.room();
    if (room === 0) {
      await this.#pause(ROOM_LOOK_EVERY_MS);
      return;
    }
    const first = this.#waiting.shift();
    const claims = first === undefined ? [] : [first];
    claims.push(...this.#arrived.splice(0, Math.min(room, ASK_MAX) - claims.length));
    const answers = claims.length === 0 ? null : await this.#ask(claims, known);
    if (answers === null) return;
    if (first !== undefined && answers[0] !== "wait") {
      this.#arrived = [...this.#waiting.splice(0), ...this.#arrived];
    }
    claims.forEach((claim, index) => {
      const answer = answers[index];
      if (answer !== "wait") this.#settle(claim, answer);
      else if (claim === first) this.#waiting.unshift(claim);
      else this.#waiting.push(claim);
    });
  }

  /** Null: these claims were put back in the line, or answered otherwise. */
  async #ask(
    claims: readonly WaitingClaim[],
    { event, generation }: KnownEvent,
  ): Promise<readonly ScriptAnswer[] | null> {
    const { redis, postgres } = this.#options;
    try {
      // Asked before anything is reserved: a reservation could not be written, nor given back.
      if (!postgres.isUp()) throw new EngineFault("postgres", "not-applied", "PostgreSQL is away");
      const session = redis.session();
      if (generation !== null) {
        publishBatch("redis-script", claims.length);
        const answers = await reserve(session, {
          eventId: event.id,
          stamp: stampOf(generation, session.runId),
          limit: event.limit,
          userIds: claims.map((claim) => claim.userId),
        });
        if (answers !== "closed") return answers;
      }
      await this.#ensureCounting();
      this.#arrived = [...claims, ...this.#arrived];
    } catch (error) {
      await this.#notAnswered(claims, error);
    }
    return null;
  }

  async #notAnswered(claims: readonly WaitingClaim[], error: unknown): Promise<void> {
    if (!(error instanceof EngineFault) || error.outcome === "not-applied") {
      for (const claim of claims) fail(claim, error);
      return;
    }
    const again: WaitingClaim[] = [];
    for (const claim of claims) {
      if (claim.mayBeReserved) claim.reject(error);
      else again.push(claim);
      claim.mayBeReserved = true;
    }
    this.#arrived = [...again, ...this.#arrived];
    await this.#options.redis.untilUp(RETURN_MS_MAX);
  }

  async #ensureCounting(): Promise<void> {
    const { generations, postgres, eventId } = this.#options;
    const late = new AbortController();
    try {
      await Promise.race([
        generations.ensureCounting(eventId),
        postgres.time.sleep(COUNTING_MS_MAX, late.signal).then(() => {
          throw new EngineFault("redis", "not-applied", `${eventId} is being rebuilt in Redis`);
        }),
      ]);
    } catch (error) {
      // Redis was closed for these claims: whatever became of the rebuilding, they reserved nothing.
      throw error instanceof EngineFault ? notReserved(error) : error;
    } finally {
      late.abort();
    }
  }

  #settle(claim: WaitingClaim, answer: ScriptAnswer | undefined): void {
    if (typeof answer !== "number") claim.reject(new Error("claim.lua answers every person"));
    else if (answer > 0) claim.resolve(this.#options.writer.write(claim.userId, answer));
    else claim.resolve(this.#held(claim.userId, -answer));
  }

  /** Who holds a number has a row, or is getting one, or nobody lives who would write it. */
  async #held(userId: UserId, number: number): Promise<ClaimAnswer> {
    const { writer, directory, eventId } = this.#options;
    const joined = writer.joined(userId);
    if (joined !== null) return joined;
    try {
      const mine = (await directory.lookUp(eventId, userId))?.mine ?? null;
      if (mine !== null) return { kind: "replayed", couponIssue: mine };
    } catch (error) {
      throw error instanceof EngineFault ? reserved(error) : error;
    }
    return writer.write(userId, number);
  }

  async #whenFinished(
    { userId, mayBeReserved }: WaitingClaim,
    refusal: ClaimRefusal,
  ): Promise<ClaimAnswer> {
    const { writer, directory, eventId } = this.#options;
    const joined = writer.joined(userId);
    if (joined !== null) return joined;
    const final = directory.final(eventId, userId);
    if (final === "sold-out") return { kind: "refused", refusal };
    if (final !== null) return { kind: "replayed", couponIssue: final };
    try {
      const mine = (await directory.lookUp(eventId, userId))?.mine ?? null;
      if (mine !== null) return { kind: "replayed", couponIssue: mine };
      // Sold out is final. Of a closed event a reservation may still be about to get its row.
      if (mayBeReserved && refusal.kind !== "sold-out") {
        throw new EngineFault("redis", "not-applied", "the event has closed");
      }
      return { kind: "refused", refusal };
    } catch (error) {
      throw mayBeReserved && error instanceof EngineFault ? reserved(error) : error;
    }
  }

  #takeAll(): WaitingClaim[] {
    return [...this.#waiting.splice(0), ...this.#arrived.splice(0)];
  }

  #expire(): void {
    const nowMs = this.#options.postgres.time.nowMs();
    for (const [line, msMax, reason] of [
      [this.#waiting, WAIT_MS_MAX, "nobody knows yet who gets the last coupons"],
      [this.#arrived, ROOM_MS_MAX, "more coupons are reserved than can be written in time"],
    ] as const) {
      const oldestMs = nowMs - msMax;
      const late = line.findIndex((claim) => claim.arrivedMs >= oldestMs);
      for (const claim of line.splice(0, late === -1 ? line.length : late)) {
        fail(claim, new EngineFault("redis", "not-applied", reason));
      }
    }
  }

  /** Until `ms` are over, or something happened: a claim came, or a commit. */
  async #pause(ms: number): Promise<void> {
    const over = new AbortController();
    this.#wake = () => over.abort();
    await this.#options.postgres.time.sleep(ms, over.signal);
    this.#wake = () => undefined;
  }
}

function fail(claim: WaitingClaim, error: unknown): void {
  claim.reject(claim.mayBeReserved && error instanceof EngineFault ? reserved(error) : error);
}

function reserved(cause: EngineFault): EngineFault {
  const message = `a coupon may have been reserved: ${cause.message}`;
  return new EngineFault(cause.engine, "unknown", message, { cause });
}

function notReserved(cause: EngineFault): EngineFault {
  return new EngineFault(cause.engine, "not-applied", cause.message, { cause });
}
