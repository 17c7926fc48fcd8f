// What the rules of the architecture see: files as { path, text }, read from the project or planted
// by a test. TypeScript 7 offers its parser under "unstable" only, so imports are found by regular
// expressions; they would rather see one import too many (in a string) than miss one.
import { globSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { fileURLToPath } from "node:url";

/** `path` is relative to the project's root, with forward slashes. */
export type SourceFile = { readonly path: string; readonly text: string };

/** A rule gives one sentence for each violation. */
export type Rule = (files: readonly SourceFile[]) => readonly string[];

const root = fileURLToPath(new URL("..", import.meta.url));
const folders = ["packages", "referee", "lab", "proof", "tests", "web", "scripts", "deploy"];

/**
 * All code of the project, without what npm installed, and without the files of this very test: in
 * them, violations stand as text.
 */
export function readProject(): readonly SourceFile[] {
  return globSync(`{${folders.join(",")}}/**/*.{ts,js}`, {
    cwd: root,
    // Not walked at all: the packages in it are links to each other, without an end.
    exclude: (path) => path.endsWith("node_modules"),
  })
    .map((path) => path.replaceAll("\\", "/"))
    .filter((path) => !/^tests\/architecture[^/]*\.ts$/.test(path))
    .toSorted((a, b) => a.localeCompare(b))
    .map((path) => ({ path, text: readText(path) }));
}

/** One file of the project as it stands, for example a package.json. */
export function readText(path: string): string {
  return readFileSync(join(root, path), "utf8");
}

/** The text without comments that begin a line (the formatter puts nearly all of them there). */
export function codeOf(text: string): string {
  return text.replace(/^[ \t]*\/\*[\s\S]*?\*\//gm, "").replace(/^[ \t]*\/\/.*$/gm, "");
}

/** What a file imports or re-exports, types included, as it is written. */
export function importsOf(file: SourceFile): readonly string[] {
  const code = codeOf(file.text);
  const forms = [
    /\bfrom\s*(["'])(?<name>[^"'\n]+)\1/g,
    /\bimport\s*(["'])(?<name>[^"'\n]+)\1/g,
    /\b(?:import|require|import\.meta\.resolve)\s*\(\s*(["'`])(?<name>[^"'`\n]+)\1/g,
  ];
  const names = forms.flatMap((form) =>
    Array.from(code.matchAll(form), (match) => match.groups?.["name"] ?? ""),
  );
  return [...new Set(names)];
}

/** Imports whose target only running the program would tell: no rule could judge them. */
export function hiddenImportsOf(file: SourceFile): readonly string[] {
  const code = codeOf(file.text);
  const forms = /\b(?:import|require)\s*\(\s*(?!["'`)])|\bcreateRequire\b|\bgetBuiltinModule\b/g;
  return Array.from(code.matchAll(forms), ([form]) => form.trim());
}

export function isRelative(name: string): boolean {
  return name.startsWith(".") || name.startsWith("/") || name.startsWith("file:");
}

/** The path in the project that a relative import means; an absolute one lies in no project. */
export function resolveRelative(file: SourceFile, name: string): string {
  if (!name.startsWith(".")) return name;
  return posix.normalize(posix.join(posix.dirname(file.path), name));
}
