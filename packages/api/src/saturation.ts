// How full the things are that claims queue for. A rush is over in a second and Prometheus looks once
// in a while, so each resource is looked at four times a second and the highest of the last moments
// is told, to whoever asks and as often as they ask.
import type { Measure } from "./metrics.ts";

export type Saturation = {
  readonly measure: Measure;
  /** The same of each event that had claims under way in these moments. */
  readonly ofEvents: () => ReadonlyMap<string, number>;
  /** Looks at every resource; a timer does so too. */
  readonly look: () => void;
  readonly close: () => void;
};

const LOOK_EVERY_MS = 250;
/** What was seen stays in the figure for one to two of these: longer than a scrape interval. */
const WINDOW_MS = 5_000;

type Shares = { readonly resources: Map<string, number>; readonly events: Map<string, number> };

const nothing = (): Shares => ({ resources: new Map(), events: new Map() });

/** Each resource, and each line of an event, tells the taken share of its room, 0 to 1. */
export function saturation(
  resources: Readonly<Record<string, () => number>>,
  lines: readonly (() => Iterable<readonly [event: string, share: number]>)[],
  monotonicMs: () => number,
): Saturation {
  const read = Object.entries(resources);
  let before = nothing();
  let now = nothing();
  let sinceMs = monotonicMs();

  const turnOver = (): void => {
    const elapsedMs = monotonicMs() - sinceMs;
    if (elapsedMs < WINDOW_MS) return;
    before = elapsedMs < 2 * WINDOW_MS ? now : nothing();
    now = nothing();
    sinceMs = monotonicMs();
  };
  const look = (): void => {
    turnOver();
    for (const [resource, share] of read) raise(now.resources, resource, share());
    for (const line of lines) for (const [event, share] of line()) raise(now.events, event, share);
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
          value: Math.max(now.resources.get(resource) ?? 0, before.resources.get(resource) ?? 0),
        }));
      },
    },
    ofEvents() {
      look();
      const shares = new Map(before.events);
      for (const [event, share] of now.events) raise(shares, event, share);
      return shares;
    },
    look,
    close: () => clearInterval(timer),
  };
}

function raise(shares: Map<string, number>, name: string, share: number): void {
  shares.set(name, Math.max(shares.get(name) ?? 0, Math.min(1, share)));
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
