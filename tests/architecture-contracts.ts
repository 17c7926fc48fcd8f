// Every port has a contract suite, and every adapter of it runs the suite.
//
// Found by reading: a port is an interface in ports.ts; an adapter is an exported function whose
// declared return type is a port, or a type that extends one (the linter makes exports declare it),
// or a class that implements one. It runs the contract where a *.contract.test.ts calls the suite
// and uses the adapter, itself or in the helpers that it imports.
import { codeOf, importsOf, isRelative, resolveRelative } from "./architecture-source.ts";
import type { Rule, SourceFile } from "./architecture-source.ts";

const portsPath = "packages/domain/src/ports.ts";
const contractsPath = "packages/domain/contracts/index.ts";
const adapterPaths = /^packages\/(?:infrastructure\/src|domain\/memory)\//;
/** What a contract test may go through on its way to an adapter: never the adapters' own imports. */
const helperPaths = /^packages\/(?:[^/]+\/test|domain\/memory)\//;

/** Adapters that cannot keep the whole of their port's contract, and why. */
export const contractExceptions: Readonly<Record<string, string>> = {
  engineOffIssuer:
    "stands for a mechanism whose engine is off: it takes no claim at all, which is its purpose",
};

export type Adapter = { readonly name: string; readonly port: string; readonly path: string };

function textOf(files: readonly SourceFile[], path: string): string {
  return codeOf(files.find((file) => file.path === path)?.text ?? "");
}

export function portsOf(files: readonly SourceFile[]): readonly string[] {
  const interfaces = textOf(files, portsPath).matchAll(/^export interface (?<name>\w+)/gm);
  return Array.from(interfaces, (match) => match.groups?.["name"] ?? "");
}

function contractOf(port: string): string {
  return `${port.charAt(0).toLowerCase()}${port.slice(1)}Contract`;
}

export const portsWithoutContract: Rule = (files) => {
  const published = textOf(files, contractsPath);
  const ports = portsOf(files);
  if (ports.length === 0) return [`${portsPath} holds no port: the rule looks in the wrong place`];
  return ports
    .filter((port) => {
      const contract = contractOf(port);
      const isDefined = files.some(
        ({ path, text }) =>
          /^packages\/domain\/contracts\/[^/]+\.contract\.ts$/.test(path) &&
          codeOf(text).includes(`export function ${contract}(`),
      );
      return !isDefined || !new RegExp(`\\b${contract}\\b`).test(published);
    })
    .map((port) => `${port} has no contract: export ${contractOf(port)} from ${contractsPath}`);
};

/** Types that are a port with more: `type X = Port & {...}`, `interface X extends Port`, `type X = Port`. */
function portOfType(files: readonly SourceFile[]): ReadonlyMap<string, string> {
  const known = new Map(portsOf(files).map((port) => [port, port]));
  const code = files.filter(({ path }) => adapterPaths.test(path)).map(({ text }) => codeOf(text));
  const forms = /\b(?:type (?<alias>\w+)\s*=|interface (?<child>\w+)\s+extends)(?<rest>[^;{]*)/g;
  const declared = code.flatMap((text) => [...text.matchAll(forms)]);
  // Again for each type there is: an alias of an alias may come before what it means.
  for (let round = 0; round <= declared.length; round += 1) {
    const before = known.size;
    for (const { groups } of declared) {
      const port = namedIn(groups?.["rest"] ?? "", known);
      if (port !== null) known.set(groups?.["alias"] ?? groups?.["child"] ?? "", port);
    }
    if (known.size === before) break;
  }
  return known;
}

/** The port that a type's text names as a whole; `CouponIssuer["claim"]` is only a part of one. */
function namedIn(type: string, known: ReadonlyMap<string, string>): string | null {
  for (const match of type.matchAll(/\b(?<name>\w+)\b(?!\s*\[)/g)) {
    const port = known.get(match.groups?.["name"] ?? "");
    if (port !== undefined) return port;
  }
  return null;
}

export function adaptersOf(files: readonly SourceFile[]): readonly Adapter[] {
  const known = portOfType(files);
  return files
    .filter(({ path }) => adapterPaths.test(path))
    .flatMap(({ path, text }) => {
      const code = codeOf(text);
      return exportsOf(code).flatMap(({ name, type }) => {
        const port = namedIn(type, known);
        return port === null ? [] : [{ name, port, path }];
      });
    });
}

/** Exported functions, constants and classes, each with the type that it declares to give. */
function exportsOf(code: string): readonly { readonly name: string; readonly type: string }[] {
  const functions = /^export (?:async )?function (?<name>\w+)/gm;
  const constants = /^export const (?<name>\w+)(?<rest>[^=]*=\s*(?:async\s*)?)/gm;
  const classes = /^export class (?<name>\w+)[^{]*?\bimplements\b(?<type>[^{]*)/gm;
  return [
    ...Array.from(code.matchAll(functions), (match) => ({
      name: match.groups?.["name"] ?? "",
      type: returnTypeAfter(code.slice(match.index + match[0].length)),
    })),
    ...Array.from(code.matchAll(constants), (match) => {
      const after = code.slice(match.index + match[0].length);
      const type = match.groups?.["rest"] ?? "";
      return {
        name: match.groups?.["name"] ?? "",
        type: /^[(<]/.test(after) ? `${type} ${returnTypeAfter(after)}` : type,
      };
    }),
    ...Array.from(code.matchAll(classes), (match) => ({
      name: match.groups?.["name"] ?? "",
      type: match.groups?.["type"] ?? "",
    })),
  ];
}

/** The declared return type of a function whose parameters come next: up to its body. */
function returnTypeAfter(code: string): string {
  const end = endOfBrackets(code, code.indexOf("("));
  const after = /^\s*:\s*/.exec(code.slice(end));
  if (after === null) return "";
  let index = end + after[0].length;
  const start = index;
  while (index < code.length) {
    const character = code.charAt(index);
    const before = code.slice(start, index).trimEnd();
    // A brace is an object type where a type is due, and the body anywhere else.
    if (character === "{" && before !== "" && !/[&|]$/.test(before)) break;
    if (code.startsWith("=>", index)) break;
    index = /[({<[]/.test(character) ? endOfBrackets(code, index) : index + 1;
  }
  return code.slice(start, index);
}

/** The index after the bracket that closes the one at `start`. The `>` of an arrow closes nothing. */
function endOfBrackets(code: string, start: number): number {
  let depth = 0;
  for (let index = start; index < code.length; index += 1) {
    const character = code.charAt(index);
    if (/[({<[]/.test(character)) depth += 1;
    if (/[)}\]]/.test(character) || (character === ">" && code.charAt(index - 1) !== "="))
      depth -= 1;
    if (depth === 0) return index + 1;
  }
  return code.length;
}

/** A contract test and the helpers that it reaches, without the adapters themselves. */
function reachedFrom(files: readonly SourceFile[], start: SourceFile): readonly SourceFile[] {
  const reached = new Map([[start.path, start]]);
  for (const file of reached.values()) {
    for (const name of importsOf(file)) {
      const path =
        name === "@stampede/domain/memory"
          ? "packages/domain/memory/index.ts"
          : isRelative(name) && resolveRelative(file, name);
      const next = files.find((other) => other.path === path);
      if (next !== undefined && helperPaths.test(next.path)) reached.set(next.path, next);
    }
  }
  return [...reached.values()];
}

/** Imports the name from the adapter's file and uses it. */
function uses(file: SourceFile, adapter: Adapter): boolean {
  const code = codeOf(file.text);
  const imports = new RegExp(
    `^import (?!type\\b)[^;]*\\b${adapter.name}\\b[^;]*from\\s*["'](?<from>[^"']+)["']`,
    "gm",
  );
  const isImported = Array.from(code.matchAll(imports)).some(
    (match) => resolveRelative(file, match.groups?.["from"] ?? "") === adapter.path,
  );
  return isImported && new RegExp(`\\b${adapter.name}\\s*\\(`).test(code);
}

function runsContract(files: readonly SourceFile[], adapter: Adapter): boolean {
  const call = new RegExp(`\\b${contractOf(adapter.port)}\\s*\\(`);
  return files
    .filter(({ path }) => /^packages\/[^/]+\/test\/.*\.contract\.test\.ts$/.test(path))
    .filter(({ text }) => call.test(codeOf(text)))
    .some((test) => reachedFrom(files, test).some((file) => uses(file, adapter)));
}

export const adaptersWithoutContract: Rule = (files) =>
  adaptersOf(files)
    .filter(({ name }) => contractExceptions[name] === undefined)
    .filter((adapter) => !runsContract(files, adapter))
    .map(
      ({ name, port, path }) =>
        `${name} (${path}) is a ${port} and runs no contract: ` +
        `call ${contractOf(port)} with it in a *.contract.test.ts`,
    );

/** An exception whose adapter is gone, or keeps the contract after all, would hide the next one. */
export const staleContractExceptions: Rule = (files) =>
  Object.keys(contractExceptions).flatMap((name) => {
    const adapter = adaptersOf(files).find((one) => one.name === name);
    if (adapter === undefined)
      return [`${name} is excused from a contract, and there is no such adapter`];
    return runsContract(files, adapter) ? [`${name} runs its contract: excuse it no longer`] : [];
  });
