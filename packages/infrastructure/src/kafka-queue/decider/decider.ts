// v3, the back: one process decides all queues, elected by PostgreSQL; the fences in its transactions
// make a second one harmless (decide-batch.ts).
//
// - The survey watches the logs of all events that may get claims now: thousands of quiet ones cost one
//   request that waits. A log of which there is news is taken over, read and decided until it rests,
//   and watched again; each event by itself, so that none waits for a slow one.
// - The patrol looks at the logs of all queues, page by page: it wakes those that have undecided records
//   though nobody expected any (sold out, closed), and halts the broken ones.
// - What is over is retired after a while, and topics that no queue names are deleted (queue-ends.ts).
import type { EventId } from "@stampede/domain";
import { EngineFault } from "@stampede/domain";
import type { EventDirectory } from "../../rows/event-directory.ts";
import { leadership } from "../../engines/postgres/leadership.ts";
import type { Leadership } from "../../engines/postgres/leadership.ts";
import type { Postgres } from "../../engines/postgres/open.ts";
import { waitingLine } from "../../engines/postgres/waiting-line.ts";
import type { WaitingLine } from "../../engines/postgres/waiting-line.ts";
import type { Time } from "../../engines/time.ts";
import { publishFailure, publishRecovery } from "../../engines/telemetry.ts";
import type { BackgroundPart } from "../../engines/telemetry.ts";
import { undecidedRecords } from "./undecided-records.ts";
import type { UndecidedAge, UndecidedRecords } from "./undecided-records.ts";
import { decideLog } from "./decide-log.ts";
import { HALT_AFTER_MS, queueHalts } from "../halts.ts";
import type { Halts } from "../halts.ts";
import type { Kafka } from "../log/open.ts";
import type { EventLog } from "../log/topics.ts";
import { queuePatrol } from "./patrol.ts";
import { queueEnds } from "./queue-ends.ts";
import type { QueueRow } from "./patrol.ts";

export type DeciderOptions = {
  readonly kafka: Kafka;
  readonly postgres: Postgres;
  readonly directory: EventDirectory;
  /** Called once when this process halts an event, for a loud log line. */
  readonly onHalt: (eventId: EventId, reason: string) => void;
  /** How long the log of an event that is over is kept; null: for ever. */
  readonly keepLogMs: number | null;
  readonly endsEveryMs?: number;
  readonly haltAfterMs?: number;
  /** Told when this process stops deciding because it does not reach Kafka. */
  readonly onGivenBack: (message: string) => void;
  /** What nothing foresees; the decider goes on. */
  readonly onError: (error: unknown) => void;
};

/** What the decider can tell of itself; zeros in a process that does not lead. */
export type DeciderFacts = {
  readonly leading: boolean;
  /** Logs that are being read now. */
  readonly active: number;
  /** Undecided records of all logs. */
  readonly lag: number;
  /**
   * How long the oldest undecided record has waited: from the broker's time of appending it to now by
   * the database's clock, so wrong by as much as those two machines disagree (a wrong clock of ours
   * changes nothing), and never negative. An alarm on it notices a decider that died.
   */
  readonly oldestUndecidedMs: number;
  /** Records decided since this process started. */
  readonly decided: number;
  /**
   * Events that are halted now, whoever halted them and when: the door halts as well, and an alarm
   * must neither miss that nor end with the process that saw it.
   */
  readonly halted: number;
};

const SURVEY_EVERY_MS = 250;
/** Ten thousand rows take some tens of milliseconds: at most this share of the time. */
const REST_PER_SURVEY = 20;
/** What may get claims is watched; the patrol looks for what nobody expects. */
const PATROL_EVERY_MS = 2_000;
const PATROL_SUSPECTS_EVERY_MS = 500;
const ENDS_EVERY_MS = 60_000;
/** Where more is waiting. */
const ENDS_NEXT_MS = 1_000;
/** The first round of a term finds what was left behind. */
const FIRST_PATROL_EVERY_MS = 50;
/** An event is awaited from before its opening until after its close. */
const AROUND_WINDOW_S = 60;
/** ... and its log is watched for so long after nobody expects claims any more. */
const WATCHED_MS = 60_000;
/** Transactions of the decider at once: the pool is also there for others. */
const TURNS_MAX = 3;

type Watch = { readonly end: () => void; expectedAtMs: number };

/** See the top of this file. Close it before Kafka and PostgreSQL. */
export class Decider {
  readonly #options: DeciderOptions;
  readonly #leadership: Leadership;
  readonly #halts: Halts;
  readonly #undecided: UndecidedRecords;
  readonly #active = new Map<EventId, Promise<void>>();
  readonly #watched = new Map<EventId, Watch>();
  #decided = 0;

  constructor(options: DeciderOptions) {
    this.#options = options;
    this.#undecided = undecidedRecords(() => options.postgres.clock.nowMs());
    this.#halts = queueHalts(options.postgres, options.onHalt);
    this.#leadership = leadership(options.postgres, {
      duty: "decider",
      lead: async (signal) => this.#lead(signal),
      isAble: () => options.kafka.isUp(),
      onGivenBack: options.onGivenBack,
      onError: options.onError,
      onTakeover: () => publishRecovery("decider-takeover"),
    });
  }

  facts(): DeciderFacts {
    const leading = this.#leadership.isLeader();
    return {
      leading,
      active: this.#active.size,
      ...this.#undecided.facts(this.#options.postgres.clock.nowMs()),
      decided: this.#decided,
      halted: leading ? this.#halts.count() : 0,
    };
  }

  /** Undecided records of each log that has any; null where another process leads and knows. */
  waiting(): ReadonlyMap<EventId, number> | null {
    return this.#leadership.isLeader() ? this.#undecided.waitingByEvent() : null;
  }

  /** How old what is undecided of each log is; empty where another process leads and knows. */
  undecidedAges(): ReadonlyMap<EventId, UndecidedAge> {
    if (!this.#leadership.isLeader()) return new Map();
    return this.#undecided.ages(this.#options.postgres.clock.nowMs());
  }

  /** Stops after the transactions that run now. */
  async close(): Promise<void> {
    await this.#leadership.close();
    this.#halts.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #lead(signal: AbortSignal): Promise<void> {
    const { kafka, postgres } = this.#options;
    const { time } = postgres;
    const haltAfterMs = this.#haltAfterMs();
    const term: Term = { signal, turns: turnsOf(time) };
    const patrol = queuePatrol({
      kafka,
      postgres,
      haltAfterMs,
      halt: (eventId, reason) => this.#halts.halt(eventId, reason),
      onLook: (eventId, look) => {
        this.#undecided.look(eventId, look, postgres.clock.nowMs());
        if (look.end > look.mark) this.#begin(eventId, term);
      },
    });
    const survey = async (): Promise<number> => {
      const startedMs = time.nowMs();
      await this.#survey(term);
      return Math.max(SURVEY_EVERY_MS, (time.nowMs() - startedMs) * REST_PER_SURVEY);
    };
    const look = async (): Promise<number> => {
      await patrol.next();
      if (patrol.suspects()) return PATROL_SUSPECTS_EVERY_MS;
      return patrol.rounds() === 0 ? FIRST_PATROL_EVERY_MS : PATROL_EVERY_MS;
    };
    const ends = queueEnds(this.#options);
    const end = async (): Promise<number> => {
      const restMs = this.#options.endsEveryMs ?? ENDS_EVERY_MS;
      return (await ends.next()) ? Math.min(ENDS_NEXT_MS, restMs) : restMs;
    };
    try {
      await Promise.all([
        this.#repeat(signal, "survey", survey),
        this.#repeat(signal, "patrol", look),
        this.#repeat(signal, "retirement", end),
      ]);
    } finally {
      term.turns.close();
      for (const { end } of this.#watched.values()) end();
      this.#watched.clear();
      await Promise.all(this.#active.values());
      this.#undecided.clear();
    }
  }

  #haltAfterMs(): number {
    return this.#options.haltAfterMs ?? HALT_AFTER_MS;
  }

  /** `run` gives how long to rest. */
  async #repeat(
    signal: AbortSignal,
    part: BackgroundPart,
    run: () => Promise<number>,
  ): Promise<void> {
    while (!signal.aborted) {
      let restMs = SURVEY_EVERY_MS;
      try {
        restMs = await run();
      } catch (error) {
        // An engine that is away is asked again; the duty ends with the leadership, not with it.
        if (error instanceof EngineFault) publishFailure(part, error);
        else this.#options.onError(error);
      }
      await this.#options.postgres.time.sleep(restMs, signal);
    }
  }

  async #survey(term: Term): Promise<void> {
    const { postgres } = this.#options;
    // A few thousand old events are skipped in about a millisecond; there is no index to keep.
    const rows = await postgres.query<QueueRow>(
      `SELECT q.event_id, q.topic, q.topic_id, q.next_offset::float8 AS mark
         FROM events e JOIN queues q ON q.event_id = e.id
        WHERE q.halted IS NULL AND e.issued < e.limit_quantity
          AND e.opens_at < clock_timestamp() + make_interval(secs => $1)
          AND (e.closes_at IS NULL OR e.closes_at > clock_timestamp() - make_interval(secs => $1))`,
      [AROUND_WINDOW_S],
    );
    const nowMs = postgres.time.nowMs();
    for (const { event_id: eventId, topic, topic_id: topicId, mark } of rows) {
      this.#watch({ eventId, topic, topicId, offset: mark }, term);
      const watch = this.#watched.get(eventId);
      if (watch !== undefined) watch.expectedAtMs = nowMs;
    }
    for (const [eventId, { end, expectedAtMs }] of this.#watched) {
      if (nowMs - expectedAtMs < WATCHED_MS) continue;
      end();
      this.#watched.delete(eventId);
    }
  }

  #watch(
    { eventId, topic, topicId, offset }: EventLog & { eventId: EventId; offset: number },
    term: Term,
  ): void {
    const { kafka, postgres } = this.#options;
    if (term.signal.aborted || this.#active.has(eventId) || this.#watched.has(eventId)) return;
    const end = kafka.watch({ topic, topicId }, offset, () => this.#begin(eventId, term));
    this.#watched.set(eventId, { end, expectedAtMs: postgres.time.nowMs() });
  }

  /** There is something to decide, or to look into. */
  #begin(eventId: EventId, term: Term): void {
    if (term.signal.aborted || this.#active.has(eventId)) return;
    this.#watched.get(eventId)?.end();
    this.#watched.delete(eventId);
    this.#active.set(eventId, this.#decide(eventId, term));
  }

  async #decide(eventId: EventId, term: Term): Promise<void> {
    const { kafka, postgres, directory, onError } = this.#options;
    const { signal, turns } = term;
    const at = await decideLog(
      {
        kafka,
        postgres,
        directory,
        onError,
        inTurn: async (run) => {
          if (!(await turns.enter())) return null;
          try {
            return await run();
          } finally {
            turns.leave();
          }
        },
        haltAfterMs: this.#haltAfterMs(),
        halt: (id, reason) => this.#halts.halt(id, reason),
        onReading: (id, reading) => this.#undecided.read(id, reading),
        onDecided: (count, nextOffset) => {
          this.#decided += count;
          this.#undecided.decided(eventId, nextOffset);
        },
      },
      eventId,
      signal,
    );
    this.#active.delete(eventId);
    if (at !== null) this.#watch({ ...at, offset: at.nextOffset }, term);
  }
}

/** While this process leads. */
type Term = { readonly signal: AbortSignal; readonly turns: WaitingLine };

function turnsOf(time: Time): WaitingLine {
  const endless = { waitersMax: Infinity, waitMsMax: Infinity };
  return waitingLine({ permits: TURNS_MAX, ...endless, time });
}
