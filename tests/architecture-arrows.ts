// Who may import whom.
//
//   web --HTTP--> api --> domain <-- infrastructure        domain --> nothing
//                 api/src/serve.ts --> infrastructure       referee/src --> nothing of ours
import {
  codeOf,
  hiddenImportsOf,
  importsOf,
  isRelative,
  resolveRelative,
} from "./architecture-source.ts";
import type { Rule, SourceFile } from "./architecture-source.ts";

/** Part of the project, and what its files may import by name. The first that holds a file counts. */
type Zone = {
  readonly holds: RegExp;
  /** Names of packages; what is relative is the business of `relativeEscapes`. */
  readonly may: readonly RegExp[];
  readonly because: string;
};

const node = /^node:/;
const domain = /^@stampede\/domain$/;
/** The domain with its memory adapters and contract suites. */
const domainForTests = /^@stampede\/domain(?:\/memory|\/contracts)?$/;
/** The launcher's entry; the one of `testing` is for tests and proofs alone. */
const launcher = /^@stampede\/launcher$/;
const launcherForTests = /^@stampede\/launcher(?:\/testing)?$/;
const referee = /^@stampede\/referee$/;
/** Every id and its sentence. */
const dictionary = /^@stampede\/proof\/dictionary$/;
/** How the real program is started, and shopped at. */
const proofSupport = /^@stampede\/proof\/(?:faults\/)?support\//;
/** Anything from npm that is not ours; the package's own package.json says what there is. */
const npm = /^(?!node:|@stampede\/)/;

const zones: readonly Zone[] = [
  {
    holds: /^packages\/domain\/(?:src|memory)\//,
    may: [],
    because: "the domain depends on nothing: no Node, no npm package, no layer above it",
  },
  {
    holds: /^packages\/domain\/contracts\//,
    may: [node],
    because: "a contract suite runs wherever an adapter lives, so it brings nothing along",
  },
  {
    holds: /^packages\/domain\/test\//,
    may: [node, domainForTests, /^fast-check$/],
    because: "the domain is tested without any I/O",
  },
  {
    holds: /^packages\/infrastructure\/src\//,
    may: [node, npm, domain],
    because: "adapters know the domain's ports, and nothing of HTTP",
  },
  {
    holds: /^packages\/infrastructure\/test\//,
    may: [node, npm, domainForTests, launcherForTests],
    because: "adapters are tested without the layer above them",
  },
  {
    holds: /^packages\/api\/src\/serve\.ts$/,
    may: [node, npm, domain, /^@stampede\/infrastructure$/],
    because: "the composition root wires the published surfaces of both",
  },
  {
    holds: /^packages\/api\/src\//,
    may: [node, npm, domain],
    because: "serve.ts alone wires things together",
  },
  {
    holds: /^packages\/api\/test\//,
    may: [node, npm, domainForTests],
    because: "routes are tested on the memory adapters",
  },
  {
    holds: /^packages\/launcher\//,
    may: [node, npm],
    because: "the launcher knows the server by HTTP and the engines by their programs",
  },
  {
    holds: /^referee\/src\//,
    may: [node],
    because: "a referee that shares code with what it judges shares its mistakes",
  },
  {
    holds: /^referee\/test\//,
    may: [node, /^@stampede\/referee$/],
    because: "a referee that shares code with what it judges shares its mistakes",
  },
  {
    holds: /^lab\/test\//,
    may: [node, npm, domain, launcherForTests, referee, proofSupport, /^@stampede\/lab(?:\/\w+)?$/],
    because: "the lab is tested on a made-up shop and on the real program",
  },
  {
    holds: /^lab\//,
    may: [node, npm, launcher, referee],
    because: "the crowd knows the service by HTTP, and starts engines for it",
  },
  {
    holds: /^proof\/(?:simulation|orders|mutants)\//,
    may: [
      node,
      npm,
      domainForTests,
      launcherForTests,
      referee,
      /^@stampede\/infrastructure(?:$|\/)/,
    ],
    because:
      "what puts the adapters under a simulated engine, or takes their steps apart, sees inside",
  },
  {
    holds: /^proof\//,
    may: [
      node,
      npm,
      domainForTests,
      launcherForTests,
      referee,
      /^@stampede\/infrastructure$/,
      /^@stampede\/lab(?:\/\w+)?$/,
    ],
    because: "faults and bad inputs meet the service from outside",
  },
  {
    holds: /^tests\//,
    may: [
      node,
      npm,
      domainForTests,
      launcherForTests,
      referee,
      dictionary,
      proofSupport,
      /^@stampede\/infrastructure$/,
      /^@stampede\/lab(?:\/\w+)?$/,
    ],
    because: "whole-system tests know the service by HTTP",
  },
  {
    holds: /^deploy\/grafana\/dashboards\/mechanisms\.ts$/,
    may: [/^@stampede\/infrastructure$/],
    because: "which mechanisms there are stands in one list, and the dashboards iterate it",
  },
  {
    holds: /^deploy\//,
    may: [node, npm],
    because: "what surrounds the service knows its metrics by name, and none of its code",
  },
  {
    holds: /^web\/public\//,
    may: [],
    because: "a browser finds no packages",
  },
  {
    holds: /^(?:web\/(?:test|types)|scripts)\//,
    may: [node],
    because: "they run before or without anything installed",
  },
];

/** It requires the one built file of a library: the same as modules takes ten times as long to load. */
const hiddenByReason = new Set(["lab/report/chart.ts"]);

/** Imports by a package's name that point upwards, or to what a part of the project must not need. */
export const upwardImports: Rule = (files) =>
  files.flatMap((file) => {
    const zone = zones.find(({ holds }) => holds.test(file.path));
    if (zone === undefined) return [`${file.path} lies in no known part: add it to the zones`];
    const wrong = importsOf(file)
      .filter((name) => !isRelative(name))
      .filter((name) => !zone.may.some((allowed) => allowed.test(name)));
    return [
      ...wrong.map((name) => `${file.path} imports ${name}: ${zone.because}`),
      ...(hiddenByReason.has(file.path) ? [] : hiddenImportsOf(file)).map(
        (form) => `${file.path} imports by ${form}...: name the module as a literal`,
      ),
    ];
  });

/** Where the relative imports of a folder may lead. The first entry that fits a file counts. */
const homes: readonly { readonly holds: RegExp; readonly stays: RegExp }[] = [
  { holds: /^packages\/domain\/src\//, stays: /^packages\/domain\/src\// },
  { holds: /^packages\/domain\/memory\//, stays: /^packages\/domain\/(?:src|memory)\// },
  { holds: /^packages\/domain\/contracts\//, stays: /^packages\/domain\/(?:src|contracts)\// },
  { holds: /^packages\/domain\//, stays: /^packages\/domain\// },
  { holds: /^packages\/infrastructure\/src\//, stays: /^packages\/infrastructure\/src\// },
  { holds: /^packages\/infrastructure\//, stays: /^packages\/infrastructure\// },
  { holds: /^packages\/launcher\/src\//, stays: /^packages\/launcher\/src\// },
  { holds: /^packages\/launcher\//, stays: /^packages\/launcher\// },
  { holds: /^packages\/api\/src\//, stays: /^packages\/api\/src\// },
  { holds: /^packages\/api\//, stays: /^packages\/api\// },
  { holds: /^referee\/src\//, stays: /^referee\/src\// },
  { holds: /^referee\//, stays: /^referee\// },
  { holds: /^lab\/test\//, stays: /^lab\/test\// },
  { holds: /^lab\//, stays: /^lab\/(?!test\/)/ },
  { holds: /^proof\//, stays: /^proof\// },
  { holds: /^tests\//, stays: /^tests\// },
  // uPlot stands beside the page when it is served, from the package that serves it.
  { holds: /^web\/public\//, stays: /^web\/public\// },
  { holds: /^web\/types\//, stays: /^packages\/api\/node_modules\/uplot\// },
  { holds: /^web\//, stays: /^web\// },
  { holds: /^scripts\//, stays: /^scripts\// },
  { holds: /^deploy\//, stays: /^deploy\// },
];

/** Paths that leave the package they stand in, or its source for its tests. */
export const relativeEscapes: Rule = (files) =>
  files.flatMap((file) => {
    const home = homes.find(({ holds }) => holds.test(file.path));
    if (home === undefined) return [`${file.path} lies in no known folder: add it to the homes`];
    return importsOf(file)
      .filter(isRelative)
      .filter((name) => !home.stays.test(resolveRelative(file, name)))
      .map((name) => `${file.path} reaches ${name}: outside its package, or into its tests`);
  });

/**
 * Inside the infrastructure: an engine knows no coupon, the rows know no mechanism, and no mechanism
 * knows another. What stands at the top (the list, the foundation) knows all of them.
 */
export const roomsKeepApart: Rule = (files) => {
  const source = "packages/infrastructure/src/";
  const roomOf = (path: string): string => path.slice(source.length).split("/").at(0) ?? "";
  const isInRoom = (path: string): boolean => path.slice(source.length).includes("/");
  const may = (from: string, to: string): boolean => {
    if (from === to || to === "engines") return true;
    return from !== "engines" && (to === "rows" || (from !== "rows" && to === "mechanism.ts"));
  };
  return files
    .filter(({ path }) => path.startsWith(source) && isInRoom(path))
    .flatMap((file) =>
      importsOf(file)
        .filter(isRelative)
        .filter((name) => !may(roomOf(file.path), roomOf(resolveRelative(file, name))))
        .map((name) => `${file.path} imports ${name}: engines, rows and mechanisms stand apart`),
    );
};

/** Inside the domain: the model is the innermost, use cases are the outermost. */
export const modelIsInnermost: Rule = (files) => {
  const forbidden: readonly (readonly [RegExp, RegExp])[] = [
    [/^packages\/domain\/src\/model\//, /\/src\/(?:ports|index)\.ts$|\/src\/use-cases\//],
    [/^packages\/domain\/src\/[^/]+(?<!index)\.ts$/, /\/src\/index\.ts$|\/src\/use-cases\//],
  ];
  return files.flatMap((file) =>
    importsOf(file)
      .filter(isRelative)
      .filter((name) =>
        forbidden.some(
          ([from, to]) => from.test(file.path) && to.test(resolveRelative(file, name)),
        ),
      )
      .map((name) => `${file.path} imports ${name}: the model knows no ports and no use cases`),
  );
};

/** The referee and everything that it reaches. */
export const refereeIsIndependent: Rule = (files) => {
  const reached = new Map<string, SourceFile>();
  const reach = (file: SourceFile): void => {
    if (reached.has(file.path)) return;
    reached.set(file.path, file);
    for (const name of importsOf(file).filter(isRelative)) {
      const next = files.find(({ path }) => path === resolveRelative(file, name));
      if (next !== undefined) reach(next);
    }
  };
  files.filter(({ path }) => path.startsWith("referee/src/")).forEach(reach);
  return [...reached.values()].flatMap((file) =>
    importsOf(file)
      .filter(
        (name) =>
          name.startsWith("@stampede/") || resolveRelative(file, name).startsWith("packages/"),
      )
      .map((name) => `${file.path} is part of the referee and imports ${name}`),
  );
};

/** Names that Node or a browser adds to the language, and the two of the language that are I/O. */
const impureNames =
  "process|Buffer|global|globalThis|require|module|__dirname|__filename|NodeJS|" +
  "setTimeout|setInterval|setImmediate|clearTimeout|clearInterval|queueMicrotask|" +
  "performance|crypto|fetch|console|navigator|structuredClone|URL|URLSearchParams|" +
  "TextEncoder|TextDecoder|AbortController|AbortSignal|EventTarget|WebSocket|EventSource|" +
  "Worker|Blob|Headers|Request|Response|window|document|localStorage|sessionStorage|location|" +
  "Date|Intl";

/** Time, randomness and I/O in the domain: all of them are arguments there. */
export const impureDomain: Rule = (files) => {
  // Not a property (`.fetch`, `fetch:`; a spread is none), and not a part of a word.
  const global = new RegExp(`(?<![\\w$]|(?<!\\.\\.)\\.)(?:${impureNames})(?![\\w$]|\\??:)`, "g");
  const other = /\bMath\s*\.\s*random\b|\bimport\.meta\b/g;
  return files
    .filter(({ path }) => /^packages\/domain\/(?:src|memory)\//.test(path))
    .flatMap((file) => {
      const code = codeOf(file.text)
        .replace(/"(?:\\.|[^"\\\n])*"/g, '""')
        .replace(/\s\/\/ .*$/gm, "");
      const names = [...code.matchAll(global), ...code.matchAll(other)].map(([name]) => name);
      return [...new Set(names)].map(
        (name) =>
          `${file.path} names ${name}: time, randomness and I/O are arguments in the domain`,
      );
    });
};
