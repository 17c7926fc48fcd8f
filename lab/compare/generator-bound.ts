// When a run says more about the crowd's own process than about the server. Crowd and server share a
// machine in the simplest case, so "busy" alone is no fault: it counts when the server waited for it.

import { milliseconds } from "../report/numbers.ts";

/** What is known of both sides of a run. */
export type Effort = {
  /** From the first to the last claim of an instant; null where arrivals are spread. */
  readonly firingSkewMs: number | null;
  readonly lastAnswerMs: number;
  readonly lateMsP99: number;
  readonly latencyMsP99: number;
  /** How long the crowd was at work, and the CPU of its thread and of the server in it, 0 to 1. */
  readonly wallMs: number;
  readonly crowdCpuShare: number;
  /** Null: not known, such as for a server elsewhere. */
  readonly serverCpuShare: number | null;
};

/**
 * Below this nobody can tell claims apart: a network spreads them as much. Small crowds, which end
 * within a few times of it, could never be fired fast enough otherwise.
 */
const skewMsAllowed = 20;
/**
 * Sending may take up to half of the time until the last answer: for the other half the server had
 * all claims, so that the end is its own. The empty handler, the fastest there is, was at 0.26 to
 * 0.36 with ten thousand people on two cores.
 */
const skewShareMax = 0.5;
/** A timer is late by 1 ms, and by some more on a machine that is full. */
const lateMsAllowed = 5;
/** Latency counts from the intended time: a tenth of it may be the generator's own lateness. */
const lateShareMax = 0.1;
/** One thread cannot do more than 1; the rest is what an event loop loses between two polls. */
const crowdCpuShareMax = 0.95;
const serverCpuShareIdle = 0.9;
/** CPU is counted in ticks of 10 ms: of less than ten of them no share can be told. */
const wallMsMin = 100;

/** Why the generator was the bottleneck; nothing where it was not. */
export function generatorFaults(effort: Effort): string[] {
  const { firingSkewMs, lastAnswerMs, lateMsP99, latencyMsP99, crowdCpuShare } = effort;
  const faults: string[] = [];
  if (firingSkewMs !== null) {
    const allowedMs = Math.max(skewMsAllowed, lastAnswerMs * skewShareMax);
    if (firingSkewMs > allowedMs) {
      faults.push(
        `generator bound: sending took ${milliseconds(firingSkewMs)} of ${milliseconds(lastAnswerMs)}; ` +
          `an instant may take ${milliseconds(allowedMs)}`,
      );
    }
  } else {
    const allowedMs = Math.max(lateMsAllowed, latencyMsP99 * lateShareMax);
    if (lateMsP99 > allowedMs) {
      faults.push(
        `generator bound: one claim in a hundred was sent ${milliseconds(lateMsP99)} late or more; ` +
          `with a p99 of ${milliseconds(latencyMsP99)} it may be ${milliseconds(allowedMs)}`,
      );
    }
  }
  const { serverCpuShare, wallMs } = effort;
  const idle = serverCpuShare === null || serverCpuShare < serverCpuShareIdle;
  if (wallMs >= wallMsMin && crowdCpuShare >= crowdCpuShareMax && idle) {
    const server = serverCpuShare === null ? "an unknown share" : percent(serverCpuShare);
    faults.push(
      `generator bound: the crowd's thread used ${percent(crowdCpuShare)} of a core all the ` +
        `time, the server ${server}`,
    );
  }
  return faults;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
