// Ids like S7, P14 or B8: none stands anywhere without its sentence in docs/dictionary.md.
import { globSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { readText } from "./architecture-source.ts";
import type { Rule, SourceFile } from "./architecture-source.ts";

/** What looks like an id and is none. */
export const noIds: Readonly<Record<string, string>> = {
  D3: "a library that draws charts",
  M1: "a move in the path of an SVG",
  P99: "a case that does not exist, asked for in a test",
  V1: "a mechanism, in tests of the page",
  V3: "a mechanism, in tests of the page",
  V8: "the JavaScript engine of Node",
  Z0: "part of A-Z0-9 in a regular expression",
};

/** Written by others, or by programs. */
const foreign =
  /(?:^|\/)node_modules$|^docs\/results$|^deploy\/grafana\/generated$|^tests\/deployment\/compose-spec$/;
const texts =
  "**/*.{ts,js,md,patch,json,yml,yaml,sql,lua,html,css,conf,properties,xml,jmx,ini},.ci/*,.env.example,deploy/Dockerfile";

/** All texts of the project, without the lockfile and without the planted ids of the architecture tests. */
export function readTexts(): readonly SourceFile[] {
  const cwd = fileURLToPath(new URL("..", import.meta.url));
  return globSync(`{${texts}}`, { cwd, exclude: (path) => foreign.test(path) })
    .map((path) => path.replaceAll("\\", "/"))
    .filter((path) => path !== "package-lock.json" && !path.startsWith("tests/architecture-ids"))
    .toSorted()
    .map((path) => ({ path, text: readText(path) }));
}

function idsIn(text: string): ReadonlySet<string> {
  // A percent-encoded byte, as in %E2%80%A8, is none.
  return new Set(text.replace(/%[0-9A-F]{2}/g, " ").match(/\b[A-Z]\d{1,2}\b/g) ?? []);
}

/** One sentence for each id that the dictionary lacks, and each file that uses it. */
export function unknownIds(known: ReadonlySet<string>): Rule {
  return (files) =>
    files.flatMap(({ path, text }) =>
      [...idsIn(text)]
        .filter((id) => !known.has(id) && noIds[id] === undefined)
        .map((id) => `${path} says ${id}, which docs/dictionary.md does not explain`),
    );
}

/** Exceptions that no text has any more. */
export const staleNoIds: Rule = (files) => {
  const used = new Set(files.flatMap(({ text }) => [...idsIn(text)]));
  return Object.keys(noIds).filter((id) => !used.has(id));
};

/** A document that uses ids leads to the dictionary: in its first lines, at the root anywhere. */
export const idsWithoutDictionary: Rule = (files) =>
  files
    .filter(({ path }) => /^(?!docs\/dictionary\.md$)[^.].*\.md$/.test(path))
    .filter(({ text }) => [...idsIn(text)].some((id) => noIds[id] === undefined))
    .filter(({ path, text }) => {
      const top = path.includes("/") ? text.split("\n").slice(0, LINES_AT_TOP).join("\n") : text;
      return !top.includes("dictionary.md");
    })
    .map(({ path }) => `${path} uses ids and does not link docs/dictionary.md at its top`);

const LINES_AT_TOP = 12;
