// The rooms of the infrastructure, and circles of imports anywhere: first on planted files, then on the
// project as it stands.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { roomsKeepApart } from "./architecture-arrows.ts";
import { importCycles } from "./architecture-cycles.ts";
import { breaks, file, keeps } from "./architecture-planting.ts";
import { readProject } from "./architecture-source.ts";

const project = readProject();

describe("inside the infrastructure", () => {
  const source = "packages/infrastructure/src";

  test("an engine that knows a row or a mechanism fails", () => {
    const file = `${source}/engines/redis/open.ts`;
    breaks(
      roomsKeepApart,
      file,
      'import { keysOf } from "../../redis-counter/scripts.ts";',
      'import type { EventDirectory } from "../../rows/event-directory.ts";',
      'import type { Foundation } from "../../foundation.ts";',
    );
    keeps(roomsKeepApart, file, 'import type { Time } from "../time.ts";');
  });

  test("rows that know a mechanism fail, and a mechanism that knows another", () => {
    breaks(
      roomsKeepApart,
      `${source}/rows/status.ts`,
      'import { Decider } from "../kafka-queue/decider/decider.ts";',
      'import type { MechanismDescription } from "../mechanism.ts";',
    );
    const file = `${source}/kafka-queue/door/claim-line.ts`;
    breaks(
      roomsKeepApart,
      file,
      'import { Generations } from "../../redis-counter/generations.ts";',
      'import { mechanisms } from "../../mechanisms.ts";',
    );
    keeps(
      roomsKeepApart,
      file,
      'import type { Halts } from "../halts.ts";',
      'import type { Time } from "../../engines/time.ts";',
      'import { statusByRows } from "../../rows/status.ts";',
      'import type { OpenMechanism } from "../../mechanism.ts";',
    );
  });

  test("every room stands apart in the project", () => {
    assert.deepEqual(roomsKeepApart(project), []);
  });
});

describe("a circle of imports", () => {
  test("fails, also one of types alone, and is told once", () => {
    const files = [
      file("packages/api/src/app.ts", 'import { a } from "./routes/a.ts";'),
      file("packages/api/src/routes/a.ts", 'import type { D } from "../b.ts";'),
      file("packages/api/src/b.ts", 'export * from "./app.ts";'),
      file("packages/api/src/main.ts", 'import { buildApp } from "./app.ts";'),
    ];
    assert.equal(importCycles(files).length, 1);
    assert.deepEqual(importCycles(files.slice(0, 2)), []);
  });

  test("is nowhere in the project", () => {
    // A fault case names the type of its course, and a course that of the stage where cases play.
    const others = project.filter(({ path }) => !path.startsWith("proof/faults/"));
    assert.deepEqual(importCycles(others), []);
  });
});

test("serve.ts wires and does nothing else: it has fewer than 120 lines", () => {
  const root = project.find(({ path }) => path === "packages/api/src/serve.ts");
  assert.ok((root?.text.trimEnd().split("\n").length ?? Infinity) < 120);
});
