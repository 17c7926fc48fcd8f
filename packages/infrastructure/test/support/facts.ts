import type { TestContext } from "node:test";
import { listenToFacts } from "../../src/engines/telemetry.ts";
import type {
  BatchFact,
  EstimateErrorFact,
  FailureFact,
  RecoveryFact,
  RepairFact,
  RoundTripFact,
  RowLockWaitFact,
} from "../../src/engines/telemetry.ts";

export type HeardFacts = {
  readonly batches: BatchFact[];
  readonly roundTrips: RoundTripFact[];
  readonly rowLockWaits: RowLockWaitFact[];
  readonly estimateErrors: EstimateErrorFact[];
  readonly repairs: RepairFact[];
  readonly recoveries: RecoveryFact[];
  readonly failures: FailureFact[];
  /** How much of one kind was repaired. */
  readonly repaired: (kind: RepairFact["kind"]) => number;
  /** How often there was a recovery of one kind. */
  readonly recovered: (kind: RecoveryFact["kind"]) => number;
};

/** Everything that the adapters of this process publish while the test runs. */
export function hearFacts(t: TestContext): HeardFacts {
  const heard: HeardFacts = {
    batches: [],
    roundTrips: [],
    rowLockWaits: [],
    estimateErrors: [],
    repairs: [],
    recoveries: [],
    failures: [],
    repaired: (kind) =>
      heard.repairs.reduce((sum, fact) => sum + (fact.kind === kind ? fact.count : 0), 0),
    recovered: (kind) => heard.recoveries.filter((fact) => fact.kind === kind).length,
  };
  const end = listenToFacts({
    batch: (fact) => heard.batches.push(fact),
    roundTrip: (fact) => heard.roundTrips.push(fact),
    rowLockWait: (fact) => heard.rowLockWaits.push(fact),
    estimateError: (fact) => heard.estimateErrors.push(fact),
    repair: (fact) => heard.repairs.push(fact),
    recovery: (fact) => heard.recoveries.push(fact),
    failure: (fact) => heard.failures.push(fact),
  });
  t.after(end);
  return heard;
}
