export { judge } from "./judge.ts";
export type { Finding, Invariant, OrderCondition } from "./findings.ts";
export { decided, undecided, type Coverage } from "./invariants.ts";
export { readSavedRun, SavedRunFault, saveRun, type RunPart } from "./saved-run.ts";
export type * from "./run.ts";
export { verdictText } from "./verdict-text.ts";
