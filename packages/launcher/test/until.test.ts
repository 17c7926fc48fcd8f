import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { until } from "../testing/index.ts";

const soon = { msMax: 30, pollMs: 1 };

describe("until", () => {
  test("looks again until the condition is true", async () => {
    let looks = 0;
    await until(
      async () => {
        looks += 1;
        return looks === 3;
      },
      "the third look",
      { pollMs: 1 },
    );
    assert.equal(looks, 3);
  });

  test("says what did not become true, and in which time", async () => {
    await assert.rejects(
      until(() => false, "the door is open", soon),
      /^Error: This did not become true within 30 ms: the door is open$/,
    );
  });

  test("rejects at once where the condition throws", async () => {
    let looks = 0;
    const condition = (): boolean => {
      looks += 1;
      throw new Error("the door is gone");
    };
    await assert.rejects(until(condition, "the door is open", soon), /the door is gone/);
    assert.equal(looks, 1);
  });

  test("goes on after an error that counts as not yet, and tells the last one", async () => {
    let looks = 0;
    const failing = (): boolean => {
      looks += 1;
      throw new Error(`look ${looks} failed`);
    };
    const waiting = until(failing, "the door is open", { ...soon, errorIsNotYet: true });
    await assert.rejects(waiting, (error: Error) => {
      assert.match(error.message, /the door is open/);
      assert.match(String(error.cause), /look \d+ failed/);
      return looks > 1;
    });
  });
});
