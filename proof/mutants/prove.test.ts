// The judge of planted bugs is code under test: whatever else than its bug turns a check red, or keeps
// it green, must not count as found. Each case is B30, with one thing about it spoiled.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import type { TestContext } from "node:test";
import { PATCHES, readBugs } from "./bugs.ts";
import type { PlantedBug, SaleCheck, TestCheck } from "./bugs.ts";
import { openCopies } from "./copies.ts";
import { prove, proveGreen } from "./prove.ts";

const patch = "B30-guaranteed-at-the-limit.patch";
const text = readFileSync(join(PATCHES, patch), "utf8");
const bug = readBugs().find((planted) => planted.patch === patch)!;
const check: TestCheck = bug.test!;
const sale: SaleCheck = bug.sale!;
const copies = openCopies();
after(() => copies[Symbol.dispose]());

describe("a planted bug", () => {
  test("is found where its patch turns its checks red for their reasons", async (t) => {
    assert.equal(await missedBy(t, bug), null);
  });

  const spoiled: readonly [string, Partial<TestCheck>, RegExp][] = [
    ["whose check is red for another reason", { because: /^nothing says this$/ }, /another reason/],
    ["whose check stays green", { test: "is nobody once the record is decided" }, /stays green/],
    ["whose check is no test", { test: "nobody wrote this" }, /did not run/],
    ["whose check is in no file", { file: "tests/nowhere.test.ts" }, /did not run/],
  ];
  for (const [name, change, reason] of spoiled) {
    test(`${name} is missed`, async (t) => {
      const planted = { ...bug, test: { ...check, ...change } };
      assert.match((await missedBy(t, planted)) ?? "found", reason);
    });
  }

  const sales: readonly [string, Partial<SaleCheck>, RegExp][] = [
    ["whose sale breaks another promise", { breaks: "S1" }, /does not break S1:[^]*S23: /],
    ["whose sale breaks none", { mechanism: "row-lock" }, /does not break S23:[^]* claims\n/],
    ["whose sale is none", { mechanism: "no-such" }, /does not break S23:[^]*is none of/],
  ];
  for (const [name, change, reason] of sales) {
    test(`${name} is missed`, async (t) => {
      const planted = { ...bug, sale: { ...sale, ...change } };
      assert.match((await missedBy(t, planted)) ?? "found", reason);
    });
  }

  test("whose patch does not fit the code any more is missed", async (t) => {
    const other = write(t, text.replaceAll("return ticket < limit;", "return limit > ticket;"));
    assert.match((await missedBy(t, { ...bug, patch: other })) ?? "found", /does not apply/);
  });

  test("whose patch breaks the build instead is missed", async (t) => {
    const other = write(t, text.replace("+  return ticket <= limit;", "+  return ticket <=;"));
    const missed = (await missedBy(t, { ...bug, patch: other })) ?? "found";
    assert.match(missed, /did not run.*Syntax.*does not break S23.*Syntax/s);
  });

  test("is not looked for with a check that is red, or not there, without it", async (t) => {
    const proving = { environment: process.env, signal: t.signal, copies, lanes: 1 };
    assert.deepEqual(await proveGreen([bug], proving), []);
    const nowhere = { ...bug, test: { ...check, test: "nobody wrote this" } };
    assert.match((await proveGreen([nowhere], proving)).join(), /did not run/);
  });

  test("leaves its copy as it was", async () => {
    const path = join("packages", "domain", "src", "model", "ticket.ts");
    const found = await copies.lend([], async (folder) => readFileSync(join(folder, path), "utf8"));
    assert.match(found, /return ticket < limit;/);
  });
});

async function missedBy(t: TestContext, planted: PlantedBug): Promise<string | null> {
  return (await prove(planted, { environment: process.env, signal: t.signal, copies })).missed;
}

function write(t: TestContext, patchText: string): string {
  const folder = mkdtempSync(join(tmpdir(), "stampede-patch-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, patch);
  writeFileSync(path, patchText);
  return path;
}
