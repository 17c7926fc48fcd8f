// Messages between a process and an engine: one direction of one connection keeps its order, and
// takes its time. What is on its way arrives also when the sender dies.
import type { Random } from "./random.ts";
import type { Process, Scheduler } from "./scheduler.ts";

export class Wire {
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  #lastMs = 0;

  constructor(scheduler: Scheduler, random: Random) {
    this.#scheduler = scheduler;
    this.#random = random;
  }

  /** Delivers into `process` (null: at an engine) after the usual while and `extraMs`. */
  send(process: Process | null, deliver: () => void, extraMs = 0): void {
    const { nowMs } = this.#scheduler;
    const usualMs = this.#random.chance(0.05)
      ? this.#random.between(1, 20)
      : this.#random.between(0.05, 0.8);
    this.#lastMs = Math.max(this.#lastMs, nowMs + usualMs + extraMs);
    this.#scheduler.after(this.#lastMs - nowMs, process, deliver);
  }
}
