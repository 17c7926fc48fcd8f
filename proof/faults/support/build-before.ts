// A build before the codes of v3 followed from a key: its packages as they were, from the project's
// history. What they depend on is linked from today's, and from ours where today's build does without.
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";

const REPOSITORY = join(import.meta.dirname, "..", "..", "..");
/** Before many sales stood beside each other, and before v4. */
const COMMIT = "a476acae47fd37689dcb1775a49b91aa189cd0ae";

/** What the build needs and today's does not. */
const GONE = ["@fastify/static"];

/** A clone without its past has none of it. */
export const buildBeforeMissing: string | false =
  git(["cat-file", "-e", `${COMMIT}^{commit}`]).status === 0
    ? false
    : `this clone's history does not reach back to ${COMMIT.slice(0, 7)}`;

/** The build's folder, for `startProgram`; removed after the test. */
export function checkOutBuildBefore(t: Pick<TestContext, "after">): string {
  const folder = mkdtempSync(join(tmpdir(), "stampede-before-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const archive = git(["archive", COMMIT, "packages", "web", "package.json"]);
  const unpacked = spawnSync("tar", ["-x", "-C", folder], { input: archive.stdout });
  if (unpacked.status !== 0) throw new Error(`tar: ${unpacked.stderr.toString()}`);
  symlinkSync(join(REPOSITORY, "node_modules"), join(folder, "node_modules"));
  for (const name of readdirSync(join(folder, "packages"))) {
    const modules = join("packages", name, "node_modules");
    // Links stay as they are, so that each package finds its old neighbours and not ours.
    cpSync(join(REPOSITORY, modules), join(folder, modules), {
      recursive: true,
      verbatimSymlinks: true,
    });
  }
  for (const name of GONE) {
    symlinkSync(
      realpathSync(join(REPOSITORY, "proof", "node_modules", name)),
      join(folder, "packages", "api", "node_modules", name),
    );
  }
  return folder;
}

function git(words: readonly string[]): ReturnType<typeof spawnSync> {
  return spawnSync("git", words, { cwd: REPOSITORY, maxBuffer: 64 * 1_048_576 });
}
