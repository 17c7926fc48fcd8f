import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { bugOf, PATCHES, readBugs } from "./bugs.ts";
import type { PlantedBug } from "./bugs.ts";
import { chooseBugs, wishOf } from "./choose.ts";
import { PAGE, pageOf } from "./page.ts";

const bugs = readBugs();
const patch = "B30-guaranteed-at-the-limit.patch";
const text = readFileSync(join(PATCHES, patch), "utf8");

describe("the list of planted bugs", () => {
  test("has every known design error B1 to B49", () => {
    const planted = new Set(bugs.map(({ bug }) => bug));
    const numbers = Array.from({ length: 49 }, (_, index) => `B${index + 1}`);
    assert.deepEqual(
      numbers.filter((number) => !planted.has(number)),
      [],
    );
  });

  test("is the page about planted bugs", () => {
    assert.equal(readFileSync(PAGE, "utf8"), pageOf(bugs), "npm run planted -- --write makes it");
  });

  test("refuses a head that lacks a line", () => {
    for (const line of ["Check: ", "Test: ", "Because: ", "Seed: ", "Breaks: ", /^.*\n/]) {
      assert.throws(() => bugOf(patch, text.replace(line, "")), /lacks/, String(line));
    }
  });

  test("knows what a patch changes", () => {
    assert.deepEqual(bugOf(patch, text).changes, ["packages/domain/src/model/ticket.ts"]);
  });
});

describe("a choice of planted bugs", () => {
  const lot = { changed: false, lot: 10, seed: "7" };
  const changed = { changed: true, lot: null, seed: "7" };
  const patchesOf = (chosen: readonly PlantedBug[]): string[] => chosen.map((bug) => bug.patch);

  test("is all bugs where nothing else is said", () => {
    assert.equal(chooseBugs(bugs, { ...lot, lot: null }, null).chosen.length, bugs.length);
  });

  test("is the same lot for the same seed, and another one for another seed", () => {
    const { chosen, told } = chooseBugs(bugs, lot, null);
    assert.equal(chosen.length, 10);
    assert.match(told, /^10 of \d+ planted bugs, by lot with seed 7\.$/);
    assert.deepEqual(chooseBugs(bugs, lot, null).chosen, chosen);
    assert.notDeepEqual(chooseBugs(bugs, { ...lot, seed: "8" }, null).chosen, chosen);
  });

  test("is the bugs whose code, check or patch changed since the last release", () => {
    for (const file of [
      "packages/domain/src/model/ticket.ts",
      "packages/domain/test/model/ticket.test.ts",
      `proof/mutants/patches/${patch}`,
    ]) {
      assert.deepEqual(patchesOf(chooseBugs(bugs, changed, [file]).chosen), [patch], file);
    }
  });

  test("is a lot of all bugs where nothing changed, or nothing was released", () => {
    for (const changes of [null, [], ["README.md"]]) {
      assert.equal(chooseBugs(bugs, changed, changes).chosen.length, 10);
    }
  });

  test("is read from STAMPEDE_PLANTED", () => {
    assert.deepEqual(wishOf("all", "7"), { changed: false, lot: null, seed: "7" });
    assert.deepEqual(wishOf("changed", "7"), changed);
    assert.deepEqual(wishOf("10", "7"), lot);
    for (const text of [undefined, "", "changed 10"]) {
      assert.deepEqual(wishOf(text, "7"), { changed: true, lot: 10, seed: "7" });
    }
    assert.throws(() => wishOf("some", "7"), /not "some"/);
  });
});
