// The claims of one event on their way through Redis.
//
// Purpose. All claims that arrive in one turn of the event loop, or while a script call is under way,
// share the next call; one call at a time, so that the answers' order is the claims'.
//
// A claim's way: arrived -> asked -> reserved (to the batch writer) | sold out | told to wait
//   - Told to wait: the last seats are taken and not durable. The first of those who wait is asked
//     again every 50 ms and on every change that this process learns of. When its answer is another
//     one, everybody's is, and all are asked. Nobody waits longer than 5 s.
//   - Closed: Redis is opened first, then all are asked again.
//   - Lost answer: the script is repeated once, since it changes nothing for who is in already. From
//     then on this claim may have reserved, and is never again called "not applied".
//   - Sold out, as the directory knows: everybody is answered from the rows.
//
// Deliberately not done: any way around Redis while it is away. Two deciders would be worse than none.
import type { ClaimAnswer, EventId, UserId } from "@stampede/domain";
import { EngineFault } from "@stampede/domain";
import type { EventDirectory, KnownEvent } from "../postgres/event-directory.ts";
import type { Postgres } from "../postgres/open.ts";
import { publishBatch } from "../telemetry.ts";
import type { BatchWriter } from "./batch-writer.ts";
import type { Generations } from "./generations.ts";
import type { Redis } from "./open.ts";
import type { ScriptAnswer } from "./scripts.ts";
import { openedBy, reserve } from "./scripts.ts";

/** Claims of one script call: about a millisecond of Redis. */
const ASK_MAX = 1_000;
const ASK_AGAIN_EVERY_MS = 50;
const WAIT_MS_MAX = 5_000;
const OPEN_MS_MAX = 2_000;
/** How long a claim whose answer was lost waits for Redis before its one repetition. */
const RETURN_MS_MAX = 1_000;

type Claim = {
  readonly userId: UserId;
  readonly arrivedMs: number;
  readonly resolve: (answer: ClaimAnswer | Promise<ClaimAnswer>) => void;
  readonly reject: (error: unknown) => void;
  /** An answer of Redis was lost: this person may hold a reservation. */
  mayBeReserved: boolean;
};

export type ClaimLineOptions = {
  readonly redis: Redis;
  readonly postgres: Postgres;
  readonly directory: EventDirectory;
  readonly generations: Generations;
  readonly writer: BatchWriter;
  readonly eventId: EventId;
  /** Called when nobody is in the line. */
  readonly onIdle: () => void;
};

export class ClaimLine {
  readonly #options: ClaimLineOptions;
  #arrived: Claim[] = [];
  readonly #waiting: Claim[] = [];
  #running: Promise<void> | null = null;
  #wake: () => void = () => undefined;

  constructor(options: ClaimLineOptions) {
    this.#options = options;
  }

  get isIdle(): boolean {
    return this.#running === null;
  }

  async claim(userId: UserId): Promise<ClaimAnswer> {
    return new Promise((resolve, reject) => {
      const arrivedMs = this.#options.postgres.time.nowMs();
      this.#arrived.push({ userId, arrivedMs, resolve, reject, mayBeReserved: false });
      this.#wake();
      this.#running ??= this.#run();
    });
  }

  async #run(): Promise<void> {
    const { directory, postgres, eventId, onIdle } = this.#options;
    const unlisten = directory.onChange(eventId, () => this.#wake());
    // The end of this turn of the event loop: claims that arrive in it share the first call.
    await new Promise<void>(postgres.time.endOfTurn);
    while (this.#arrived.length + this.#waiting.length > 0) {
      if (this.#arrived.length === 0) await this.#pause();
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
    if (known.event.issued === known.event.limit) {
      for (const claim of this.#takeAll()) claim.resolve(this.#whenSoldOut(claim));
      return;
    }
    const first = this.#waiting.shift();
    const claims = first === undefined ? [] : [first];
    claims.push(...this.#arrived.splice(0, ASK_MAX));
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
    claims: readonly Claim[],
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
          opened: openedBy(generation, session.runId),
          limit: event.limit,
          userIds: claims.map((claim) => claim.userId),
        });
        if (answers !== "closed") return answers;
      }
      await this.#open();
      this.#arrived = [...claims, ...this.#arrived];
    } catch (error) {
      await this.#notAnswered(claims, error);
    }
    return null;
  }

  async #notAnswered(claims: readonly Claim[], error: unknown): Promise<void> {
    if (!(error instanceof EngineFault) || error.outcome === "not-applied") {
      for (const claim of claims) fail(claim, error);
      return;
    }
    const again: Claim[] = [];
    for (const claim of claims) {
      if (claim.mayBeReserved) claim.reject(error);
      else again.push(claim);
      claim.mayBeReserved = true;
    }
    this.#arrived = [...again, ...this.#arrived];
    await this.#options.redis.untilUp(RETURN_MS_MAX);
  }

  async #open(): Promise<void> {
    const { generations, postgres, eventId } = this.#options;
    const late = new AbortController();
    try {
      await Promise.race([
        generations.open(eventId),
        postgres.time.sleep(OPEN_MS_MAX, late.signal).then(() => {
          throw new EngineFault("redis", "not-applied", `${eventId} is being rebuilt in Redis`);
        }),
      ]);
    } catch (error) {
      // Redis was closed for these claims: whatever became of the opening, they reserved nothing.
      throw error instanceof EngineFault ? notReserved(error) : error;
    } finally {
      late.abort();
    }
  }

  #settle(claim: Claim, answer: ScriptAnswer | undefined): void {
    if (answer === "sold-out") claim.resolve({ kind: "refused", refusal: { kind: "sold-out" } });
    else if (typeof answer !== "number") claim.reject(new Error("claim.lua answers every person"));
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

  async #whenSoldOut({ userId, mayBeReserved }: Claim): Promise<ClaimAnswer> {
    const { directory, eventId } = this.#options;
    const final = directory.final(eventId, userId);
    if (final === "sold-out") return { kind: "refused", refusal: { kind: "sold-out" } };
    if (final !== null) return { kind: "replayed", couponIssue: final };
    try {
      const mine = (await directory.lookUp(eventId, userId))?.mine ?? null;
      return mine === null
        ? { kind: "refused", refusal: { kind: "sold-out" } }
        : { kind: "replayed", couponIssue: mine };
    } catch (error) {
      throw mayBeReserved && error instanceof EngineFault ? reserved(error) : error;
    }
  }

  #takeAll(): Claim[] {
    return [...this.#waiting.splice(0), ...this.#arrived.splice(0)];
  }

  #expire(): void {
    const oldestMs = this.#options.postgres.time.nowMs() - WAIT_MS_MAX;
    for (const line of [this.#waiting, this.#arrived]) {
      const late = line.findIndex((claim) => claim.arrivedMs >= oldestMs);
      for (const claim of line.splice(0, late === -1 ? line.length : late)) {
        fail(
          claim,
          new EngineFault("redis", "not-applied", "the last coupons are still undecided"),
        );
      }
    }
  }

  async #pause(): Promise<void> {
    const over = new AbortController();
    this.#wake = () => over.abort();
    await this.#options.postgres.time.sleep(ASK_AGAIN_EVERY_MS, over.signal);
    this.#wake = () => undefined;
  }
}

function fail(claim: Claim, error: unknown): void {
  claim.reject(claim.mayBeReserved && error instanceof EngineFault ? reserved(error) : error);
}

function reserved(cause: EngineFault): EngineFault {
  const message = `a coupon may be reserved: ${cause.message}`;
  return new EngineFault(cause.engine, "unknown", message, { cause });
}

function notReserved(cause: EngineFault): EngineFault {
  return new EngineFault(cause.engine, "not-applied", cause.message, { cause });
}
