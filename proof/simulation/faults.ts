// What goes wrong in a sale, how often, and until when. Every seed draws rates of its own, so that
// some sales meet one kind of fault alone and others all of them.
import type { Random } from "./random.ts";
import type { Trace } from "./trace.ts";

/** Of a message to an engine. */
const MESSAGE_FAULTS = [
  "cut-before",
  "cut-after",
  "late-reply",
  "slow",
  "refused",
  "rolled-back",
] as const;

export type MessageFault = (typeof MESSAGE_FAULTS)[number];

/** Of a whole engine or a process; each at moments of its own. */
const EVENT_FAULTS = [
  "instance-crash",
  "instance-pause",
  "postgres-restart",
  "postgres-away",
  "redis-restart",
  "redis-emptied",
  "redis-older",
  "redis-scripts-flushed",
  "kafka-away",
  "sessions-terminated",
] as const;

export type EventFault = (typeof EVENT_FAULTS)[number];

const RATES = [0, 0.004, 0.015, 0.04, 0.1];

export class Faults {
  readonly #random: Random;
  readonly #trace: Trace;
  readonly #rates: Readonly<Record<MessageFault, number>>;
  readonly counts = new Map<string, number>();
  /** Nothing goes wrong before a sale has begun, and after it healed. */
  active = false;
  /** No effect of a fault lasts beyond it. */
  healsAtMs = Infinity;

  constructor(random: Random, trace: Trace) {
    this.#random = random;
    this.#trace = trace;
    const share = random.pick([0, 0.5, 1, 1.5, 2, 2, 3, 4]);
    const draw = (): number => random.pick(RATES) * share;
    this.#rates = Object.fromEntries(MESSAGE_FAULTS.map((fault) => [fault, draw()])) as Record<
      MessageFault,
      number
    >;
  }

  /** What becomes of a message; most often nothing. The first of `possible` that is drawn. */
  ofMessage(nowMs: number, to: string, possible: readonly MessageFault[]): MessageFault | null {
    if (!this.active) return null;
    for (const fault of possible) {
      if (!this.#random.chance(this.#rates[fault])) continue;
      this.note(nowMs, `${to} ${fault}`);
      return fault;
    }
    return null;
  }

  note(nowMs: number, fault: string): void {
    this.counts.set(fault, (this.counts.get(fault) ?? 0) + 1);
    this.#trace.note(nowMs, `fault ${fault}`);
  }

  total(): number {
    let total = 0;
    for (const count of this.counts.values()) total += count;
    return total;
  }
}
