/** A figure that is read when somebody asks for it: `read` gives the values by label. */
export type Measure = {
  /** By Prometheus' rules: base units, `_total` at the end of what only grows. */
  readonly name: string;
  readonly help: string;
  readonly type: "gauge" | "counter";
  readonly labels: readonly string[];
  readonly read: () => readonly {
    readonly labels: Readonly<Record<string, string>>;
    readonly value: number;
  }[];
};

/** Every event costs some series: beyond so many, the latest used are told. */
export const EVENTS_TOLD_MAX = 200;

/** The taken share of the room of each event that has claims under way, 0 to 1. */
export type EventShares = Iterable<readonly [event: string, share: number]>;

/** How full a mechanism is of claims. */
export type Fullness = {
  /** The taken share of the room for claims, 0 to 1; at 1 the next claim is turned away. */
  saturation(): number;
  /** ... and of the room of each event that has claims under way. */
  lines(): EventShares;
};

/** Of a resource that all events share and of the event that takes most of its own. */
export function fullest(ofAll: number, ofEvents: EventShares): number {
  let share = ofAll;
  for (const [, ofEvent] of ofEvents) share = Math.max(share, ofEvent);
  return share;
}

/** Of what an alert is told by event, the worst so many: a stuck event hides behind no busy one. */
const WORST_TOLD = 10;

/**
 * Where several processes tell a measure of events, the greatest figure of an event is the true one
 * (`max by (event)`): whoever does not lead tells nothing.
 */
export function worstEvents(
  name: string,
  help: string,
  valuesOf: () => Iterable<readonly [event: string, value: number]>,
): Measure {
  return {
    name,
    help,
    type: "gauge",
    labels: ["event"],
    read: () =>
      [...valuesOf()]
        .sort(([, one], [, other]) => other - one)
        .slice(0, WORST_TOLD)
        .map(([event, value]) => ({ labels: { event }, value })),
  };
}

export function gauge(name: string, help: string, read: () => number): Measure {
  return { name, help, type: "gauge", labels: [], read: () => [{ labels: {}, value: read() }] };
}
