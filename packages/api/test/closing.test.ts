// What is opened is closed in reverse, and nothing of it holds the process for ever. Red when
// `closeAll` waits for whatever it closes.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { pino } from "pino";
import { Closing } from "../src/closing.ts";

function opened(t: TestContext): {
  readonly closing: Closing;
  readonly order: string[];
  readonly lines: string[];
  readonly closeAll: () => Promise<boolean>;
} {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const [order, lines]: [string[], string[]] = [[], []];
  const closing = new Closing();
  const log = pino({}, { write: (line) => lines.push(line) });
  return { closing, order, lines, closeAll: async () => closing.closeAll(9_000, log) };
}

test("closes what was opened last first, each after the one before it", async (t) => {
  const { closing, order, lines, closeAll } = opened(t);
  closing.defer(() => void order.push("first"), "the first");
  closing.use({ [Symbol.dispose]: () => void order.push("second") }, "the second");
  const third = {
    async [Symbol.asyncDispose]() {
      await Promise.resolve();
      order.push("third");
    },
  };
  assert.equal(closing.use(third, "the third"), third);
  assert.equal(await closeAll(), true);
  assert.deepEqual(order, ["third", "second", "first"]);
  assert.deepEqual(lines, []);
});

test("gives up what does not end in time, and says which it was", async (t) => {
  const { closing, order, lines, closeAll } = opened(t);
  closing.defer(() => void order.push("below"), "the pool below");
  closing.defer(async () => new Promise(() => undefined), "the decider of v3");
  const all = closeAll();
  await Promise.resolve();
  t.mock.timers.tick(9_000);
  assert.equal(await all, false);
  assert.deepEqual(order, []);
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? "", /ends after 9 s although the decider of v3 is not closed/);
});

test("closes the others where one fails, and tells the failure", async (t) => {
  const { closing, order, lines, closeAll } = opened(t);
  closing.defer(() => void order.push("below"), "the pool below");
  closing.defer(async () => Promise.reject(new Error("no such pool")), "a pool");
  assert.equal(await closeAll(), false);
  assert.deepEqual(order, ["below"]);
  assert.match(lines[0] ?? "", /no such pool/);
});
