// The judge of planted bugs is code under test: whatever else than its bug turns a check red, or keeps
// it green, must not count as found. Each case is B30, with one thing about it spoiled.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { bugOf, PATCHES, readBugs } from "./bugs.ts";
import type { PlantedBug } from "./bugs.ts";
import { prove, proveGreen } from "./prove.ts";

const patch = "B30-guaranteed-at-the-limit.patch";
const text = readFileSync(join(PATCHES, patch), "utf8");
const bug = readBugs().find((planted) => planted.patch === patch)!;

describe("a planted bug", () => {
  test("is found where its patch turns its check red for its reason", async (t) => {
    assert.equal(await missedBy(t, bug), null);
  });

  const spoiled: readonly [string, Partial<PlantedBug>, RegExp][] = [
    ["whose check is red for another reason", { because: /^nothing says this$/ }, /another reason/],
    ["whose check stays green", { test: "is nobody once the record is decided" }, /stays green/],
    ["whose check is no test", { test: "nobody wrote this" }, /did not run/],
    ["whose check is in no file", { file: "tests/nowhere.test.ts" }, /did not run/],
  ];
  for (const [name, change, reason] of spoiled) {
    test(`${name} is missed`, async (t) => {
      assert.match((await missedBy(t, { ...bug, ...change })) ?? "found", reason);
    });
  }

  test("whose patch does not fit the code any more is missed", async (t) => {
    const other = write(t, text.replaceAll("return ticket < limit;", "return limit > ticket;"));
    assert.match((await missedBy(t, { ...bug, patch: other })) ?? "found", /does not apply/);
  });

  test("whose patch breaks the build instead is missed", async (t) => {
    const other = write(t, text.replace("+  return ticket <= limit;", "+  return ticket <=;"));
    assert.match((await missedBy(t, { ...bug, patch: other })) ?? "found", /did not run.*Syntax/s);
  });

  test("is not looked for with a check that is red, or not there, without it", async (t) => {
    const running = { environment: process.env, signal: t.signal, lanes: 1 };
    assert.deepEqual(await proveGreen([bug], running), []);
    const absent = await proveGreen([{ ...bug, test: "nobody wrote this" }], running);
    assert.match(absent.join(), /did not run/);
  });

  test("has a head with its sentence and its check", () => {
    for (const line of ["Check: ", "Test: ", "Because: ", "A ticket that"]) {
      assert.throws(() => bugOf(patch, text.replace(line, "")), /lacks/);
    }
  });
});

async function missedBy(t: TestContext, planted: PlantedBug): Promise<string | null> {
  return (await prove(planted, { environment: process.env, signal: t.signal })).missed;
}

function write(t: TestContext, patchText: string): string {
  const folder = mkdtempSync(join(tmpdir(), "stampede-patch-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, patch);
  writeFileSync(path, patchText);
  return path;
}
