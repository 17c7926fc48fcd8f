// Collects garbage while nobody waits for an answer, so that a stampede finds an empty young
// generation: ten thousand requests live at one instant, and a collection in the middle of them
// copies all of them (docs/decisions/2026-11-22-heap-flags.md has the measurements).
import { performance } from "node:perf_hooks";
import { getHeapSpaceStatistics } from "node:v8";

/** What the collector needs of the runtime; tests give their own. */
export type Heap = {
  /** Share of the time since the last call in which the event loop was busy, 0 to 1. */
  readonly utilization: () => number;
  /** Bytes in use in the young and in the old generation. */
  readonly used: () => { readonly young: number; readonly old: number };
  readonly collectYoung: () => void;
  readonly collectOld: () => void;
};

const LOOK_EVERY_MS = 50;
const IDLE_UTILIZATION_MAX = 0.3;
/** Less than this is what a quiet process makes of itself in some seconds. */
const YOUNG_BYTES_MIN = 8_000_000;
/** An old collection takes some 40 ms, so it is for the pause after a sale: idle for half a second. */
const OLD_BYTES_MIN = 48_000_000;
const OLD_IDLE_LOOKS = 10;

/** One look at the heap, to be called every `LOOK_EVERY_MS`. */
export function idleCollector(heap: Heap): () => void {
  let idleLooks = 0;
  let oldAfterLast = heap.used().old;
  return () => {
    idleLooks = heap.utilization() > IDLE_UTILIZATION_MAX ? 0 : idleLooks + 1;
    if (idleLooks === 0) return;
    const { young, old } = heap.used();
    if (young >= YOUNG_BYTES_MIN) {
      heap.collectYoung();
    } else if (idleLooks >= OLD_IDLE_LOOKS && old - oldAfterLast >= OLD_BYTES_MIN) {
      heap.collectOld();
      oldAfterLast = heap.used().old;
    } else {
      return;
    }
    // The collection itself was busy time, but nobody's.
    heap.utilization();
  };
}

/** Starts collecting in idle moments, where Node was started with `--expose-gc`. Returns the stop. */
export function startIdleCollection(): () => void {
  const { gc } = globalThis;
  if (gc === undefined) return () => {};
  const look = idleCollector(nodeHeap(gc));
  const timer = setInterval(look, LOOK_EVERY_MS).unref();
  return () => clearInterval(timer);
}

function nodeHeap(gc: NonNullable<typeof globalThis.gc>): Heap {
  let last = performance.eventLoopUtilization();
  return {
    utilization() {
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, last);
      last = now;
      return utilization;
    },
    used() {
      let young = 0;
      let old = 0;
      for (const { space_name: space, space_used_size: bytes } of getHeapSpaceStatistics()) {
        if (space === "new_space") young += bytes;
        else if (space !== "read_only_space") old += bytes;
      }
      return { young, old };
    },
    collectYoung: () => gc({ type: "minor", execution: "sync" }),
    collectOld: () => gc({ type: "major", execution: "sync" }),
  };
}
