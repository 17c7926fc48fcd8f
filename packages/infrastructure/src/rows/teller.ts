import type { Time } from "../engines/time.ts";

/** So long others wait at most: who claims must not notice that ten thousand watch. */
const SLICE_MS = 2;
/** ... and of all time, telling takes at most one part in four, whatever it costs and however many events. */
const REST_PER_TELLING = 3;
/** A busy machine wakes us late: so much of that rest counts for the next slices. */
const RESTED_MS_MAX = 4 * SLICE_MS * REST_PER_TELLING;

/** News for all who watch an event. */
export type Telling = {
  /** In an order that does not change while they are told; who leaves meanwhile is passed over. */
  readonly watchers: Iterable<() => void>;
  /** All have been told. */
  readonly done: () => void;
};

/**
 * Tells the watchers of all events of this process slice by slice, one event after the other in turn, and
 * rests after each slice: the more a telling costs, the less often there is one, and a crowd at one event
 * does not keep the few at another waiting.
 */
export function openTeller(
  time: Pick<Time, "nowMs" | "sleep" | "endOfTurn">,
): (telling: Telling) => void {
  const line: { readonly left: Iterator<() => void>; readonly done: () => void }[] = [];
  let isWorking = false;
  let owedMs = 0;

  const rest = async (): Promise<void> => {
    const fromMs = time.nowMs();
    if (owedMs > 0) await time.sleep(owedMs);
    else await new Promise<void>(time.endOfTurn);
    owedMs = Math.max(-RESTED_MS_MAX, owedMs - (time.nowMs() - fromMs));
  };
  const tellSlice = (): void => {
    const endMs = time.nowMs() + SLICE_MS;
    for (let next = line.shift(); next !== undefined; next = line.shift()) {
      let watcher = next.left.next();
      while (watcher.done !== true) {
        watcher.value();
        if (time.nowMs() >= endMs) {
          line.push(next);
          return;
        }
        watcher = next.left.next();
      }
      next.done();
    }
  };
  const work = async (): Promise<void> => {
    while (line.length > 0) {
      const fromMs = time.nowMs();
      tellSlice();
      owedMs += (time.nowMs() - fromMs) * REST_PER_TELLING;
      await rest();
    }
  };
  return ({ watchers, done }) => {
    line.push({ left: watchers[Symbol.iterator](), done });
    if (isWorking) return;
    isWorking = true;
    void work().finally(() => {
      isWorking = false;
    });
  };
}
