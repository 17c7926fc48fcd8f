// Names that mean two things; first on planted files, then on the project as it stands.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  declaredIn,
  staleTwinExceptions,
  twinExceptions,
  twinNames,
} from "./architecture-names.ts";
import { file } from "./architecture-planting.ts";
import { readProject } from "./architecture-source.ts";

const project = readProject();

const domain = (text: string) => file("packages/domain/src/line.ts", text);
const adapter = (text: string) => file("packages/infrastructure/src/row-lock/line.ts", text);

describe("an exported name", () => {
  test("is found in every form in which it can be declared", () => {
    const forms = [
      "export type Line = string;",
      "export interface Line {",
      "export class Line {",
      "export abstract class Line {",
      "export function Line(): void {",
      "export async function Line(): Promise<void> {",
      "export function* Line() {",
    ];
    for (const form of forms) {
      assert.deepEqual(declaredIn("a.ts", form), [
        { name: "Line", path: "a.ts", isExported: true },
      ]);
    }
    assert.deepEqual(
      declaredIn("a.ts", "// export type Line = string;\n  type Line = string;"),
      [],
    );
  });

  test("fails where another type, class or function has it, exported or not", () => {
    const exported = domain("export type Line = string;");
    assert.deepEqual(twinNames([exported, adapter("export class Line {}")]), [
      "Line means 2 things: packages/domain/src/line.ts, packages/infrastructure/src/row-lock/line.ts",
    ]);
    assert.equal(twinNames([exported, adapter("function Line(): void {}")]).length, 1);
    assert.equal(twinNames([exported, domain("type Line = 1;")]).length, 1);
  });

  test("may stand in a test, be imported, and be overloaded", () => {
    const exported = domain("export function line(a: 1): 1;\nexport function line(a: 2): 2;");
    assert.deepEqual(twinNames([exported]), []);
    assert.deepEqual(
      twinNames([exported, file("packages/api/test/a.test.ts", "function line() {}")]),
      [],
    );
    assert.deepEqual(
      twinNames([exported, adapter('export { line } from "@stampede/domain";')]),
      [],
    );
    assert.deepEqual(twinNames([domain("type A = 1;"), adapter("type A = 2;")]), []);
  });

  test("may be shared only where it is named with its reason, and only while it is", () => {
    const twins = [domain("export type Measure = 1;"), adapter("export type Measure = 1;")];
    assert.deepEqual(twinNames(twins), []);
    assert.deepEqual(staleTwinExceptions([]), Object.keys(twinExceptions));
    assert.deepEqual(staleTwinExceptions(project), []);
  });

  test("means one thing in the project", () => {
    assert.deepEqual(twinNames(project), []);
  });
});
