// Whether a planted bug is found: its patch applies, its checks are red, and red for the reason given.
import { resolve } from "node:path";
import { runSale } from "../simulation/sale.ts";
import { PATCHES } from "./bugs.ts";
import type { PlantedBug, SaleCheck, TestCheck } from "./bugs.ts";
import { runSaleIn, runTests } from "./check.ts";
import type { Running, TestsRun } from "./check.ts";
import { applyPatch } from "./copies.ts";
import type { Copies } from "./copies.ts";

export type Verdict = {
  readonly bug: PlantedBug;
  /** Null where every check of the bug found it; else why not. */
  readonly missed: string | null;
  readonly ms: number;
};

export type Proving = Running & { readonly copies: Copies };

/** Applies the bug to a copy of the tree and runs its checks there. */
export async function prove(bug: PlantedBug, proving: Proving): Promise<Verdict> {
  return proving.copies.lend(bug.changes, async (folder) => {
    const refused = applyPatch(folder, resolve(PATCHES, bug.patch));
    if (refused !== null) {
      return { bug, missed: `the patch does not apply any more: ${refused}`, ms: 0 };
    }
    const startedMs = performance.now();
    const missed: string[] = [];
    if (bug.test !== null) missed.push(...(await missedByTest(folder, bug.test, proving)));
    if (bug.sale !== null) missed.push(...(await missedBySale(folder, bug.sale, proving)));
    const ms = Math.round(performance.now() - startedMs);
    return { bug, missed: missed.length === 0 ? null : missed.join("\n"), ms };
  });
}

async function missedByTest(
  folder: string,
  check: TestCheck,
  running: Running,
): Promise<readonly string[]> {
  const { file, test, environment } = check;
  const run = await runTests(folder, { file, tests: [test], environment }, running);
  const reason = reasonMissed(check, run);
  return reason === null ? [] : [reason];
}

function reasonMissed({ test, because }: TestCheck, { told, output }: TestsRun): string | null {
  const failed = told.filter(({ passed }) => !passed);
  const named = failed.filter(({ name }) => name.startsWith(test));
  const found = named.find(({ text }) => because.test(text));
  if (found !== undefined) return null;
  const other = named[0] ?? failed[0];
  if (other !== undefined) {
    return `"${other.name}" is red for another reason than ${String(because)}:\n${other.text}`;
  }
  if (told.some(({ passed, skipped }) => passed && !skipped)) return "its check stays green";
  return `its check did not run: ${told[0]?.skipped === true ? "it is skipped" : output}`;
}

async function missedBySale(
  folder: string,
  sale: SaleCheck,
  running: Running,
): Promise<readonly string[]> {
  const output = await runSaleIn(folder, sale, running);
  if (promisesBroken(output).includes(sale.breaks)) return [];
  const name = `the simulated sale of ${sale.mechanism} with seed ${sale.seed}`;
  return [`${name} does not break ${sale.breaks}:\n${output}`];
}

/** The ids of the promises in what the simulation says of a sale. */
export function promisesBroken(output: string): readonly string[] {
  return [...output.matchAll(/^ {2}(?<id>[A-Z]\d+): /gm)].map(({ groups }) => groups?.["id"] ?? "");
}

/**
 * Runs the checks of these bugs on an unbroken copy. Gives what is not green there: a check that is red
 * anyway, or that does not exist, finds nothing.
 */
export async function proveGreen(
  bugs: readonly PlantedBug[],
  { lanes, ...proving }: Proving & { readonly lanes: number },
): Promise<readonly string[]> {
  const wrong: string[] = [];
  const checks = bugs.flatMap(({ test }) => (test === null ? [] : [test]));
  await inLanes(lanes, [...Map.groupBy(checks, ({ file }) => file)], async ([file, same]) => {
    const tests = [...new Set(same.map(({ test }) => test))];
    const environment = Object.assign({}, ...same.map((check) => check.environment));
    const check = { file, tests, environment };
    const run = async (folder: string): Promise<TestsRun> => runTests(folder, check, proving);
    const { told, output } = await proving.copies.lend([], run);
    for (const { name, passed, text } of told) if (!passed) wrong.push(`${file}: ${name}\n${text}`);
    for (const test of tests) {
      const ran = told.some(({ name, skipped }) => name.startsWith(test) && !skipped);
      if (!ran) wrong.push(`${file}: "${test}" did not run. ${output}`);
    }
  });
  return [...wrong, ...(await wrongSales(bugs))];
}

/** Promises that the sales of these bugs break without any bug: none. */
export async function wrongSales(bugs: readonly PlantedBug[]): Promise<readonly string[]> {
  const wrong: string[] = [];
  for (const { sale } of bugs) {
    if (sale === null) continue;
    const { violations } = await runSale(sale.mechanism, sale.seed);
    wrong.push(...violations.map((text) => `${sale.mechanism} seed ${sale.seed}: ${text}`));
  }
  return wrong;
}

/** Works on all of them, so many at a time, in their order. */
export async function inLanes<Item>(
  lanes: number,
  items: readonly Item[],
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const left = items.values();
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      for (const item of left) await work(item);
    }),
  );
}
