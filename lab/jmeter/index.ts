export {
  compare,
  comparisonMarkdown,
  comparisonText,
  type JmeterComparison,
} from "./comparison.ts";
export { readJtl, type Sample } from "./jtl.ts";
export { judgeSamples, type JmeterPlan, type JudgedJmeterRun } from "./judged-run.ts";
export { findMaven, mavenListener } from "./maven.ts";
export { parseJmeterOptions, type JmeterOptions } from "./options.ts";
export { runJmeter, type JmeterCrowd } from "./run.ts";
