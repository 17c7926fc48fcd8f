import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { mechanismsIn, openMechanisms, wordsOf } from "../public/mechanisms.js";
import { myIdea, ROW_LOCK } from "./examples.ts";

const BARE = { short: "my-idea", label: "my-idea", summary: "" };

describe("the words for a mechanism", () => {
  test("are the server's, also where the page has never heard of it", () => {
    const known = new Map([["my-idea", myIdea()]]);
    assert.deepEqual(wordsOf("my-idea", { known, code: "en" }), {
      short: "v9",
      label: "v9 · My idea",
      summary: "It thinks, then it decides.",
    });
  });

  test("are its bare name while the server has told nothing of it", () => {
    const known = new Map();
    assert.deepEqual(wordsOf("my-idea", { known, code: "en" }), BARE);
  });

  test("are Korean where a translation of just these words exists", () => {
    const known = new Map([[ROW_LOCK.name, ROW_LOCK]]);
    assert.equal(wordsOf(ROW_LOCK.name, { known, code: "ko" }).label, "v1 · 행 잠금");
    assert.equal(wordsOf(ROW_LOCK.name, { known, code: "en" }).label, "v1 · Row lock");
  });

  test("stay the server's in Korean where no translation exists", () => {
    const known = new Map([["my-idea", myIdea({ title: "constructor" })]]);
    const { label, summary } = wordsOf("my-idea", { known, code: "ko" });
    assert.deepEqual([label, summary], ["v9 · constructor", "It thinks, then it decides."]);
  });
});

describe("the answer of GET /mechanisms", () => {
  test("is read as a list, without what has no name, version, title or summary", () => {
    const { title: _title, ...untitled } = myIdea();
    assert.deepEqual(mechanismsIn({ mechanisms: [myIdea(), untitled, null] }), [myIdea()]);
  });

  test("is no list where the body is something else", () => {
    for (const body of [null, "<html>", {}, { mechanisms: "none" }]) {
      assert.equal(mechanismsIn(body), null);
    }
  });
});

describe("the page's list of mechanisms", () => {
  /** Mechanisms of a server that gives these answers, one after the other. */
  function fromServer(...answers: (ReturnType<typeof myIdea>[] | null)[]) {
    let asked = 0;
    const mechanisms = openMechanisms(async () => answers[asked++] ?? null);
    return { mechanisms, asked: () => asked };
  }

  test("is asked for once, and not again for a name that it holds", async () => {
    const { mechanisms, asked } = fromServer([myIdea()]);
    assert.equal(await mechanisms.learn([]), true);
    assert.equal(await mechanisms.learn(["my-idea"]), false);
    assert.deepEqual([asked(), [...mechanisms.known().keys()]], [1, ["my-idea"]]);
  });

  test("is asked for again as long as no answer came", async () => {
    const { mechanisms, asked } = fromServer(null, [myIdea()]);
    assert.equal(await mechanisms.learn(["my-idea"]), false);
    assert.equal(mechanisms.known().size, 0);
    assert.equal(await mechanisms.learn(["my-idea"]), true);
    assert.equal(asked(), 2);
  });

  test("is asked for again when an event names a new one, and once for each such name", async () => {
    const { mechanisms, asked } = fromServer([], [myIdea()], [myIdea()]);
    await mechanisms.learn([]);
    await mechanisms.learn(["my-idea"]);
    assert.ok(mechanisms.known().has("my-idea"));
    for (let turn = 0; turn < 5; turn += 1) await mechanisms.learn(["my-idea", "gone"]);
    assert.equal(asked(), 3);
  });

  test("is asked for once where two questions would run side by side", async () => {
    const { mechanisms, asked } = fromServer([myIdea()], [myIdea()]);
    await Promise.all([mechanisms.learn([]), mechanisms.learn(["my-idea"])]);
    assert.equal(asked(), 1);
  });
});
