// O: what operators do, and what becomes of them who are killed while they do it.
import type { FaultCase } from "../case.ts";
import type { Mechanism } from "../mechanisms.ts";
import { otherPairs, rowPairs, runRound, titleOf } from "../support/pair-rounds.ts";
import type { Pair } from "../support/pair-rounds.ts";
import { changeCases } from "./operations-changes.ts";
import { createCase } from "./operations-create.ts";
import { launcherCase } from "./operations-launcher.ts";
import { migrationCase } from "./operations-migration.ts";
import { oldEnginesCase } from "./operations-old-engines.ts";
import { paceCases } from "./operations-pace.ts";
import { upgradeCase } from "./operations-upgrade.ts";
import { restoredCase } from "./restored.ts";

/**
 * Every pair of the faults that one mechanism can meet, the second one while the first lasts, or right after
 * it where it needs what the first took; the order by the seed. A fault of v2's own and one of v3's own share a
 * round, each with a sale of its mechanism. (A4 is not v3's, and R and K are nobody's but v2's and v3's:
 * docs/guarantees.md. No pair is left out; a fault with itself is no pair.)
 *
 * Red as each fault alone; and when a claim is told as certain that met both a lost COMMIT and a PostgreSQL
 * that is gone (`"unknown"` of COMMIT in engines/postgres/open.ts).
 */
const pairCaseOf = (pair: Pair): FaultCase => ({
  id: "O4",
  mechanisms: Object.keys(pair[0]) as Mechanism[],
  injects: titleOf(pair),
  holds: "what holds under each of them alone",
  runs: "all",
  needs: ["proc"],
  place: "pairs",
  run: async (stage) => runRound(stage, pair),
});

export const operationCases: readonly FaultCase[] = [
  ...changeCases,
  ...paceCases,
  restoredCase,
  migrationCase,
  ...[...rowPairs, ...otherPairs].map(pairCaseOf),
  createCase,
  oldEnginesCase,
  launcherCase,
  upgradeCase,
];
