// How full the things are that claims queue for. A rush is over in a second and Prometheus looks once
// in a while, so each resource is looked at four times a second and the highest of the last moments
// is told, to whoever asks and as often as they ask.
import type { Measure } from "./metrics.ts";

export type Saturation = {
  readonly measure: Measure;
  /** Looks at every resource; a timer does so too. */
  readonly look: () => void;
  readonly close: () => void;
};

const LOOK_EVERY_MS = 250;
/** What was seen stays in the figure for one to two of these: longer than a scrape interval. */
const WINDOW_MS = 5_000;

/** Each resource tells the taken share of its room, 0 to 1. */
export function saturation(
  resources: Readonly<Record<string, () => number>>,
  monotonicMs: () => number,
): Saturation {
  const read = Object.entries(resources);
  let before = new Map<string, number>();
  let now = new Map<string, number>();
  let sinceMs = monotonicMs();

  const turnOver = (): void => {
    const elapsedMs = monotonicMs() - sinceMs;
    if (elapsedMs < WINDOW_MS) return;
    before = elapsedMs < 2 * WINDOW_MS ? now : new Map<string, number>();
    now = new Map();
    sinceMs = monotonicMs();
  };
  const look = (): void => {
    turnOver();
    for (const [resource, share] of read) {
      now.set(resource, Math.max(now.get(resource) ?? 0, Math.min(1, share())));
    }
  };
  const timer = setInterval(look, LOOK_EVERY_MS);
  timer.unref();
  return {
    measure: {
      name: "stampede_saturation_ratio",
      help: "Taken share of a resource, 0 to 1: the highest of the last 5 to 10 seconds.",
      type: "gauge",
      labels: ["resource"],
      read() {
        look();
        return read.map(([resource]) => ({
          labels: { resource },
          value: Math.max(now.get(resource) ?? 0, before.get(resource) ?? 0),
        }));
      },
    },
    look,
    close: () => clearInterval(timer),
  };
}

const UTILIZATION_OVER_MS = 1_000;

/** The share of the last whole second in which the event loop was not idle. */
export function eventLoopShare(): () => number {
  let from = performance.eventLoopUtilization();
  let fromMs = performance.now();
  let share = 0;
  return () => {
    const elapsedMs = performance.now() - fromMs;
    if (elapsedMs < UTILIZATION_OVER_MS) return share;
    const to = performance.eventLoopUtilization();
    share = performance.eventLoopUtilization(to, from).utilization;
    from = to;
    fromMs = performance.now();
    return share;
  };
}
