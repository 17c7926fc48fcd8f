// v3, the back: one process decides all queues, elected by PostgreSQL; the fences in its transactions
// make a second one harmless (decide-batch.ts).
//
// - The survey starts a log decider for every event that may get claims now. It long-polls on a
//   connection of its own, so that a slow event never holds up another.
// - The patrol looks at the logs of all queues, some hundreds a second: it wakes those that have
//   undecided records though nobody expected any (sold out, closed), and halts the broken ones.
//   Thousands of finished events cost one small question per log and round.
import type { EventId } from "@stampede/domain";
import { EngineFault } from "@stampede/domain";
import type { EventDirectory } from "../postgres/event-directory.ts";
import { leadership } from "../postgres/leadership.ts";
import type { Leadership } from "../postgres/leadership.ts";
import type { Postgres } from "../postgres/open.ts";
import { publishRecovery } from "../telemetry.ts";
import { backlog } from "./backlog.ts";
import type { Backlog } from "./backlog.ts";
import { decideLog } from "./decide-log.ts";
import { queueHalts } from "./halts.ts";
import type { Halts } from "./halts.ts";
import type { Kafka } from "./open.ts";
import { queuePatrol } from "./patrol.ts";

export type DeciderOptions = {
  readonly kafka: Kafka;
  readonly postgres: Postgres;
  readonly directory: EventDirectory;
  /** Called once when this process halts an event, for a loud log line. */
  readonly onHalt: (eventId: EventId, reason: string) => void;
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
/** Logs read at once, each over a connection of its own. */
const ACTIVE_MAX = 256;
/** An event is awaited from before its opening until after its close. */
const AROUND_WINDOW_S = 60;

/** See the top of this file. Close it before Kafka and PostgreSQL. */
export class Decider {
  readonly #options: DeciderOptions;
  readonly #leadership: Leadership;
  readonly #halts: Halts;
  readonly #backlog: Backlog = backlog();
  readonly #active = new Map<EventId, { readonly stop: AbortController; ended: Promise<void> }>();
  #expected = new Set<EventId>();
  #decided = 0;

  constructor(options: DeciderOptions) {
    this.#options = options;
    this.#halts = queueHalts(options.postgres, options.onHalt);
    this.#leadership = leadership(options.postgres, {
      duty: "decider",
      lead: async (signal) => this.#lead(signal),
      onError: options.onError,
      onTakeover: () => publishRecovery("decider-takeover"),
    });
  }

  facts(): DeciderFacts {
    const leading = this.#leadership.isLeader();
    return {
      leading,
      active: this.#active.size,
      ...this.#backlog.facts(this.#options.postgres.clock.nowMs()),
      decided: this.#decided,
      halted: leading ? this.#halts.count() : 0,
    };
  }

  /** Undecided records of each log that has any; null where another process leads and knows. */
  waiting(): ReadonlyMap<EventId, number> | null {
    return this.#leadership.isLeader() ? this.#backlog.waitingByEvent() : null;
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
    const patrol = queuePatrol({
      kafka,
      postgres,
      halt: (eventId, reason) => this.#halts.halt(eventId, reason),
      onLook: (eventId, look) => {
        this.#backlog.look(eventId, look, postgres.clock.nowMs());
        if (look.end > look.mark) this.#start(eventId, signal, "must");
      },
    });
    try {
      await Promise.all([
        this.#repeat(signal, async () => this.#survey(signal)),
        this.#repeat(signal, async () => patrol.next()),
      ]);
    } finally {
      for (const { stop } of this.#active.values()) stop.abort();
      await Promise.all([...this.#active.values()].map(async ({ ended }) => ended));
      this.#backlog.clear();
    }
  }

  async #repeat(signal: AbortSignal, run: () => Promise<void>): Promise<void> {
    while (!signal.aborted) {
      try {
        await run();
      } catch (error) {
        // An engine that is away is asked again; the duty ends with the leadership, not with it.
        if (!(error instanceof EngineFault)) this.#options.onError(error);
      }
      await this.#options.postgres.time.sleep(SURVEY_EVERY_MS, signal);
    }
  }

  async #survey(signal: AbortSignal): Promise<void> {
    // A few thousand old events are skipped in about a millisecond; there is no index to keep.
    const rows = await this.#options.postgres.query<{ id: EventId }>(
      `SELECT e.id FROM events e JOIN queues q ON q.event_id = e.id
        WHERE q.halted IS NULL AND e.issued < e.limit_quantity
          AND e.opens_at < clock_timestamp() + make_interval(secs => $1)
          AND (e.closes_at IS NULL OR e.closes_at > clock_timestamp() - make_interval(secs => $1))
        ORDER BY e.opens_at DESC LIMIT $2`,
      [AROUND_WINDOW_S, ACTIVE_MAX],
    );
    this.#expected = new Set(rows.map((row) => row.id));
    for (const eventId of this.#expected) this.#start(eventId, signal, "may");
  }

  /** Starts reading a log; one that "must" be read takes the place of one where nothing waits. */
  #start(eventId: EventId, signal: AbortSignal, need: "may" | "must"): void {
    if (this.#active.has(eventId) || signal.aborted) return;
    if (this.#active.size >= ACTIVE_MAX) {
      if (need === "must") this.#stopIdleOne();
      return;
    }
    const stop = new AbortController();
    const both = AbortSignal.any([signal, stop.signal]);
    const ended = this.#decide(eventId, both).finally(() => this.#active.delete(eventId));
    this.#active.set(eventId, { stop, ended });
  }

  #stopIdleOne(): void {
    for (const [eventId, { stop }] of this.#active) {
      if (stop.signal.aborted || this.#backlog.waiting(eventId) > 0) continue;
      stop.abort();
      return;
    }
  }

  async #decide(eventId: EventId, signal: AbortSignal): Promise<void> {
    const { kafka, postgres, directory, onError } = this.#options;
    await decideLog(
      {
        kafka,
        postgres,
        directory,
        onError,
        halt: (id, reason) => this.#halts.halt(id, reason),
        expectsMore: (id) => this.#expected.has(id),
        onReading: (id, reading) => this.#backlog.read(id, reading),
        onDecided: (count, nextOffset) => {
          this.#decided += count;
          this.#backlog.decided(eventId, nextOffset);
        },
      },
      eventId,
      signal,
    );
  }
}
