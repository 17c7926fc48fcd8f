import { setTimeout as delay } from "node:timers/promises";

import type { Meter } from "../crowd/run-sale.ts";
import { cpuMicrosOf, listenOverflows, memorySampler, type CpuMicros } from "./processes.ts";
import type { Cpu, Run } from "./result.ts";
import { eventLoopDelayMs, roundTripsPerClaim, scrape, type Scrape } from "./server-metrics.ts";

/** What is measured beside the answers. */
export type Readings = Pick<
  Run,
  | "listenOverflows"
  | "cpuMicrosPerClaim"
  | "roundTripsPerClaim"
  | "serverMemoryMiB"
  | "eventLoopDelayMs"
> & {
  /** The server's CPU by the time from the first claim to the last final answer; null: not known. */
  readonly serverCpuShare: number | null;
};

export type RunMeter = Meter & {
  /** After `end`; `claims` were sent. */
  readonly readings: (claims: number) => Readings;
  /** Stops sampling, also when the run has failed. */
  readonly stop: () => void;
};

/** Whom to measure: processes by name, "server" among them, and the server's metrics. */
export type Measured = {
  readonly pids: Readonly<Record<string, number>>;
  readonly metricsUrl: string | null;
};

/**
 * The server's histogram of delays misses the interval in which it was emptied, which is 10 ms long:
 * the crowd comes when that has passed.
 */
const settleMs = 30;

type Reading = {
  readonly atMs: number;
  readonly cpu: Readonly<Record<string, CpuMicros>>;
  readonly scrape: Scrape | null;
};

/** Starts before the connections are opened, reads when they stand and when all is decided. */
export function runMeter({ pids, metricsUrl }: Measured): RunMeter {
  const overflowsBefore = listenOverflows();
  const memory = memorySampler(pids["server"] ?? null);
  let before: Reading | null = null;
  let after: Reading | null = null;
  const ask = async (): Promise<Scrape | null> => (metricsUrl === null ? null : scrape(metricsUrl));
  const cpu = (): Record<string, CpuMicros> => {
    const { user, system } = process.cpuUsage();
    return { ...cpuMicrosOf(pids), crowd: { total: user + system, user, system } };
  };
  return {
    begin: async () => {
      const told = await ask();
      await delay(settleMs);
      before = { cpu: cpu(), scrape: told, atMs: performance.now() };
    },
    end: async () => {
      // The scrape costs the server CPU, so it comes last.
      const [atMs, used] = [performance.now(), cpu()];
      after = { atMs, cpu: used, scrape: await ask() };
    },
    readings: (claims) => {
      if (before === null || after === null) throw new Error("A meter reads after its end.");
      const used = difference(before.cpu, after.cpu);
      const server = used["server"] ?? null;
      const overflows = listenOverflows();
      return {
        listenOverflows:
          overflows === null || overflowsBefore === null ? null : overflows - overflowsBefore,
        cpuMicrosPerClaim: Object.fromEntries(
          Object.entries(used).map(([name, cpu]) => [name, perClaim(cpu, claims)]),
        ),
        roundTripsPerClaim: roundTripsPerClaim(before.scrape, after.scrape, claims),
        serverMemoryMiB: memory.stop(),
        eventLoopDelayMs: eventLoopDelayMs(after.scrape),
        serverCpuShare: server === null ? null : server.total / 1_000 / (after.atMs - before.atMs),
      };
    },
    stop: () => void memory.stop(),
  };
}

/** A process that was started again in between began to count anew and is left out. */
function difference(
  before: Readonly<Record<string, CpuMicros>>,
  after: Readonly<Record<string, CpuMicros>>,
): Record<string, CpuMicros> {
  return Object.fromEntries(
    Object.entries(after).flatMap(([name, { total, user, system }]) => {
      const from = before[name];
      if (from === undefined || total < from.total) return [];
      const parts = { user: user - from.user, system: system - from.system };
      return [[name, { total: total - from.total, ...parts }]];
    }),
  );
}

/** The exact total, split as the coarser ticks are. */
function perClaim({ total, user, system }: CpuMicros, claims: number): Cpu {
  const ticked = user + system;
  const share = ticked > 0 ? Math.max(0, system) / ticked : 0;
  return { user: (total * (1 - share)) / claims, system: (total * share) / claims };
}
