// Another build of the service: a copy of its packages with a few lines changed, run from a folder of
// its own. What it depends on is linked, not copied.
import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";

const REPOSITORY = join(import.meta.dirname, "..", "..", "..");

export type Change = {
  /** Below `packages`. */
  readonly file: string;
  readonly replace: RegExp;
  readonly by: string;
};

/** The build's folder, for `startProgram`; removed after the test. */
export function makeOtherBuild(t: Pick<TestContext, "after">, changes: readonly Change[]): string {
  const folder = mkdtempSync(join(tmpdir(), "stampede-build-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const packages = join(folder, "packages");
  // Links stay as they are, so that each package finds its copied neighbours and not ours.
  cpSync(join(REPOSITORY, "packages"), packages, { recursive: true, verbatimSymlinks: true });
  for (const name of ["node_modules", "web", "package.json"]) {
    symlinkSync(join(REPOSITORY, name), join(folder, name));
  }
  for (const { file, replace, by } of changes) {
    const path = join(packages, file);
    const text = readFileSync(path, "utf8");
    assert.match(text, replace, `${file} is not what this test changes`);
    writeFileSync(path, text.replace(replace, by));
  }
  return folder;
}
