// Files that need each other in a circle are one file in several: none can be read, or moved, alone.
import { importsOf, isRelative, resolveRelative } from "./architecture-source.ts";
import type { Rule } from "./architecture-source.ts";

/** Circles of relative imports, those of types alone included; each is told once. */
export const importCycles: Rule = (files) => {
  const imports = new Map(
    files.map((file) => [
      file.path,
      importsOf(file)
        .filter(isRelative)
        .map((name) => resolveRelative(file, name)),
    ]),
  );
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (path: string, way: readonly string[]): void => {
    const start = way.indexOf(path);
    if (start !== -1) cycles.push([...way.slice(start), path].join(" -> "));
    if (start !== -1 || done.has(path)) return;
    for (const next of imports.get(path) ?? []) visit(next, [...way, path]);
    done.add(path);
  };
  for (const path of imports.keys()) visit(path, []);
  return cycles;
};
