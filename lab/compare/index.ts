export { labMetrics, serveMetrics, type JudgedFigures, type LabMetrics } from "../metrics.ts";
export {
  compare,
  orderOf,
  sameAgainstSame,
  type ComparePlan,
  type Compared,
  type CompareHooks,
} from "./compare.ts";
export { startCeiling, type Ceiling } from "../crowd/ceiling.ts";
export { databaseClock, engineFacts, type EngineFacts } from "./engines.ts";
export { fairnessOf, inversions } from "./fairness.ts";
export { claimFigures, latencyOf } from "./figures.ts";
export { generatorFaults, type Effort } from "./generator-bound.ts";
export { measureMechanism, type LabShop, type RunPlan } from "./measure.ts";
export { parseLabOptions } from "./options.ts";
export { cpuMicrosOf, listenOverflowsIn, memorySampler, statOf } from "./processes.ts";
export type { Comparison, Run, Scenario, Subject } from "./result.ts";
export { arrivalTimes, readScenario, scenarioOf, scenarios } from "./scenario.ts";
export { eventLoopDelayMs, roundTripsPerClaim, scrapeOf } from "./server-metrics.ts";
export { judgeTarget, targetSystem, type TargetSystem } from "./target.ts";
