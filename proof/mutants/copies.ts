// Copies of the tree, each to be broken. What git knows or would add is copied; installed packages are
// linked. A workspace's own packages are links that lead from one workspace to another: they are made
// again inside the copy, so that the copy's tests see the copy's code and none of the original. A copy is
// mended after its bug and used for the next one.
import { execFileSync, spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

export const ROOT: string = join(import.meta.dirname, "..", "..");

/** Where downloaded engines lie, for tests that start one of their own. */
const LINKED = ["node_modules", join(".stampede", "engines")];

export type Copies = Disposable & {
  /** Lends a copy that nobody else uses meanwhile. Whoever changes files in it names them in `changes`. */
  readonly lend: <Value>(
    changes: readonly string[],
    use: (folder: string) => Promise<Value>,
  ) => Promise<Value>;
};

/** As many copies of the tree as are used at once; gone when disposed of. */
export function openCopies(): Copies {
  const base = mkdtempSync(join(tmpdir(), "stampede-planted-"));
  const free: string[] = [];
  const makeCopy = (): string => {
    const folder = mkdtempSync(join(base, "copy-"));
    copyTree(folder);
    return folder;
  };
  return {
    async lend(changes, use) {
      const folder = free.pop() ?? makeCopy();
      const mend = keep(folder, changes);
      const value = await use(folder);
      mend();
      // Where anything failed before this, nobody knows what the copy is like.
      free.push(folder);
      return value;
    },
    [Symbol.dispose]: () => rmSync(base, { recursive: true, force: true }),
  };
}

/** The tree as it is now. */
function copyTree(folder: string): void {
  const files = execFileSync(
    "git",
    ["ls-files", "-z", "--cached", "--others", "--exclude-standard"],
    { cwd: ROOT, encoding: "utf8", maxBuffer: 16 * 1024 * 1024 },
  ).split("\0");
  const folders = new Set<string>();
  for (const file of files) {
    const from = join(ROOT, file);
    // Listed and gone: deleted and not committed yet.
    if (file === "" || !existsSync(from)) continue;
    const to = join(folder, file);
    const parent = dirname(to);
    if (!folders.has(parent)) mkdirSync(parent, { recursive: true });
    folders.add(parent);
    cpSync(from, to);
    if (file.endsWith("/package.json")) linkPackages(dirname(from), dirname(to));
  }
  for (const linked of LINKED) {
    if (!existsSync(join(ROOT, linked))) continue;
    mkdirSync(dirname(join(folder, linked)), { recursive: true });
    symlinkSync(join(ROOT, linked), join(folder, linked));
  }
}

/** A workspace's own node_modules has nothing but relative links: each is right in the copy as it is. */
function linkPackages(from: string, to: string): void {
  const installed = join(from, "node_modules");
  if (!existsSync(installed)) return;
  for (const entry of readdirSync(installed)) {
    if (entry.startsWith(".")) continue;
    cpSync(join(installed, entry), join(to, "node_modules", entry), {
      recursive: true,
      verbatimSymlinks: true,
    });
  }
}

/** What to call to have these files of the copy as they are now. */
function keep(folder: string, files: readonly string[]): () => void {
  const kept = files.map((file) => {
    const path = join(folder, file);
    return { path, text: existsSync(path) ? readFileSync(path) : null };
  });
  return () => {
    for (const { path, text } of kept) {
      if (text === null) rmSync(path, { force: true });
      else writeFileSync(path, text);
    }
  };
}

/** Null where the patch was applied to the copy, else what git says. */
export function applyPatch(folder: string, patch: string): string | null {
  const { status, stderr } = spawnSync("git", ["apply", "--whitespace=nowarn", patch], {
    cwd: folder,
    encoding: "utf8",
    // The copy is no repository, and must not be taken for a part of one around it.
    env: { ...process.env, GIT_CEILING_DIRECTORIES: dirname(folder) },
  });
  return status === 0 ? null : stderr.trim();
}
