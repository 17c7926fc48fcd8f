// Claims of one event become rows: one transaction at a time takes the event row's lock once for all
// claims that came in while the one before it ran.
//
// Invariants
// - A person is answered only after the commit that decides them.
// - A person is in line once, however often they claim: the first is issued, the others replay.
// - A claim that is owed its row (v2: its coupon is reserved) is never told "not applied", and is
//   written even when nobody waits for it any more. Another one is told "not applied" only where no
//   transaction that held it can have committed: it had not left the line, or each attempt says so.
//
// An attempt that fails runs again, with the same claims, where a row may be there or is owed: the
// next attempt finds the rows that it left. Nothing else is tried again here: whoever waits for a
// database in trouble is told so at once, and so is everybody behind them.
import type { ClaimAnswer, UserId } from "@stampede/domain";
import { EngineFault } from "@stampede/domain";
import type { BatchAnswer } from "./coupon-issues.ts";
import { isRefusedData } from "../engines/postgres/faults.ts";
import type { Time } from "../engines/time.ts";

const ATTEMPTS_MAX = 3;
/** No attempt starts later than this after the first: a lock that is held makes one last 4 s. */
const RETRY_WITHIN_MS = 3_000;
const RETRY_AFTER_MS = 50;
const EXPIRE_EVERY_MS = 250;

/** Somebody in line. */
export type InLine<Item> = {
  readonly userId: UserId;
  readonly item: Item;
  readonly sinceMs: number;
  readonly answer: Promise<ClaimAnswer>;
  readonly resolve: (answer: ClaimAnswer) => void;
  readonly reject: (error: unknown) => void;
  /** Claims that wait for this answer. */
  claims: number;
  /** Its transaction is under way. */
  sent: boolean;
};

export type BatchWriterOptions<Item> = {
  readonly time: Time;
  /** Takes the next batch out of the line. */
  readonly take: (line: InLine<Item>[]) => InLine<Item>[];
  /**
   * Begins a batch; gives one attempt at its transaction, which may run again. An attempt answers
   * after its commit, everybody in the batch's order, and rejects with `EngineFault`.
   */
  readonly begin: (batch: readonly InLine<Item>[]) => () => Promise<readonly BatchAnswer[]>;
  /** Whether whoever is in line is owed a row, whatever they are told. */
  readonly owed: boolean;
  /** Nobody waits longer for an answer. */
  readonly answerMsMax: number;
  /** Called when somebody is answered, with the number of their claims. */
  readonly onAnswered?: (claims: number) => void;
  /** Called when nobody is in line. */
  readonly onIdle: () => void;
};

export class BatchWriter<Item> {
  readonly #options: BatchWriterOptions<Item>;
  readonly #waiting = new Map<UserId, InLine<Item>>();
  #line: InLine<Item>[] = [];
  #running: Promise<void> | null = null;

  constructor(options: BatchWriterOptions<Item>) {
    this.#options = options;
  }

  get isIdle(): boolean {
    return this.#running === null;
  }

  /** Persons who are not answered yet. */
  get waiting(): number {
    return this.#waiting.size;
  }

  has(userId: UserId): boolean {
    return this.#waiting.has(userId);
  }

  /** The answer to a person who is in line already; null where they are not. */
  joined(userId: UserId): Promise<ClaimAnswer> | null {
    const first = this.#waiting.get(userId);
    if (first === undefined) return null;
    first.claims += 1;
    return first.answer.then(asReplay);
  }

  /** Writes the row of a claim; answers after the commit. Rejects with `EngineFault`. */
  write(userId: UserId, item: Item): Promise<ClaimAnswer> {
    const joined = this.joined(userId);
    if (joined !== null) return joined;
    const { promise: answer, resolve, reject } = Promise.withResolvers<ClaimAnswer>();
    const sinceMs = this.#options.time.nowMs();
    const one = { userId, item, sinceMs, answer, resolve, reject, claims: 1, sent: false };
    this.#waiting.set(userId, one);
    this.#line.push(one);
    this.#running ??= this.#run();
    return answer;
  }

  async #run(): Promise<void> {
    const { time, take, onIdle } = this.#options;
    const endExpiry = time.every(EXPIRE_EVERY_MS, () => this.#expire());
    // The end of this turn: claims that arrive in it share the first transaction too.
    await new Promise<void>(time.endOfTurn);
    while (this.#line.length > 0) await this.#write(take(this.#line));
    endExpiry();
    this.#running = null;
    onIdle();
  }

  async #write(batch: readonly InLine<Item>[]): Promise<void> {
    for (const one of batch) one.sent = true;
    try {
      const answers = await this.#attempts(batch);
      batch.forEach((one, index) => this.#settle(one, answers[index]));
    } catch (error) {
      await this.#fail(batch, error);
    }
  }

  async #attempts(batch: readonly InLine<Item>[]): Promise<readonly BatchAnswer[]> {
    const { time, begin, owed } = this.#options;
    const attempt = begin(batch);
    const startedMs = time.nowMs();
    let mayBeWritten = owed;
    for (let count = 1; ; count += 1) {
      try {
        return await attempt();
      } catch (error) {
        if (!(error instanceof EngineFault)) throw error;
        mayBeWritten ||= error.outcome === "unknown";
        if (!mayBeWritten) throw error;
        const late = time.nowMs() - startedMs > RETRY_WITHIN_MS;
        if (count === ATTEMPTS_MAX || late) throw unknown(error);
        await time.sleep(RETRY_AFTER_MS * 2 ** count);
      }
    }
  }

  async #fail(batch: readonly InLine<Item>[], error: unknown): Promise<void> {
    const isRefused = !this.#options.owed && isRefusedData(error);
    if (isRefused && batch.length > 1) {
      // Somebody's own data is refused, and nothing of the batch applied: the others go without them.
      for (const half of halves(batch)) {
        const left = half.filter((one) => this.#waiting.get(one.userId) === one);
        if (left.length > 0) await this.#write(left);
      }
      return;
    }
    for (const one of batch) this.#leave(one, error);
    if (isRefused) return;
    // Whoever waits behind this batch would wait as long again: the database is in trouble.
    const behind = this.#line;
    this.#line = [];
    const theirs = error instanceof EngineFault ? this.#unsent(error) : error;
    for (const one of behind) this.#leave(one, theirs);
  }

  #settle(one: InLine<Item>, answer: BatchAnswer | undefined): void {
    this.#forget(one);
    if (answer === undefined) one.reject(new Error("the batch left a claim without an answer"));
    else if (answer.ok) one.resolve(answer.value);
    else one.resolve({ kind: "refused", refusal: answer.refusal });
  }

  #leave(one: InLine<Item>, error: unknown): void {
    this.#forget(one);
    one.reject(error);
  }

  #forget(one: InLine<Item>): void {
    // Whoever was told in time that it takes too long may have come again since.
    if (this.#waiting.get(one.userId) !== one) return;
    this.#waiting.delete(one.userId);
    this.#options.onAnswered?.(one.claims);
  }

  /** All wait equally long, so whoever's time is up stands at the front. */
  #expire(): void {
    const { time, owed, answerMsMax } = this.#options;
    const oldestMs = time.nowMs() - answerMsMax;
    const late: InLine<Item>[] = [];
    for (const one of this.#waiting.values()) {
      if (one.sinceMs > oldestMs) break;
      late.push(one);
    }
    if (late.length === 0) return;
    const fault = new EngineFault("postgres", "not-applied", "the row was not written in time");
    const [sent, unsent] = [unknown(fault), this.#unsent(fault)];
    for (const one of late) this.#leave(one, one.sent ? sent : unsent);
    // What is owed is still written; only nobody waits for it any more.
    if (!owed) this.#line.splice(0, late.filter((one) => !one.sent).length);
  }

  /** What they are told whose claims did not leave the line. */
  #unsent(cause: EngineFault): EngineFault {
    if (this.#options.owed) return unknown(cause);
    return new EngineFault("postgres", "not-applied", cause.message, { cause });
  }
}

/** What whoever shares another's answer is told. */
export function asReplay(answer: ClaimAnswer): ClaimAnswer {
  return answer.kind === "issued" ? { ...answer, kind: "replayed" } : answer;
}

function halves<Item>(batch: readonly Item[]): readonly (readonly Item[])[] {
  const middle = Math.ceil(batch.length / 2);
  return [batch.slice(0, middle), batch.slice(middle)];
}

function unknown(cause: EngineFault): EngineFault {
  const message = `a row may have been written: ${cause.message}`;
  return new EngineFault("postgres", "unknown", message, { cause });
}
