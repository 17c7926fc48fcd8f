// Which planted bugs a run tries: all, those of files that changed since the last release, some by lot.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { randomOf } from "../simulation/random.ts";
import type { PlantedBug } from "./bugs.ts";
import { ROOT } from "./copies.ts";

/** How many `npm test` tries: about as many seconds as that on two cores. */
const LOT = 10;

export type Wish = {
  /** Only bugs of files that changed since the last release, where there is one and any did. */
  readonly changed: boolean;
  /** At most so many, by lot; null: all of them. */
  readonly lot: number | null;
  /** Another seed is another lot. */
  readonly seed: string;
};

/** What STAMPEDE_PLANTED says: "all", "changed", "10", "changed 10"; the last one where it says nothing. */
export function wishOf(text: string | undefined, seed: string): Wish {
  const said = /^(?:all|(?<changed>changed)? ?(?<lot>[1-9]\d{0,3})?)$/.exec(
    text || `changed ${LOT}`,
  );
  if (said === null) {
    throw new Error(
      `STAMPEDE_PLANTED is all, changed, a number or changed and one, not "${text}".`,
    );
  }
  const { changed, lot } = said.groups ?? {};
  return { changed: changed !== undefined, lot: lot === undefined ? null : Number(lot), seed };
}

/** `changes` is null where nothing was released yet. */
export function chooseBugs(
  bugs: readonly PlantedBug[],
  { changed, lot, seed }: Wish,
  changes: readonly string[] | null,
): { readonly chosen: readonly PlantedBug[]; readonly told: string } {
  const files = new Set(changed ? changes : []);
  const touched = bugs.filter((bug) => filesOf(bug).some((file) => files.has(file)));
  const candidates = touched.length > 0 ? touched : bugs;
  // Without a release, or a change since then, a lot stands in for what changed.
  const count = lot ?? (changed && touched.length === 0 ? LOT : candidates.length);
  const drawn = new Set(randomOf(seed).some(candidates, count));
  const of = candidates === touched ? " of files that changed since the last release" : "";
  const byLot = drawn.size < candidates.length ? `, by lot with seed ${seed}` : "";
  return {
    chosen: candidates.filter((bug) => drawn.has(bug)),
    told: `${drawn.size} of ${candidates.length} planted bugs${of}${byLot}.`,
  };
}

/** What a bug is about: the code that it breaks, the check that finds it, and the patch. */
function filesOf({ patch, changes, test }: PlantedBug): readonly string[] {
  return [...changes, `proof/mutants/patches/${patch}`, ...(test === null ? [] : [test.file])];
}

/** Files that changed since the last tag, committed or not; null: no tag, or no repository. */
export function changesSinceRelease(): readonly string[] | null {
  const tag = git("describe", "--tags", "--abbrev=0");
  const changed = tag === null ? null : git("diff", "--name-only", tag.trim());
  const added = git("ls-files", "--others", "--exclude-standard");
  return changed === null || added === null ? null : `${changed}${added}`.trim().split("\n");
}

function git(...options: readonly string[]): string | null {
  const { status, stdout } = spawnSync("git", options, { cwd: join(ROOT), encoding: "utf8" });
  return status === 0 ? stdout : null;
}
