// Simulated time: what happens next is taken from a heap, and the clock jumps there. Everything that
// takes time in a sale (a timer, a message on its way) is a happening with a moment; ties keep the
// order in which they were made. After each happening inside a process all its promises settle
// before the next one, so one seed always makes one history.
import type { Time } from "@stampede/infrastructure/src/engines/time.ts";

/** A process of the service: it may stand still, and it may die with all that it had planned. */
export class Process {
  readonly name: string;
  /** What its monotonic clock shows at the beginning, and how wrong its wall clock is. */
  readonly startMs: number;
  readonly wallErrorMs: number;
  alive = true;
  /** What came while it stood still; null while it runs. */
  held: Happening[] | null = null;
  /** Called when it dies. */
  readonly mourners = new Set<() => void>();

  constructor(name: string, clock: { readonly startMs: number; readonly wallErrorMs: number }) {
    this.name = name;
    this.startMs = clock.startMs;
    this.wallErrorMs = clock.wallErrorMs;
  }

  die(): void {
    this.alive = false;
    this.held = null;
    for (const mourner of this.mourners) mourner();
    this.mourners.clear();
  }
}

export type Happening = {
  atMs: number;
  order: number;
  /** Null: in an engine or on the network, where no promises are. */
  readonly process: Process | null;
  run: (() => void) | null;
};

/** When a simulated sale begins, by the database's clock. */
export const EPOCH_MS = Date.UTC(2026, 0, 1);

/** Happens when the promises of this turn have settled. */
const settled = async (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });

export class Scheduler {
  nowMs = 0;
  happened = 0;
  /** The load side and whoever runs the sale: they never stand still. */
  readonly outside = new Process("outside", { startMs: 0, wallErrorMs: 0 });
  #order = 0;
  readonly #heap: Happening[] = [];

  after(ms: number, process: Process | null, run: () => void): Happening {
    const happening = { atMs: this.nowMs + Math.max(0, ms), order: this.#order++, process, run };
    this.#push(happening);
    return happening;
  }

  /** Runs until nothing is left, `isOver` says so, or `endMs` has come. */
  async run(isOver: () => boolean, endMs: number): Promise<void> {
    for (;;) {
      const next = this.#heap[0];
      if (next === undefined || next.atMs > endMs || isOver()) return;
      this.#pop();
      const { process, run } = next;
      this.nowMs = next.atMs;
      if (run === null) continue;
      if (process === null) {
        run();
        continue;
      }
      if (process.held !== null) {
        process.held.push(next);
        continue;
      } else if (process.alive) {
        run();
      } else {
        continue;
      }
      this.happened += 1;
      await settled();
    }
  }

  /** A stopped process goes on: what came meanwhile happens now, in order. */
  resume(process: Process): void {
    const held = process.held ?? [];
    process.held = null;
    for (const { process: owner, run } of held) if (run !== null) this.after(0, owner, run);
  }

  timeOf(process: Process): Time {
    const plan = (ms: number, run: () => void): (() => void) => {
      const happening = this.after(ms, process, run);
      return () => {
        happening.run = null;
      };
    };
    return {
      nowMs: () => process.startMs + this.nowMs,
      epochMs: () => EPOCH_MS + this.nowMs + process.wallErrorMs,
      sleep: async (ms, signal) =>
        new Promise((resolve) => {
          if (signal?.aborted === true) {
            resolve();
            return;
          }
          const wake = (): void => {
            callOff();
            resolve();
          };
          const callOff = plan(ms, () => {
            signal?.removeEventListener("abort", wake);
            resolve();
          });
          signal?.addEventListener("abort", wake, { once: true });
        }),
      endOfTurn: (run) => void this.after(0, process, run),
      after: plan,
      every: (ms, run) => {
        let callOff = (): void => undefined;
        const again = (): void => {
          callOff = plan(ms, () => {
            again();
            run();
          });
        };
        again();
        return () => callOff();
      },
    };
  }

  #push(happening: Happening): void {
    const heap = this.#heap;
    let at = heap.push(happening) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent]!;
      if (isBefore(above, happening)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = happening;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (isBefore(last, heap[child]!)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(one: Happening, other: Happening): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);
}
