export { labMetrics, serveMetrics } from "../metrics.ts";
export { compare, orderOf, warmUp, type ComparePlan, type Compared } from "./compare.ts";
export { startCeiling, type Ceiling } from "../crowd/ceiling.ts";
export { fairnessOf, inversions } from "./fairness.ts";
export { claimFigures, latencyOf } from "./figures.ts";
export { generatorFaults, type Effort } from "./generator-bound.ts";
export {
  availableMechanisms,
  chosenMechanisms,
  readMechanisms,
  type Mechanism,
} from "../mechanisms.ts";
export { sameAgainstSame } from "./noise.ts";
export { parseLabOptions } from "./options.ts";
export { cpuMicrosOf, listenOverflowsIn, memorySampler, statOf } from "./processes.ts";
export type { Comparison, Run } from "./result.ts";
export { arrivalTimes, scenarioOf, scenarios } from "./scenario.ts";
export { eventLoopDelayMs, roundTripsPerClaim, scrapeOf } from "./server-metrics.ts";
export { targetSystem, type TargetSystem } from "./target.ts";
