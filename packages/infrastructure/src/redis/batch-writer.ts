// Reservations of one event become rows: one transaction at a time takes the event row's lock once
// for all reservations that came in while the one before it ran.
//
// Invariants
// - A person is answered only after the commit of their row, or of the rows that leave none for them.
// - A reservation is never given back (a lost COMMIT may have committed it) and never called "not
//   applied": whoever cannot be told in time is told "unknown", and the reconciler writes the row.
// - A person is in the queue once, however often they claim: the first is issued, the others replay.
//
// Deliberately not done: retrying until it works. The reconciler does that, from Redis, and it also
// serves the reservations of a process that died.
import type { ClaimAnswer, EventId, UserId } from "@stampede/domain";
import { EngineFault } from "@stampede/domain";
import type { BatchAnswer, IssuedBatch } from "../postgres/coupon-issues.ts";
import { publishBatch } from "../telemetry.ts";
import type { Time } from "../time.ts";
import { BATCH_ROWS_MAX, writeBatch } from "./write-batch.ts";
import type { RowWriting } from "./write-batch.ts";

const ATTEMPTS_MAX = 3;
/** No attempt starts later than this after the first: a lock that is held makes one last 4 s. */
const RETRY_WITHIN_MS = 3_000;
const RETRY_AFTER_MS = 50;
/** A person waits no longer for the row of their reservation. */
const ANSWER_MS_MAX = 8_000;
const EXPIRE_EVERY_MS = 250;

type Reservation = {
  readonly userId: UserId;
  readonly number: number;
  readonly reservedMs: number;
  readonly answer: Promise<ClaimAnswer>;
  readonly resolve: (answer: ClaimAnswer) => void;
  readonly reject: (error: unknown) => void;
};

export type BatchWriterOptions = {
  readonly writing: RowWriting;
  readonly eventId: EventId;
  /** Called once all coupons are committed rows. */
  readonly onSoldOut: () => void;
  /** Called when nothing is left to write. */
  readonly onIdle: () => void;
};

export class BatchWriter {
  readonly #options: BatchWriterOptions;
  readonly #time: Time;
  readonly #reservations = new Map<UserId, Reservation>();
  #queue: Reservation[] = [];
  #running: Promise<void> | null = null;

  constructor(options: BatchWriterOptions) {
    this.#options = options;
    this.#time = options.writing.postgres.time;
  }

  get isIdle(): boolean {
    return this.#running === null;
  }

  /** The answer to a reservation that is being written here; null where there is none. */
  joined(userId: UserId): Promise<ClaimAnswer> | null {
    const reservation = this.#reservations.get(userId);
    return reservation === undefined ? null : reservation.answer.then(asReplay);
  }

  /** Writes the row of a reservation; answers after the commit. Rejects with `EngineFault`. */
  async write(userId: UserId, number: number): Promise<ClaimAnswer> {
    const joined = this.joined(userId);
    if (joined !== null) return joined;
    const { promise: answer, resolve, reject } = Promise.withResolvers<ClaimAnswer>();
    const reservedMs = this.#time.nowMs();
    const reservation = { userId, number, reservedMs, answer, resolve, reject };
    this.#reservations.set(userId, reservation);
    this.#queue.push(reservation);
    this.#running ??= this.#run();
    return answer;
  }

  async #run(): Promise<void> {
    const endExpiry = this.#time.every(EXPIRE_EVERY_MS, () => this.#expire());
    // The end of this turn: reservations of one script call share the first transaction too.
    await new Promise<void>(this.#time.endOfTurn);
    while (this.#queue.length > 0) {
      const batch = this.#queue
        .splice(0, BATCH_ROWS_MAX)
        .toSorted((one, other) => one.number - other.number);
      await this.#write(batch);
    }
    endExpiry();
    this.#running = null;
    this.#options.onIdle();
  }

  async #write(batch: readonly Reservation[]): Promise<void> {
    try {
      publishBatch("redis-rows", batch.length);
      const issued = await this.#attempts(batch.map((reservation) => reservation.userId));
      batch.forEach((reservation, index) => this.#settle(reservation, issued.answers[index]));
      if (issued.event.issued === issued.event.limit) this.#options.onSoldOut();
    } catch (error) {
      // Whoever waits behind this batch would wait as long again: the database is in trouble.
      for (const reservation of [...batch, ...this.#queue]) this.#leave(reservation, error);
      this.#queue = [];
    }
  }

  async #attempts(userIds: readonly UserId[]): Promise<IssuedBatch> {
    const { writing, eventId } = this.#options;
    const startedMs = this.#time.nowMs();
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await writeBatch(writing, eventId, userIds);
      } catch (error) {
        // Whatever became of this attempt: the next one finds the rows that it left.
        const late = this.#time.nowMs() - startedMs > RETRY_WITHIN_MS;
        if (!(error instanceof EngineFault) || attempt === ATTEMPTS_MAX || late) throw error;
        await this.#time.sleep(RETRY_AFTER_MS * 2 ** attempt);
      }
    }
  }

  #settle(reservation: Reservation, answer: BatchAnswer | undefined): void {
    this.#reservations.delete(reservation.userId);
    if (answer === undefined) reservation.reject(new Error("a batch answers every reservation"));
    else if (answer.ok) reservation.resolve(answer.value);
    else reservation.resolve({ kind: "refused", refusal: answer.refusal });
  }

  #leave(reservation: Reservation, cause: unknown): void {
    this.#reservations.delete(reservation.userId);
    reservation.reject(cause instanceof EngineFault ? unwritten(cause) : cause);
  }

  /** Their rows are still written; only nobody waits for them any more. */
  #expire(): void {
    const nowMs = this.#time.nowMs();
    for (const reservation of this.#reservations.values()) {
      if (nowMs - reservation.reservedMs < ANSWER_MS_MAX) break;
      this.#leave(reservation, new EngineFault("postgres", "unknown", "the row takes too long"));
    }
  }
}

function asReplay(answer: ClaimAnswer): ClaimAnswer {
  return answer.kind === "issued" ? { ...answer, kind: "replayed" } : answer;
}

function unwritten(cause: EngineFault): EngineFault {
  const message = `a coupon is reserved and its row not known to be written: ${cause.message}`;
  return new EngineFault("postgres", "unknown", message, { cause });
}
