// The architecture, read from the source. Each rule is a function over files, so that it is first
// seen to fail on planted violations (a check that cannot fail is a defect) and then applied to the
// project as it stands.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  impureDomain,
  modelIsInnermost,
  refereeIsIndependent,
  relativeEscapes,
  upwardImports,
} from "./architecture-arrows.ts";
import {
  readsEnvironment,
  staleEnvironmentReaders,
  strayDependencies,
} from "./architecture-environment.ts";
import { breaks, file, keeps } from "./architecture-planting.ts";
import { importsOf, readProject, readText } from "./architecture-source.ts";

const project = readProject();

const domainFile = "packages/domain/src/model/claim.ts";

describe("an import", () => {
  test("is seen in every form in which it can be written", () => {
    const text = [
      'import pg from "pg";',
      "import 'single';",
      'import type { A } from "types";',
      'import {\n  one,\n  two,\n} from\n  "lines";',
      'export * from "star";',
      'export type { B } from "again";',
      'import * as all from "all";',
      'const late = await import("late");',
      "const quoted = await import(`quoted`);",
      'const old = require("old");',
      'type C = import("inline").C;',
      '/* a remark */ import "after-remark";',
      'import x, { y } from"tight";',
    ].join("\n");
    const names = ["pg", "single", "types", "lines", "star", "again", "all"];
    const others = ["late", "quoted", "old", "inline", "after-remark", "tight"];
    assert.deepEqual(
      [...importsOf(file("a.ts", text))].toSorted(),
      [...names, ...others].toSorted(),
    );
  });

  test("in a comment is none", () => {
    const text = '// import "pg";\n/**\n * import { a } from "redis";\n */\n  // from "kafka"\n';
    assert.deepEqual(importsOf(file("a.ts", text)), []);
  });
});

describe("the arrows between packages", () => {
  test("fail on a domain that imports anything at all", () => {
    breaks(
      upwardImports,
      domainFile,
      'import "@stampede/infrastructure";',
      'import type { Postgres } from "@stampede/infrastructure";',
      'import { buildApp } from "@stampede/api";',
      'import { memorySale } from "@stampede/domain/memory";',
      'import pg from "pg";',
      'import fs from "node:fs";',
      'import fs from "fs";',
      'export * from "fast-check";',
      'const late = import("pg");',
      "const hidden = import(name);",
      'const hidden = import(/* which? */ "pg");',
      'const hidden = process.getBuiltinModule("fs");',
    );
    breaks(
      upwardImports,
      "packages/domain/memory/sale.ts",
      'import { randomBytes } from "node:crypto";',
    );
    breaks(upwardImports, "packages/domain/contracts/settle.ts", 'import fc from "fast-check";');
    breaks(upwardImports, "packages/domain/test/a.test.ts", 'import "@stampede/infrastructure";');
    keeps(upwardImports, domainFile, 'import { ok } from "../result.ts";');
    keeps(upwardImports, "packages/domain/contracts/settle.ts", 'import test from "node:test";');
  });

  test("fail on an infrastructure that imports the API, or the domain's test suites", () => {
    breaks(
      upwardImports,
      "packages/infrastructure/src/engines/redis/open.ts",
      'import { buildApp } from "@stampede/api";',
      'import { settle } from "@stampede/domain/contracts";',
      'import { memorySale } from "@stampede/domain/memory";',
    );
    breaks(upwardImports, "packages/infrastructure/test/a.test.ts", 'import "@stampede/api";');
    keeps(
      upwardImports,
      "packages/infrastructure/src/engines/redis/open.ts",
      'import { EngineFault } from "@stampede/domain";\nimport { createClient } from "redis";',
    );
  });

  test("fail on an API that imports the infrastructure anywhere but in serve.ts", () => {
    const wiring = 'import * as infrastructure from "@stampede/infrastructure";';
    breaks(upwardImports, "packages/api/src/app.ts", wiring);
    breaks(upwardImports, "packages/api/src/routes/serve.ts", wiring);
    breaks(upwardImports, "packages/api/test/app.test.ts", wiring);
    keeps(upwardImports, "packages/api/src/serve.ts", wiring);
    breaks(
      upwardImports,
      "packages/api/src/serve.ts",
      'import { startRedis } from "@stampede/launcher";',
      'import { memorySale } from "@stampede/domain/memory";',
    );
  });

  test("fail on a crowd, a test or a page that reaches into the service", () => {
    breaks(upwardImports, "lab/crowd/crowd.ts", 'import "@stampede/infrastructure";');
    breaks(upwardImports, "tests/page/page.test.ts", 'import "@stampede/api";');
    breaks(upwardImports, "web/public/app.js", 'import "@stampede/domain";');
    breaks(upwardImports, "scripts/install.js", 'import pg from "pg";');
    keeps(upwardImports, "lab/crowd/shop.ts", 'import "@stampede/launcher";');
  });

  test("fail on a file in a part of the project that nobody has named", () => {
    breaks(upwardImports, "packages/shared/src/index.ts", "export const a = 1;");
    breaks(relativeEscapes, "packages/shared/src/index.ts", "export const a = 1;");
  });

  test("hold in the project", () => {
    assert.deepEqual(upwardImports(project), []);
  });
});

describe("a relative import", () => {
  test("fails where it leaves its package", () => {
    breaks(
      relativeEscapes,
      domainFile,
      'import { drawCode } from "../../../infrastructure/src/codes.ts";',
      'export * from "../../../../lab/crowd/verdict.ts";',
      'const late = import("../../../infrastructure/src/codes.ts");',
      'import pg from "../../../../node_modules/pg/lib/index.js";',
      'import "/etc/odd.js";',
    );
    breaks(relativeEscapes, "lab/crowd/verdict.ts", 'import "../../packages/domain/src/ids.ts";');
    breaks(relativeEscapes, "tests/page/a.test.ts", 'import "../../packages/api/src/app.ts";');
    breaks(
      relativeEscapes,
      "packages/api/src/serve.ts",
      'import "../../infrastructure/src/index.ts";',
    );
    breaks(relativeEscapes, "web/public/app.js", 'import "../../packages/domain/src/ids.ts";');
  });

  test("fails where source leans on its tests, or the domain on its memory adapters", () => {
    breaks(relativeEscapes, "packages/domain/src/index.ts", 'export * from "../memory/index.ts";');
    breaks(relativeEscapes, "packages/domain/memory/sale.ts", 'import "../contracts/index.ts";');
    breaks(relativeEscapes, "packages/api/src/app.ts", 'import "../test/support/app.ts";');
    keeps(relativeEscapes, "packages/domain/memory/sale.ts", 'import "../src/ports.ts";');
    keeps(relativeEscapes, "packages/api/test/app.test.ts", 'import "../src/app.ts";');
  });

  test("stays at home in the project", () => {
    assert.deepEqual(relativeEscapes(project), []);
  });
});

describe("inside the domain", () => {
  test("a model that imports ports, use cases or the index fails", () => {
    breaks(
      modelIsInnermost,
      domainFile,
      'import type { CouponIssuer } from "../ports.ts";',
      'import { claimCoupon } from "../use-cases/claim-coupon.ts";',
      'import { ok } from "../index.ts";',
    );
    breaks(
      modelIsInnermost,
      "packages/domain/src/ports.ts",
      'import "./use-cases/claim-coupon.ts";',
    );
    keeps(modelIsInnermost, domainFile, 'import { ok } from "../result.ts";');
    keeps(modelIsInnermost, "packages/domain/src/index.ts", 'export * from "./use-cases/a.ts";');
    assert.deepEqual(modelIsInnermost(project), []);
  });

  test("a name of Node, of a browser, of a clock or of chance fails", () => {
    breaks(
      impureDomain,
      domainFile,
      "const now = Date.now();",
      "const now = new Date();",
      "const luck = Math.random();",
      "const id = crypto.randomUUID();",
      'const port = process.env["PORT"];',
      "const port = globalThis.process;",
      "setTimeout(() => undefined, 1);",
      "await fetch(address);",
      "const bytes = Buffer.alloc(1);",
      "const started = performance.now();",
      "console.log(1);",
      "const text = `${Date.now()}`;",
      "document.title = text;",
      "let timer: NodeJS.Timeout;",
      "const here = import.meta.url;",
      "return [...list, process];",
      "return { ...process };",
      "return -performance.now();",
    );
    keeps(
      impureDomain,
      domainFile,
      "// Date.now() would read a clock.",
      "const decided = 1; // not Date.now()",
      "const facts = { process: 1, document: 2 };",
      "store.fetch(facts.process);",
      'const kind = "document";',
      'throw new Error("the process is gone: call fetch later");',
      "const processed = isDate(updateDate);",
    );
    assert.deepEqual(impureDomain(project), []);
  });
});

describe("the referee", () => {
  test("fails where it, or anything that it reaches, imports the code that it judges", () => {
    const wrong = [
      'import type { CouponIssue } from "@stampede/domain";',
      'import "@stampede/infrastructure";',
      'import "../../packages/domain/src/index.ts";',
    ];
    breaks(refereeIsIndependent, "referee/src/judge.ts", ...wrong);
    breaks(upwardImports, "referee/src/judge.ts", ...wrong.slice(0, 2), 'import "pg";');
    breaks(
      relativeEscapes,
      "referee/src/judge.ts",
      wrong[2]!,
      'import "../../lab/crowd/history.ts";',
    );
    const through = [
      file("referee/src/judge.ts", 'import "./run.ts";'),
      file("referee/src/run.ts", 'import "./names.ts";'),
      file("referee/src/names.ts", 'import { parseUserId } from "@stampede/domain";'),
    ];
    assert.deepEqual(refereeIsIndependent(through), [
      "referee/src/names.ts is part of the referee and imports @stampede/domain",
    ]);
    keeps(refereeIsIndependent, "lab/crowd/shop.ts", 'import "@stampede/launcher";');
  });

  test("is independent in the project", () => {
    assert.ok(project.some(({ path }) => path === "referee/src/judge.ts"));
    assert.deepEqual(refereeIsIndependent(project), []);
  });
});

describe("the environment", () => {
  test("is read nowhere but in the places that are named", () => {
    breaks(
      readsEnvironment,
      "packages/infrastructure/src/engines/redis/open.ts",
      'const url = process.env["REDIS_URL"];',
      "const { env } = process;",
      "const { pid, env: all } = process;",
      'import { env } from "node:process";',
      'const url = process["env"].REDIS_URL;',
      "const url = process?.env.REDIS_URL;",
    );
    breaks(readsEnvironment, "packages/api/src/routes/config.ts", "readConfig(process.env);");
    keeps(readsEnvironment, "packages/api/src/config.ts", "readConfig(process.env);");
    keeps(readsEnvironment, "packages/api/src/app.ts", "// process.env is read by config.ts");
    assert.deepEqual(readsEnvironment(project), []);
  });

  test("is still read by each of the places that are named", () => {
    assert.ok(staleEnvironmentReaders([]).length > 0);
    assert.deepEqual(staleEnvironmentReaders(project), []);
  });
});

describe("the dependencies", () => {
  const manifests = [
    "package.json",
    "packages/domain/package.json",
    "packages/infrastructure/package.json",
  ];

  test("fail where the root, the domain or the infrastructure depends on what it must not see", () => {
    breaks(
      strayDependencies,
      "package.json",
      '{ "dependencies": { "pg": "1.0.0" } }',
      '{ "devDependencies": { "typescript": "7.0.2", "fast-check": "4.0.0" } }',
      '{ "optionalDependencies": { "redis": "6.0.0" } }',
    );
    breaks(
      strayDependencies,
      "packages/domain/package.json",
      '{ "dependencies": { "pg": "1.0.0" } }',
      '{ "devDependencies": { "@stampede/infrastructure": "0.1.0" } }',
    );
    breaks(
      strayDependencies,
      "packages/infrastructure/package.json",
      '{ "dependencies": { "@stampede/domain": "0.1.0", "@stampede/api": "0.1.0" } }',
    );
    keeps(strayDependencies, "package.json", '{ "devDependencies": { "typescript": "7.0.2" } }');
  });

  test("are tools only at the root, none in the domain, and installed apart from each other", () => {
    assert.deepEqual(strayDependencies(manifests.map((path) => file(path, readText(path)))), []);
    assert.match(readText(".npmrc"), /^install-strategy=linked$/m);
  });
});
