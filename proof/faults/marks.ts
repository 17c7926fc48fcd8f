// The rare situations that a full run must have met (its "sometimes" marks): one that never comes about
// was not tried, however green the run is. A case tells what it met by `met`; what a single case
// claims to meet each time stands in its `expects`.

/** In `npm test` and `npm run proof` together, and in `npm run faults`. */
export const marks = {
  commitLost: "COMMIT reply lost after the commit",
  crashReserved: "crash between reservation and commit",
  rebuilt: "rebuild with claims in flight",
  writtenForAnother: "reconciler wrote another instance's reservation",
  refusedByGuard: "reservation refused by the guard",
  waitedForRows: "v2 claim waited for the last rows",
  duplicatePerson: "duplicate person in the log",
  staleDecider: "stale decider fenced",
  batchSplit: "batch split across the last coupon",
  soldOutUndecided: "sold-out asked while claims were undecided",
  foundOwnRow: "retry after INFO found its own row",
  unknownApplied: "outcome-unknown that was applied",
  unknownNotApplied: "outcome-unknown that was not applied",
  raiseLost: "raise lost against the last coupon",
  poolExhausted: "pool exhausted",
  noScript: "NOSCRIPT",
  sessionEnded: "57P01",
} as const;

/** By cases that only `npm run faults` has. */
export const marksOfAllCases = {
  finishedByNext: "Redis forgot a sale that another process had finished",
  streamResumed: "stream resumed",
  serializationFailure: "40001",
  lockTimeout: "55P03",
  cutMidBody: "answer cut mid-body",
  notEnoughReplicas: "NotEnoughReplicas",
} as const;
