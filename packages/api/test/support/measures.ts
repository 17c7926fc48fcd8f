// Every figure that serve.ts wires, read from stand-ins whose numbers a test may change.
import type { TestContext } from "node:test";
import type { CouponEvent, EngineState, EventId, Mechanism } from "@stampede/domain";
import { listenOverflowsMeasures } from "../../src/listen-overflows.ts";
import {
  engineMeasure,
  eventMeasures,
  issueCountMeasures,
  poolMeasures,
} from "../../src/measures.ts";
import type { Measure } from "../../src/metrics.ts";
import { saturation } from "../../src/saturation.ts";
import type { Saturation } from "../../src/saturation.ts";

export const EVENTS_MAX = 200;

export type StandIns = {
  /** In use, the latest used first. */
  events: CouponEvent[];
  counts: {
    readonly eventId: EventId;
    readonly mechanism: Mechanism;
    readonly couponIssues: number;
    readonly soldOutAtMs: number | null;
  }[];
  pool: { readonly open: number; readonly idle: number; readonly waiting: number };
  /** As the kernel writes it; null off Linux. */
  netstat: string | null;
  taken: Record<string, number>;
  lines: readonly (readonly [event: string, share: number])[];
  engines: Record<string, EngineState>;
  nowMs: number;
};

export function eventOf(id: string, of: Partial<CouponEvent> = {}): CouponEvent {
  return {
    id: id as EventId,
    name: "Spring",
    mechanism: "row-lock",
    limit: 100,
    issued: 37,
    opensAtMs: 1_796_083_200_500,
    closesAtMs: null,
    paused: false,
    pace: null,
    listed: true,
    voided: false,
    version: 1,
    ...of,
  };
}

export function standIns(): StandIns {
  return {
    events: [],
    counts: [],
    pool: { open: 5, idle: 2, waiting: 7 },
    netstat: "TcpExt: ListenOverflows\nTcpExt: 3\n",
    taken: { "redis-line": 0, "event-loop": 0 },
    lines: [],
    engines: { postgres: "up", redis: "down", kafka: "off" },
    nowMs: 0,
  };
}

export function saturationOf(t: TestContext, of: StandIns): Saturation {
  const resources = Object.fromEntries(
    Object.keys(of.taken).map((resource) => [resource, () => of.taken[resource] ?? 0]),
  );
  const full = saturation(resources, [() => of.lines], () => of.nowMs);
  t.after(() => full.close());
  return full;
}

export function everyMeasure(t: TestContext, of: StandIns): Measure[] {
  const directory = {
    known: (eventsMax: number): { readonly event: CouponEvent }[] =>
      of.events.slice(0, eventsMax).map((event) => ({ event })),
  };
  return [
    ...eventMeasures(directory, EVENTS_MAX),
    ...issueCountMeasures({ last: () => of.counts }),
    ...poolMeasures(new Map([["shared", { usage: () => of.pool }]])),
    engineMeasure(() => of.engines),
    saturationOf(t, of).measure,
    ...listenOverflowsMeasures(() => of.netstat),
  ];
}
