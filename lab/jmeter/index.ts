export {
  compare,
  comparisonMarkdown,
  comparisonText,
  type JmeterComparison,
} from "./comparison.ts";
export { readJtl } from "./jtl.ts";
export { judgeSamples, type JudgedJmeterRun } from "./judged-run.ts";
export { findMaven, mavenListener } from "./maven.ts";
export { parseJmeterOptions, type JmeterOptions } from "./options.ts";
