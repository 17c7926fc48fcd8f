// docs/planted-bugs.md, as the heads of the patches say it.
import { join } from "node:path";
import type { PlantedBug } from "./bugs.ts";
import { ROOT } from "./copies.ts";

export const PAGE: string = join(ROOT, "docs", "planted-bugs.md");

export function pageOf(bugs: readonly PlantedBug[]): string {
  const sales = bugs.filter(({ sale }) => sale !== null).length;
  const tests = bugs.filter(({ test }) => test !== null).length;
  const numbers = new Set(bugs.map(({ bug }) => bug)).size;
  return `# Planted bugs

Ids (B9, S5, L2, F6) are in the [dictionary](dictionary.md).

<!-- Made by npm run planted -- --write of the heads in proof/mutants/patches: change those. -->

Every known design error of a service like this, as a patch that is applied to a copy of the tree, with the check that turns red there: ${bugs.length} patches of ${numbers} bugs, ${tests} of them found by a test and ${sales} by a simulated sale. A patch that no longer applies, a check that stays green, and one that is red for another reason than its patch gives fail \`npm run planted\`. Production code has no switch for any of them.

A bug is listed with the quickest check that is sufficient. A test brings the moment about that a crowd under faults showed at first: a COMMIT that is held and then refused, a writer whose acknowledgement is kept back, two connections that ask at once, a decider that was paused. A [simulated sale](simulation.md) breaks the promise that is named with it; its seed changes whenever a fault or a person is drawn in another way, and \`npm run planted -- --find-seeds\` finds another one.

| bug | what is broken | found by |
|---|---|---|
${bugs.map(rowOf).join("\n")}
`;
}

function rowOf({ bug, what, test, sale }: PlantedBug): string {
  const checks = [
    ...(test === null ? [] : [`\`${test.file}\`: ${test.test}`]),
    ...(sale === null ? [] : [`\`${sale.mechanism}\`, seed ${sale.seed}, breaks ${sale.breaks}`]),
  ];
  return `| ${bug} | ${what} | ${checks.join("; ")} |`;
}
