export { judge } from "./judge.ts";
export type { Finding, OrderCondition } from "./findings.ts";
export { promises, type Invariant } from "./promises.ts";
export { readSavedRun, SavedRunFault, saveRun, type RunPart } from "./saved-run.ts";
export type * from "./run.ts";
export { verdictText } from "./verdict-text.ts";
