// What this process knows of events: a cache of committed facts, shared by everything that must not
// ask the database for each of ten thousand claims.
//
// Invariants
// - Each fact is as it was committed at some moment, and none ever goes back: `issued`, the mark and
//   the version only grow, and a coupon issue never changes.
// - `lookUp` answers from a reading that began after the question, shared by all who wait (so `ahead`
//   never grows for a ticket, on any instance).
// - `fresh` is at most a second old while PostgreSQL is there, the last known while it is away.
// - `final` speaks only of what can never change: an event that is sold out, all its coupon issues.
//
// Deliberately not done: LISTEN/NOTIFY. One query for all events in use, at most ten a second, keeps
// the cache as fresh, needs no connection of its own and has no lost notifications to recover from.
import type { CouponEvent, CouponIssue, EventId, UserId } from "@stampede/domain";
import { EngineFault } from "@stampede/domain";
import { rateMeter } from "../rate-meter.ts";
import type { RateMeter } from "../rate-meter.ts";
import type { Time } from "../time.ts";
import { readEvents, readIssuesAfter, readIssuesOf } from "./directory-rows.ts";
import type { QueueFacts } from "./directory-rows.ts";
import type { Postgres } from "./open.ts";

export type { QueueFacts } from "./directory-rows.ts";

export type KnownEvent = {
  readonly event: CouponEvent;
  /** kafka-queue only. */
  readonly queue: QueueFacts | null;
  /** redis-counter only. */
  readonly generation: string | null;
};

export type Lookup = KnownEvent & { readonly mine: CouponIssue | null };

type Entry = {
  known: KnownEvent;
  /** The first coupon issues, by person: `seq` 1 to `winners.size`. */
  readonly winners: Map<UserId, CouponIssue>;
  readAtMs: number;
  usedAtMs: number;
  readonly rates: RateMeter;
  readonly listeners: Set<() => void>;
};

/** The next reading of one event, and who asked for what before it begins. */
type Question = {
  readonly persons: Set<UserId>;
  readonly reading: PromiseWithResolvers<SharedReading | null>;
};

/** One object for all who share a reading: ten thousand of them wait at once. */
export type SharedReading = {
  readonly known: KnownEvent;
  /** The coupon issues of those who asked, and perhaps of others. */
  readonly mine: ReadonlyMap<UserId, CouponIssue>;
};

const FRESH_MS_MAX = 1_000;
const READ_EVERY_MS = 250;
const READ_WATCHED_EVERY_MS = 100;
const TICK_JITTER_MS = 10;
/** An event nobody asked about for this long is no longer read. */
const IN_USE_MS = 30_000;
/** ... and for this long, is forgotten. */
const KEPT_MS = 600_000;
/** Coupon issues of larger events are looked up by person instead: about 300 bytes each in memory. */
const WINNERS_KEPT_MAX = 20_000;

/** See the top of this file. Close it before the database. */
export class EventDirectory {
  readonly #postgres: Postgres;
  readonly #entries = new Map<EventId, Entry>();
  readonly #time: Time;
  readonly #endTicks: () => void;
  #questions = new Map<EventId, Question>();
  #asking = false;
  #ticking = false;
  #lastTickMs = 0;

  constructor(postgres: Postgres) {
    this.#postgres = postgres;
    this.#time = postgres.time;
    this.#endTicks = this.#time.every(READ_WATCHED_EVERY_MS, () => void this.#tick());
  }

  /** What is known of an event, without asking; null where nothing is. */
  peek(eventId: EventId): KnownEvent | null {
    return this.#use(eventId)?.known ?? null;
  }

  /**
   * The event, at most a second old; older only while PostgreSQL is away. Null: no such event.
   * A promise only where the database must be asked. Rejects with `EngineFault` ("not-applied")
   * where nothing is known and the database does not answer.
   */
  fresh(eventId: EventId): KnownEvent | Promise<KnownEvent | null> {
    const entry = this.#use(eventId);
    if (entry === null) return this.#ask(eventId, null).then((answer) => answer?.known ?? null);
    const ageMs = this.#time.nowMs() - entry.readAtMs;
    if (ageMs <= FRESH_MS_MAX || isSoldOut(entry.known) || !this.#postgres.isUp()) {
      return entry.known;
    }
    // While the database is away the last known facts are the best there are.
    return this.#ask(eventId, null).then(
      (answer) => answer?.known ?? null,
      () => entry.known,
    );
  }

  /**
   * The event and this person's coupon issue, read after the question. Null: no such event.
   * Rejects with `EngineFault` ("not-applied").
   */
  async lookUp(eventId: EventId, userId: UserId): Promise<Lookup | null> {
    this.#use(eventId);
    const reading = await this.#ask(eventId, userId);
    return reading === null ? null : { ...reading.known, mine: reading.mine.get(userId) ?? null };
  }

  /** As `lookUp`; all who ask in one turn of the event loop get the same promise. */
  readShared(eventId: EventId, userId: UserId): Promise<SharedReading | null> {
    this.#use(eventId);
    return this.#ask(eventId, userId);
  }

  /** The final answer for a person, where this process knows it: no engine is asked. */
  final(eventId: EventId, userId: UserId): CouponIssue | "sold-out" | null {
    const entry = this.#use(eventId);
    if (entry === null || !isSoldOut(entry.known)) return null;
    if (entry.winners.size < entry.known.event.limit) return null;
    return entry.winners.get(userId) ?? "sold-out";
  }

  /**
   * Takes over what this process has just committed, sooner than the next reading tells it. A null
   * `queue` or `generation` leaves that part as it is known.
   */
  noteCommitted(known: KnownEvent, added: readonly CouponIssue[]): void {
    const entry = this.#merge(known, 0);
    addWinners(entry, added);
  }

  /** Decisions (kafka-queue) or coupon issues per second, lately. */
  perSecond(eventId: EventId): number {
    return this.#entries.get(eventId)?.rates.perSecond(this.#time.nowMs()) ?? 0;
  }

  /** The same, in each of the recent seconds that saw any. */
  recentRates(eventId: EventId): readonly number[] {
    return this.#entries.get(eventId)?.rates.recent(this.#time.nowMs()) ?? [];
  }

  /** Calls `listener` after every change that this process learns of. Gives the function that ends it. */
  onChange(eventId: EventId, listener: () => void): () => void {
    const entry = this.#use(eventId);
    entry?.listeners.add(listener);
    return () => {
      entry?.listeners.delete(listener);
    };
  }

  /** The events in use within the last ten minutes, the latest first, at most `eventsMax`. */
  known(eventsMax: number): readonly KnownEvent[] {
    return [...this.#entries.values()]
      .sort((one, other) => other.usedAtMs - one.usedAtMs)
      .slice(0, eventsMax)
      .map((entry) => entry.known);
  }

  close(): void {
    this.#endTicks();
  }

  #use(eventId: EventId): Entry | null {
    const entry = this.#entries.get(eventId);
    if (entry === undefined) return null;
    entry.usedAtMs = this.#time.nowMs();
    return entry;
  }

  #ask(eventId: EventId, userId: UserId | null): Promise<SharedReading | null> {
    let question = this.#questions.get(eventId);
    if (question === undefined) {
      question = { persons: new Set(), reading: Promise.withResolvers() };
      this.#questions.set(eventId, question);
      if (!this.#asking) {
        this.#asking = true;
        // The end of this turn: all questions that arrive in it share one reading.
        this.#time.endOfTurn(() => void this.#askAll());
      }
    }
    if (userId !== null) question.persons.add(userId);
    return question.reading.promise;
  }

  async #askAll(): Promise<void> {
    while (this.#questions.size > 0) {
      const asked = this.#questions;
      this.#questions = new Map();
      try {
        await this.#read([...asked.keys()]);
        for (const [eventId, question] of asked) {
          question.reading.resolve(await this.#answer(eventId, question.persons));
        }
      } catch (error) {
        for (const question of asked.values()) question.reading.reject(error);
      }
    }
    this.#asking = false;
  }

  async #answer(eventId: EventId, persons: ReadonlySet<UserId>): Promise<SharedReading | null> {
    const entry = this.#entries.get(eventId);
    if (entry === undefined) return null;
    const { known } = entry;
    if (persons.size === 0) return { known, mine: entry.winners };
    if (known.event.limit > WINNERS_KEPT_MAX) {
      return { known, mine: await readIssuesOf(this.#postgres, eventId, [...persons]) };
    }
    await this.#readWinners(entry);
    return { known, mine: entry.winners };
  }

  async #read(ids: readonly EventId[]): Promise<void> {
    const readAtMs = this.#time.nowMs();
    const readings = await readEvents(this.#postgres, ids);
    for (const reading of readings) this.#merge(reading, readAtMs);
  }

  /** Reads the missing part of the winners, after the event: so they are never fewer than `issued`. */
  async #readWinners(entry: Entry): Promise<void> {
    const { event } = entry.known;
    if (event.limit > WINNERS_KEPT_MAX || entry.winners.size >= event.issued) return;
    addWinners(entry, await readIssuesAfter(this.#postgres, event.id, entry.winners.size));
  }

  #merge(reading: KnownEvent, readAtMs: number): Entry {
    const nowMs = this.#time.nowMs();
    const { id } = reading.event;
    const entry = this.#entries.get(id) ?? newEntry(reading, nowMs);
    this.#entries.set(id, entry);
    const before = entry.known;
    entry.known = newest(before, reading);
    entry.readAtMs = Math.max(entry.readAtMs, readAtMs);
    entry.rates.note(entry.known.queue?.nextOffset ?? entry.known.event.issued, nowMs);
    if (entry.known !== before) for (const listener of entry.listeners) listener();
    return entry;
  }

  async #tick(): Promise<void> {
    if (this.#ticking) return;
    this.#ticking = true;
    try {
      await this.#readInUse(this.#time.nowMs());
    } catch (error) {
      // A reading that fails changes nothing: whoever needs it fresh asks, and is told the fault.
      if (!(error instanceof EngineFault)) throw error;
    } finally {
      this.#ticking = false;
    }
  }

  async #readInUse(nowMs: number): Promise<void> {
    const inUse: Entry[] = [];
    for (const [id, entry] of this.#entries) {
      const idleMs = nowMs - entry.usedAtMs;
      if (entry.listeners.size > 0 || idleMs < IN_USE_MS) inUse.push(entry);
      else if (idleMs > KEPT_MS) this.#entries.delete(id);
    }
    const watched = inUse.some((entry) => entry.listeners.size > 0);
    const everyMs = watched ? READ_WATCHED_EVERY_MS : READ_EVERY_MS;
    if (inUse.length === 0 || nowMs - this.#lastTickMs < everyMs - TICK_JITTER_MS) return;
    this.#lastTickMs = nowMs;
    await this.#read(inUse.map((entry) => entry.known.event.id));
    for (const entry of inUse) if (isSoldOut(entry.known)) await this.#readWinners(entry);
  }
}

function addWinners(entry: Entry, added: readonly CouponIssue[]): void {
  if (entry.known.event.limit > WINNERS_KEPT_MAX) return;
  for (const issue of added) {
    if (issue.seq === entry.winners.size + 1) entry.winners.set(issue.userId, issue);
  }
}

function newEntry(known: KnownEvent, nowMs: number): Entry {
  return {
    known,
    winners: new Map(),
    readAtMs: 0,
    usedAtMs: nowMs,
    rates: rateMeter(),
    listeners: new Set(),
  };
}

function isSoldOut({ event }: KnownEvent): boolean {
  return event.issued === event.limit;
}

/** Readings may arrive in another order than they were made: each fact keeps its newest value. */
function newest(known: KnownEvent, reading: KnownEvent): KnownEvent {
  const operators = reading.event.version >= known.event.version ? reading.event : known.event;
  const issued = Math.max(known.event.issued, reading.event.issued);
  const queue = newestQueue(known.queue, reading.queue);
  const generation = reading.generation ?? known.generation;
  const unchanged =
    operators.version === known.event.version &&
    issued === known.event.issued &&
    queue === known.queue &&
    generation === known.generation;
  return unchanged ? known : { event: { ...operators, issued }, queue, generation };
}

function newestQueue(known: QueueFacts | null, reading: QueueFacts | null): QueueFacts | null {
  if (known === null || reading === null) return reading ?? known;
  const newer = reading.nextOffset > known.nextOffset || reading.halted !== known.halted;
  return newer && reading.nextOffset >= known.nextOffset ? reading : known;
}
