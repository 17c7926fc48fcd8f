// The dictionary is complete and current; first on planted texts, then on the project as it stands.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { dictionaryPage, entries, staleDictionary } from "@stampede/proof/dictionary";
import {
  idsWithoutDictionary,
  noIds,
  readTexts,
  staleNoIds,
  unknownIds,
} from "./architecture-ids.ts";
import { breaks, file, keeps } from "./architecture-planting.ts";
import { readText } from "./architecture-source.ts";

const project = readTexts();
const ids = new Set(entries.map(({ id }) => id));
const root = join(import.meta.dirname, "..");

describe("an id", () => {
  test("fails where the dictionary lacks it", () => {
    const rule = unknownIds(new Set(["S1", "K10"]));
    breaks(rule, "docs/a.md", "it breaks S2.", "(K1)", "A promise, S28, of nobody");
    breaks(rule, "proof/mutants/patches/B99-odd.patch", "B99 says so.");
    keeps(
      rule,
      "docs/a.md",
      "S1, K10: S1-K10",
      "%E2%80%A8",
      "PRS10, S100, s2 and K8s",
      "node on V8",
    );
  });

  test("is explained wherever it stands in the project", () => {
    assert.deepEqual(unknownIds(ids)(project), []);
  });

  test("is told from what only looks like one, as long as something does", () => {
    assert.deepEqual(staleNoIds([file("a.md", "nothing")]), Object.keys(noIds));
    assert.deepEqual(staleNoIds(project), []);
  });

  test("is in one place of the dictionary, and what shows it exists", () => {
    assert.equal(ids.size, entries.length);
    for (const { id, sentence, shownBy } of entries) {
      assert.match(sentence, /\.$/, id);
      for (const text of shownBy) {
        if (!text.startsWith("npm ")) assert.ok(existsSync(join(root, text)), `${id}: ${text}`);
      }
    }
  });
});

describe("a document", () => {
  test("that uses ids links the dictionary at its top", () => {
    breaks(
      idsWithoutDictionary,
      "docs/a.md",
      "# A\n\nS1 holds.",
      `${"\n".repeat(20)}dictionary.md S1`,
    );
    keeps(idsWithoutDictionary, "docs/a.md", "# A\n\nSee [dictionary](dictionary.md): S1.", "# A");
    assert.deepEqual(idsWithoutDictionary(project), []);
  });
});

describe("the dictionary", () => {
  test("is stale as soon as one word differs", () => {
    const page = dictionaryPage();
    assert.equal(staleDictionary(page), null);
    assert.match(staleDictionary(page.replace("limit", "maximum")) ?? "", /npm run dictionary/);
  });

  test("is what the code says now", () => {
    assert.equal(staleDictionary(readText("docs/dictionary.md")), null);
  });
});
