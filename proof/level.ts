// How much is proved by which command. Two levels share the same tests: what takes long by its number
// (sales, planted bugs, histories, fault cases) is given a smaller one in `npm test`, and what a
// contributor need not wait for runs in `npm run proof` alone. `.ci/run` runs both.
import { globSync } from "node:fs";

export type Level = "test" | "proof";

/** What only `npm run proof` runs. */
const PROOF_ALONE = [
  "proof/{inputs,orders,scenarios}/**/*.test.ts",
  "proof/simulation/conformance-*.test.ts",
  "lab/test/jmeter.engines.test.ts",
  "tests/deployment/stopping.test.ts",
  "proof/containers/containers.test.ts",
];
/** What both run, each with its own numbers. */
const BY_NUMBER = [
  "proof/faults/lane-*.test.ts",
  "proof/simulation/simulation.test.ts",
  "proof/mutants/planted.test.ts",
  "referee/test/referee-brute-force.test.ts",
];
const EVERY_TEST = ["{packages/*,web,referee,lab}/test/**/*.test.ts", "{proof,tests}/**/*.test.ts"];

/** The files of a level. */
export function filesOfLevel(level: Level): readonly string[] {
  if (level === "proof") return filesOf([...PROOF_ALONE, ...BY_NUMBER]);
  const others = new Set(filesOf(PROOF_ALONE));
  return filesOf(EVERY_TEST).filter((path) => !others.has(path));
}

export function filesOf(patterns: readonly string[]): readonly string[] {
  return globSync([...patterns], { exclude: (path) => path.includes("node_modules") }).toSorted();
}

/** The numbers of a level; what stands in the environment already is somebody's wish. */
export const numbersOf: Readonly<Record<Level, Readonly<Record<string, string>>>> = {
  test: {
    STAMPEDE_FAULT_CASES: "test",
    STAMPEDE_SALES: "1000",
    STAMPEDE_PLANTED: "changed 10",
    REFEREE_HISTORIES: "50000",
  },
  proof: {
    STAMPEDE_FAULT_CASES: "proof",
    STAMPEDE_SALES: "20000",
    STAMPEDE_PLANTED: "all",
    REFEREE_HISTORIES: "1000000",
  },
};
