// What fails in the background is heard of, and does not drown everything else.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EngineFault } from "@stampede/domain";
import { pino } from "pino";
import { failureLines } from "../src/hear.ts";

type Line = { readonly msg: string; readonly part: string; readonly times: number; err?: unknown };

function open(): {
  readonly tell: ReturnType<typeof failureLines>;
  readonly lines: readonly Line[];
  readonly pass: (ms: number) => void;
} {
  const lines: Line[] = [];
  let nowMs = 0;
  const log = pino({}, { write: (line: string) => lines.push(JSON.parse(line)) });
  return { tell: failureLines(log, () => nowMs), lines, pass: (ms) => (nowMs += ms) };
}

const fault = (message: string): EngineFault => new EngineFault("postgres", "not-applied", message);

describe("what fails in the background", () => {
  test("is one line for each cause, and again after a minute with how often it came", () => {
    const { tell, lines, pass } = open();
    for (let attempt = 0; attempt < 120; attempt += 1) {
      tell({ part: "leadership", error: fault("too many clients") });
      tell({ part: "clock", error: fault("too many clients") });
      pass(500);
    }
    tell({ part: "leadership", error: fault("too many clients") });
    tell({ part: "leadership", error: fault("password authentication failed") });
    assert.deepEqual(
      lines.map(({ msg, part, times }) => [msg, part, times]),
      [
        ["work in the background failed (leadership): too many clients", "leadership", 1],
        ["work in the background failed (leadership): too many clients", "leadership", 240],
        [
          "work in the background failed (leadership): password authentication failed",
          "leadership",
          1,
        ],
      ],
    );
    assert.ok(lines.every((line) => line.err === undefined));
  });

  test("has its stack where nothing foresees it", () => {
    const { tell, lines } = open();
    tell({ part: "unforeseen", error: new TypeError("undefined is not a function") });
    assert.match(JSON.stringify(lines[0]?.err), /TypeError/);
  });

  test("is forgotten where every cause is another one", () => {
    const { tell, lines } = open();
    for (let cause = 0; cause < 1_000; cause += 1) {
      tell({ part: "clock", error: fault(`port ${cause}`) });
    }
    assert.equal(lines.length, 1_000);
  });
});
