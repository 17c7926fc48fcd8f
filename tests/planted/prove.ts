// Whether a planted bug is found: its patch applies, its check is red, and red for the reason given.
import { resolve } from "node:path";
import { runCheck } from "./check.ts";
import type { Checked } from "./check.ts";
import { applyPatch, copyTree } from "./copies.ts";
import { PATCHES } from "./bugs.ts";
import type { PlantedBug } from "./bugs.ts";

export type Verdict = {
  readonly bug: PlantedBug;
  /** Null where the bug was found; else why not. */
  readonly missed: string | null;
  readonly ms: number;
};

type Running = { readonly environment: NodeJS.ProcessEnv; readonly signal: AbortSignal };

/** Applies the bug to a copy of the tree and runs its check there. */
export async function prove(bug: PlantedBug, running: Running): Promise<Verdict> {
  using copy = copyTree();
  const refused = applyPatch(copy.folder, resolve(PATCHES, bug.patch));
  if (refused !== null) {
    return { bug, missed: `the patch does not apply any more: ${refused}`, ms: 0 };
  }
  const check = { file: bug.file, tests: [bug.test], environment: bug.environment };
  const checked = await runCheck(copy.folder, check, running);
  return { bug, missed: reasonMissed(bug, checked), ms: checked.ms };
}

function reasonMissed(bug: PlantedBug, { told, output }: Checked): string | null {
  const failed = told.filter(({ passed }) => !passed);
  const named = failed.filter(({ name }) => name.startsWith(bug.test));
  const found = named.find(({ text }) => bug.because.test(text));
  if (found !== undefined) return null;
  const other = named[0] ?? failed[0];
  if (other !== undefined) {
    return `"${other.name}" is red for another reason than ${String(bug.because)}:\n${other.text}`;
  }
  if (told.some(({ passed, skipped }) => passed && !skipped)) return "its check stays green";
  return `its check did not run: ${told[0]?.skipped === true ? "it is skipped" : output}`;
}

/**
 * Runs the checks of these bugs on an unbroken copy. Gives what is not green there: a check that is red
 * anyway, or that does not exist, finds nothing.
 */
export async function proveGreen(
  bugs: readonly PlantedBug[],
  { lanes, ...running }: Running & { readonly lanes: number },
): Promise<readonly string[]> {
  using copy = copyTree();
  const wrong: string[] = [];
  const files = [...Map.groupBy(bugs, ({ file }) => file)];
  await inLanes(lanes, files, async ([file, same]) => {
    const tests = [...new Set(same.map(({ test }) => test))];
    const environment = Object.assign({}, ...same.map(({ environment }) => environment));
    const { told, output } = await runCheck(copy.folder, { file, tests, environment }, running);
    for (const { name, passed, text } of told) if (!passed) wrong.push(`${file}: ${name}\n${text}`);
    for (const test of tests) {
      const ran = told.some(({ name, skipped }) => name.startsWith(test) && !skipped);
      if (!ran) wrong.push(`${file}: "${test}" did not run. ${output}`);
    }
  });
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
