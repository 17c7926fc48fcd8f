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
// - The winners of all events together stay within one budget (kept-winners.ts): those of an event may
//   go at any time, and a reading that somebody holds keeps what it was given.
// - No event waits for another one: all questions of a turn are two queries, whatever they are about;
//   winners are read page by page beside them; what is wrong with one event is told to whoever asks
//   for that one.
//
// Deliberately not done: LISTEN/NOTIFY. One query for all events in use, at most ten a second, keeps
// the cache as fresh, needs no connection of its own and has no lost notifications to recover from.
import type { CouponEvent, CouponIssue, EventId, Mechanism, UserId } from "@stampede/domain";
import { EngineFault } from "@stampede/domain";
import { rateMeter } from "./rate-meter.ts";
import type { RateMeter } from "./rate-meter.ts";
import { publishFailure } from "../engines/telemetry.ts";
import type { Time } from "../engines/time.ts";
import { readEvents, readIssuesOf } from "./directory-rows.ts";
import type { Pair, QueueFacts } from "./directory-rows.ts";
import { KeptWinners } from "./kept-winners.ts";
import { TurnQuestions } from "./turn-questions.ts";
import type { Asked, EventAnswer } from "./turn-questions.ts";
import { IN_USE_MS, WINNERS_KEPT_MAX, WinnersReader } from "./winners-reader.ts";
import type { WinnersShelf } from "./winners-reader.ts";
import type { Postgres } from "../engines/postgres/open.ts";

export type { QueueFacts } from "./directory-rows.ts";

export type KnownEvent = {
  readonly event: CouponEvent;
  /** Where people queue. */
  readonly queue: QueueFacts | null;
  /** Of the mechanisms that count outside the rows. */
  readonly generation: string | null;
};

/** What this process knows without asking. */
export type Glance = {
  readonly known: KnownEvent;
  /** This person's coupon issue; null: certainly none, undefined: nobody has looked. */
  readonly mine: CouponIssue | null | undefined;
};

export type Lookup = KnownEvent & { readonly mine: CouponIssue | null };

type Entry = WinnersShelf & {
  known: KnownEvent;
  readAtMs: number;
  /** When the newest of its facts was committed, or later. */
  knownAtMs: number;
  readonly rates: RateMeter;
  readonly listeners: Set<() => void>;
};

/** One object for all who share a reading: ten thousand of them wait at once. */
export type SharedReading = {
  readonly known: KnownEvent;
  /** The coupon issues of those who asked, and perhaps of others. */
  readonly mine: ReadonlyMap<UserId, CouponIssue>;
};

/** `mine` as in a glance. */
export type Look = Omit<Glance, "known"> & {
  readonly known: KnownEvent | null;
  readonly reading: Promise<SharedReading | null> | null;
};

const FRESH_MS_MAX = 1_000;
const READ_WATCHED_EVERY_MS = 100;
/** ... and what nobody watches. */
const READ_EVERY_MS = 500;
const TICK_JITTER_MS = 10;
/** Events of one tick: some milliseconds of both sides. What is left out comes first in the next. */
const TICK_EVENTS_MAX = 1_000;
/** An event that nobody asked about for this long is forgotten. */
const KEPT_MS = 600_000;
/**
 * Longer than any outage that people queue through, and shorter than a log is kept: what was last read
 * before that counts as not known, so that nobody is let into a line that may be retired.
 */
const KNOWN_MS_MAX = 12 * 3_600_000;
/** Events that are known at most: about 1.5 KB each. */
const ENTRIES_MAX = 20_000;

const NO_ISSUES: ReadonlyMap<UserId, CouponIssue> = new Map();

/** See the top of this file. Close it before the database. */
export class EventDirectory {
  readonly #postgres: Postgres;
  readonly #entries = new Map<EventId, Entry>();
  readonly #kept: KeptWinners;
  readonly #winners: WinnersReader;
  readonly #time: Time;
  readonly #endTicks: () => void;
  readonly #questions: TurnQuestions<SharedReading>;
  #ticking = false;

  /** `winnersBytesMax`: what the coupon issues that it keeps may take, of all events. */
  constructor(postgres: Postgres, winnersBytesMax?: number) {
    this.#postgres = postgres;
    this.#kept = new KeptWinners(winnersBytesMax);
    this.#winners = new WinnersReader(postgres, this.#kept);
    this.#time = postgres.time;
    this.#questions = new TurnQuestions(this.#time, async (asked) => this.#answer(asked));
    this.#endTicks = this.#time.every(READ_WATCHED_EVERY_MS, () => this.#tick());
  }

  /** What is known of an event, without asking; null where nothing is. */
  peek(eventId: EventId): KnownEvent | null {
    return this.#use(eventId)?.known ?? null;
  }

  /** An event's mechanism never changes: whatever was known of it once is enough. */
  mechanismOf(eventId: EventId): Mechanism | null | Promise<Mechanism | null> {
    const known = this.peek(eventId);
    if (known !== null) return known.event.mechanism;
    return Promise.resolve(this.fresh(eventId)).then((read) => read?.event.mechanism ?? null);
  }

  /**
   * The event, at most a second old; older only while PostgreSQL is away. Null: no such event.
   * A promise only where the database must be asked. Rejects with `EngineFault` ("not-applied")
   * where nothing is known and the database does not answer.
   */
  fresh(eventId: EventId): KnownEvent | Promise<KnownEvent | null> {
    const entry = this.#freshEntry(eventId);
    return entry instanceof Promise ? entry.then((read) => read?.known ?? null) : entry.known;
  }

  /** As `fresh`, with what is known of this person. */
  glance(eventId: EventId, userId: UserId): Glance | Promise<Glance | null> {
    const entry = this.#freshEntry(eventId);
    if (!(entry instanceof Promise)) return glanceAt(entry, userId);
    return entry.then((read) => (read === null ? null : glanceAt(read, userId)));
  }

  /**
   * What is known now, null where nothing is, and for somebody whom that does not settle a reading
   * that begins after the question, where `ask` wants one: all of a turn get the same promise.
   */
  look(eventId: EventId, userId: UserId, { ask }: { readonly ask: boolean }): Look {
    const entry = this.#use(eventId);
    const mine = entry === null ? undefined : mineIn(entry, userId);
    const reading = ask && mine === undefined ? this.#questions.ask(eventId, userId) : null;
    return { known: entry?.known ?? null, mine, reading };
  }

  /** The event, read after the question. Null: no such event. Rejects as `lookUp`. */
  async read(eventId: EventId): Promise<KnownEvent | null> {
    this.#use(eventId);
    return (await this.#questions.ask(eventId, null))?.known ?? null;
  }

  /**
   * The event and this person's coupon issue, read after the question. Null: no such event.
   * Rejects with `EngineFault` ("not-applied").
   */
  async lookUp(eventId: EventId, userId: UserId): Promise<Lookup | null> {
    this.#use(eventId);
    const reading = await this.#questions.ask(eventId, userId);
    return reading === null ? null : { ...reading.known, mine: reading.mine.get(userId) ?? null };
  }

  /** The final answer for a person, where this process knows it: no engine is asked. */
  final(eventId: EventId, userId: UserId): CouponIssue | "sold-out" | null {
    const entry = this.#use(eventId);
    const mine = entry === null ? undefined : mineIn(entry, userId);
    return mine === null ? "sold-out" : (mine ?? null);
  }

  /**
   * Takes over what this process has just committed, sooner than the next reading tells it. A null
   * `queue` or `generation` leaves that part as it is known.
   */
  noteCommitted(known: KnownEvent, added: readonly CouponIssue[]): void {
    const entry = this.#merge(known, 0);
    this.#addWinners(entry, added);
  }

  /** The pace as last read; undefined where nothing is known. To ask is no use of the event. */
  paceOf(eventId: EventId): number | null | undefined {
    return this.#entries.get(eventId)?.known.event.pace;
  }

  /** Decisions (where people queue) or coupon issues per second, lately. */
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

  /** Coupon issues that are kept, of all events, and what they take of memory. */
  winnersKept(): { readonly count: number; readonly bytes: number } {
    return { count: this.#kept.count(), bytes: this.#kept.bytes() };
  }

  close(): void {
    this.#endTicks();
  }

  #freshEntry(eventId: EventId): Entry | Promise<Entry | null> {
    const entry = this.#use(eventId);
    const read = (): Entry | null => this.#entries.get(eventId) ?? null;
    if (entry === null) return this.#questions.ask(eventId, null).then(read);
    const ageMs = this.#time.nowMs() - entry.readAtMs;
    if (ageMs <= FRESH_MS_MAX || isSoldOut(entry.known) || !this.#postgres.isUp()) return entry;
    // While the database is away the last known facts are the best there are.
    return this.#questions.ask(eventId, null).then(read, () => entry);
  }

  #use(eventId: EventId): Entry | null {
    const entry = this.#entries.get(eventId);
    if (entry === undefined) return null;
    if (this.#time.nowMs() - entry.knownAtMs > KNOWN_MS_MAX) return null;
    this.#kept.use(entry, this.#time.nowMs());
    return entry;
  }

  async #answer(asked: Asked): Promise<ReadonlyMap<EventId, EventAnswer<SharedReading>>> {
    const answers = new Map<EventId, EventAnswer<SharedReading>>();
    await this.#read([...asked.keys()], (eventId, error) => answers.set(eventId, { error }));
    const kept = this.#keptReadings(asked);
    const pairs = [...kept].flatMap(([eventId, { mine }]): Pair[] =>
      mine === null ? [...new Set(asked.get(eventId))].map((userId) => ({ eventId, userId })) : [],
    );
    // After the events, so that nobody's coupon issue is missing of those that they count.
    const issues = pairs.length === 0 ? null : await readIssuesOf(this.#postgres, pairs);
    for (const [eventId, { known, mine }] of kept) {
      if (answers.has(eventId)) continue;
      const value = { known, mine: mine ?? issues?.get(eventId) ?? NO_ISSUES };
      answers.set(eventId, { value });
    }
    return answers;
  }

  /** What is known now of those that are there; `mine` is null where the database has to tell. */
  #keptReadings(
    asked: Asked,
  ): ReadonlyMap<EventId, { known: KnownEvent; mine: ReadonlyMap<UserId, CouponIssue> | null }> {
    return new Map(
      [...asked].flatMap(([eventId, persons]) => {
        const entry = this.#entries.get(eventId);
        if (entry === undefined) return [];
        const { known, winners } = entry;
        const kept = persons.length === 0 || winners.size >= known.event.issued;
        if (!kept) entry.winnersMissedAtMs = this.#time.nowMs();
        return [[eventId, { known, mine: kept ? winners : null }]];
      }),
    );
  }

  async #read(
    ids: readonly EventId[],
    onWrong: (eventId: EventId, error: unknown) => void,
  ): Promise<void> {
    const readAtMs = this.#time.nowMs();
    const readings = await readEvents(this.#postgres, ids, onWrong);
    for (const reading of readings) this.#merge(reading, readAtMs);
  }

  #addWinners(entry: Entry, added: readonly CouponIssue[]): void {
    if (entry.known.event.limit > WINNERS_KEPT_MAX) return;
    this.#kept.add(entry, added, this.#time.nowMs());
  }

  #merge(reading: KnownEvent, readAtMs: number): Entry {
    const nowMs = this.#time.nowMs();
    const { id } = reading.event;
    const entry = this.#entries.get(id) ?? newEntry(reading, nowMs);
    this.#entries.set(id, entry);
    const before = entry.known;
    entry.known = newest(before, reading);
    entry.readAtMs = Math.max(entry.readAtMs, readAtMs);
    entry.knownAtMs = nowMs;
    entry.rates.note(entry.known.queue?.nextOffset ?? entry.known.event.issued, nowMs);
    if (entry.known !== before) for (const listener of entry.listeners) listener();
    return entry;
  }

  #tick(): void {
    const due = this.#due(this.#time.nowMs());
    if (!this.#ticking && due.length > 0) {
      this.#ticking = true;
      void this.#unlessAway(async () => this.#read(due, () => undefined)).finally(() => {
        this.#ticking = false;
      });
    }
    void this.#unlessAway(async () => this.#winners.readNext(this.#entries.values()));
  }

  /** A reading that fails changes nothing: whoever needs it asks, and is told the fault. */
  async #unlessAway(read: () => Promise<void>): Promise<void> {
    await read().catch((error: unknown) => {
      if (!(error instanceof EngineFault)) throw error;
      publishFailure("directory", error);
    });
  }

  /** Of the events in use those whose reading is due, the oldest reading first. */
  #due(nowMs: number): readonly EventId[] {
    const due: Entry[] = [];
    let unused = this.#entries.size - ENTRIES_MAX;
    for (const [id, entry] of this.#entries) {
      const idleMs = nowMs - entry.usedAtMs;
      const isWatched = entry.listeners.size > 0;
      if (isWatched || idleMs < IN_USE_MS) {
        const everyMs = isWatched ? READ_WATCHED_EVERY_MS : READ_EVERY_MS;
        if (nowMs - entry.readAtMs >= everyMs - TICK_JITTER_MS) due.push(entry);
      } else if (idleMs > KEPT_MS || unused > 0) {
        this.#forget(id, entry);
        unused -= 1;
      }
    }
    if (due.length > TICK_EVENTS_MAX) due.sort((one, other) => one.readAtMs - other.readAtMs);
    return due.slice(0, TICK_EVENTS_MAX).map(({ known }) => known.event.id);
  }

  #forget(id: EventId, entry: Entry): void {
    this.#entries.delete(id);
    this.#kept.drop(entry);
  }
}

function newEntry(known: KnownEvent, nowMs: number): Entry {
  return {
    known,
    winners: new Map(),
    bytes: 0,
    bytesEach: null,
    readAtMs: 0,
    knownAtMs: nowMs,
    winnersMissedAtMs: Number.NEGATIVE_INFINITY,
    usedAtMs: nowMs,
    rates: rateMeter(),
    listeners: new Set(),
  };
}

function glanceAt(entry: Entry, userId: UserId): Glance {
  return { known: entry.known, mine: mineIn(entry, userId) };
}

/** Only what can never change: of an event that is sold out, with all its winners kept. */
function mineIn({ known, winners }: Entry, userId: UserId): CouponIssue | null | undefined {
  if (!isSoldOut(known) || winners.size < known.event.limit) return undefined;
  return winners.get(userId) ?? null;
}

const isSoldOut = ({ event }: KnownEvent): boolean => event.issued === event.limit;

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
  const mark = reading.nextOffset > known.nextOffset ? reading : known;
  const { halted, haltChanges } = reading.haltChanges > known.haltChanges ? reading : known;
  const retired = known.retired || reading.retired;
  const same = mark === known && haltChanges === known.haltChanges && retired === known.retired;
  return same ? known : { ...mark, halted, haltChanges, retired };
}
