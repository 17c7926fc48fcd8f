// One name, one thing: what a package exports is declared nowhere else in packages/*/src.
import { codeOf } from "./architecture-source.ts";
import type { Rule } from "./architecture-source.ts";

/** Names that two packages may share, each with the reason. */
export const twinExceptions: Readonly<Record<string, string>> = {
  Measure:
    "the API draws what adapters measure; neither may import the other, serve.ts's types hold them equal",
  Role: "what a process does, read by the API's config; serve.ts's types hold both equal",
  ServedMechanism:
    "a mechanism as a package sees it served; serve.ts's types hold the wider one to the other",
};

type Declared = { readonly name: string; readonly path: string; readonly isExported: boolean };

/** Types, classes and functions at the top of a file; constants are their file's business. */
export function declaredIn(path: string, text: string): readonly Declared[] {
  const form =
    /^(?<exported>export )?(?:declare )?(?:async )?(?:abstract )?(?:type|interface|class|function\*?|enum) +(?<name>\w+)/gm;
  const all = Array.from(codeOf(text).matchAll(form), ({ groups }) => ({
    name: groups?.["name"] ?? "",
    path,
    isExported: groups?.["exported"] !== undefined,
  }));
  // The overloads of a function are one declaration.
  return [...new Map(all.map((one) => [one.name, one])).values()];
}

const sources = /^packages\/[^/]+\/src\//;

export const twinNames: Rule = (files) => {
  const declared = files
    .filter(({ path }) => sources.test(path))
    .flatMap(({ path, text }) => declaredIn(path, text));
  return [...Map.groupBy(declared, ({ name }) => name)]
    .filter(([name, same]) => same.length > 1 && twinExceptions[name] === undefined)
    .filter(([, same]) => same.some(({ isExported }) => isExported))
    .map(([name, same]) => `${name} means ${same.length} things: ${same.map(pathOf).join(", ")}`);
};

function pathOf({ path }: Declared): string {
  return path;
}

/** Exceptions whose twins are gone. */
export const staleTwinExceptions: Rule = (files) => {
  const declared = files
    .filter(({ path }) => sources.test(path))
    .flatMap(({ path, text }) => declaredIn(path, text));
  return Object.keys(twinExceptions).filter(
    (name) => declared.filter((one) => one.name === name).length < 2,
  );
};
