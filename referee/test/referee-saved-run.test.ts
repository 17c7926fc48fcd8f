// A run that was saved is judged again from its file alone, and what is no whole run is refused.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { describe, test, type TestContext } from "node:test";
import { judge, readSavedRun, SavedRunFault, saveRun } from "@stampede/referee";
import type { JudgedRun } from "@stampede/referee";
import { eventId, issued, queued, record, row, soldOut, unanswered } from "./support/sketch.ts";

const program = join(import.meta.dirname, "..", "src", "main.ts");
const startedAt = "2026-12-01T00:00:00.000Z";

const right: JudgedRun = {
  events: [{ eventId, mechanism: "redis-counter", limit: 2, issued: 2 }],
  history: [issued("ana", 1), issued("ben", 2), soldOut("cem"), unanswered("dot")],
  rows: [row(1, "ana", { committedMs: 7.25 }), row(2, "ben")],
  redis: [{ eventId, latched: true, counter: 2, persons: ["ana", "ben"] }],
};

const queue: JudgedRun = {
  events: [{ eventId, mechanism: "kafka-queue", limit: 2, issued: 1, decided: 2 }],
  history: [queued("ana", 0), queued("ana", 1)],
  rows: [row(1, "ana", { ticket: 0 })],
  log: new Map([[eventId, [record(0, "ana"), record(1, "ana")]]]),
};

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "stampede-referee-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function saved(t: TestContext, run: JudgedRun, name = "run.jsonl"): string {
  const path = join(folderFor(t), name);
  const file = saveRun(path, { startedAt, clockErrorMs: 3 });
  file.add(run);
  file.close();
  return path;
}

/** The saved run with its lines changed by hand. */
function changed(t: TestContext, run: JudgedRun, change: (lines: string[]) => string[]): string {
  const path = saved(t, run);
  const lines = readFileSync(path, "utf8").trimEnd().split("\n");
  writeFileSync(
    path,
    change(lines)
      .map((line) => `${line}\n`)
      .join(""),
  );
  return path;
}

async function judged(
  ...args: readonly string[]
): Promise<{ code: number; out: string; err: string }> {
  const child = spawn(process.execPath, [program, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const [[code], out, err] = await Promise.all([
    once(child, "exit"),
    text(child.stdout),
    text(child.stderr),
  ]);
  return { code, out, err };
}

describe("a saved run", () => {
  test("is read back as it was, with its log and Redis, and judged alike", async (t) => {
    const run = await readSavedRun(saved(t, right));
    assert.equal(run.clockErrorMs, 3);
    assert.deepEqual(
      run.history.map(({ id }) => id),
      right.history.map(({ id }) => id),
    );
    assert.deepEqual(
      run.rows.map(({ committedMs }) => committedMs),
      [7.25, null],
    );
    assert.deepEqual(
      run.redis?.map(({ persons }) => persons),
      [["ana", "ben"]],
    );
    assert.deepEqual(judge(run), []);
    const other = await readSavedRun(saved(t, queue));
    assert.deepEqual(
      other.log?.get(eventId)?.map(({ offset }) => offset),
      [0, 1],
    );
    assert.deepEqual(judge(other), []);
  });

  test("may hold several events, added one after the other", async (t) => {
    const path = join(folderFor(t), "run.jsonl");
    const file = saveRun(path, { startedAt });
    file.add(right);
    const other = "autumn";
    file.add({
      events: [{ ...queue.events[0]!, eventId: other, issued: 0 }],
      history: [],
      rows: [],
    });
    file.close();
    const run = await readSavedRun(path);
    assert.deepEqual(
      run.events.map((event) => event.eventId),
      [eventId, other],
    );
  });

  test("is readable by its owner only: codes are in it", (t) => {
    assert.equal(statSync(saved(t, right)).mode & 0o777, 0o600);
  });

  const faults: readonly (readonly [string, (lines: string[]) => string[], RegExp])[] = [
    ["empty", () => [], /the file is empty/],
    [
      "cut off between lines",
      (lines) => lines.slice(0, -1),
      /cut off after line 11: it has no "end"/,
    ],
    [
      "cut off in a line",
      (lines) => [...lines.slice(0, 4), lines[4]!.slice(0, 40)],
      /line 5: it is no JSON/,
    ],
    [
      "short of a line in the middle",
      (lines) => lines.toSpliced(3, 1),
      /line 11: 10 lines stand before it, not 11/,
    ],
    ["two runs", (lines) => [...lines, ...lines], /line 13: there is more after the end/],
    ["without its first line", (lines) => lines.slice(1), /line 1: a saved run has one "run" line/],
    [
      "of another format",
      (lines) => [lines[0]!.replace("run-1", "run-9"), ...lines.slice(1)],
      /is stampede-run-9/,
    ],
    [
      "with a line of another type",
      (lines) => lines.toSpliced(1, 0, '{"type":"guess"}'),
      /unknown type "guess"/,
    ],
    [
      "with a line that is no object",
      (lines) => lines.toSpliced(1, 0, "[]"),
      /line 2: it is no object/,
    ],
    [
      "with a wrong field",
      (lines) => replaced(lines, '"seq":1', '"seq":"1"'),
      /seq of this attempt is "1"/,
    ],
    [
      "with a field missing",
      (lines) => replaced(lines, '"outcome":"issued",', ""),
      /outcome of this attempt is null/,
    ],
    [
      "with an unknown outcome",
      (lines) => replaced(lines, '"sold-out"', '"sold"'),
      /outcome of this attempt is "sold"/,
    ],
    [
      "of two clocks",
      (lines) => replaced(lines, '"returnedMs":100', '"returnedMs":-1'),
      /that is no one clock/,
    ],
    [
      "with winners before their Redis",
      (lines) => [...lines.slice(0, -4), ...lines.slice(-3, -1), lines.at(-4)!, lines.at(-1)!],
      /no "redis" line of its event/,
    ],
    [
      "with fewer winners than announced",
      (lines) => replaced(lines, '"persons":2', '"persons":3'),
      /2 of 3 winners of spring/,
    ],
  ];
  for (const [what, change, why] of faults) {
    test(`that is ${what} is refused`, async (t) => {
      const fault = await readSavedRun(changed(t, right, change)).catch((error: unknown) => error);
      assert.ok(fault instanceof SavedRunFault, String(fault));
      assert.match(fault.message, why);
    });
  }

  test("with fewer records than announced is refused", async (t) => {
    const path = changed(t, queue, (lines) => replaced(lines, '"records":2', '"records":3'));
    await assert.rejects(readSavedRun(path), /2 of 3 records of spring are there/);
  });
});

function replaced(lines: string[], from: string, to: string): string[] {
  const at = lines.findIndex((line) => line.includes(from));
  return lines.with(at, lines[at]!.replace(from, to));
}

describe("npm run judge", () => {
  test("ends with 0 and says how much was right", async (t) => {
    const { code, out } = await judged(saved(t, right));
    assert.equal(code, 0);
    assert.match(out, /run\.jsonl: RIGHT: 1 event, 4 attempts, 2 rows, Redis of 1 of 1 counter\n/);
  });

  test("ends with 1 and says which promise is broken, for whom, and which attempts show it", async (t) => {
    const wrong = { ...right, rows: [row(1, "ana")] };
    const { code, out } = await judged(saved(t, wrong));
    assert.equal(code, 1);
    assert.match(out, /WRONG: 1 event/);
    assert.match(
      out,
      /S3: Whoever is told issued has a committed row with that seq, code and time\./,
    );
    assert.match(out, /    spring: ben was told seq 2, .* and has no row \(attempt \d+\)/);
  });

  test("ends with 1 and tells what is not finished from what is wrong", async (t) => {
    const waiting = {
      ...queue,
      rows: [],
      events: [{ ...queue.events[0]!, issued: 0, decided: 0 }],
    };
    const guaranteed = waiting.history.map((one) => ({ ...one, guaranteed: null }));
    const { code, out } = await judged(saved(t, { ...waiting, history: guaranteed }));
    assert.equal(code, 1);
    assert.match(
      out,
      /WRONG \(not finished\): 1 event, 2 attempts, 0 rows, the log of 1 of 1 queue\n/,
    );
  });

  test("ends with 2 where something is no whole run, and still judges the rest", async (t) => {
    const cut = changed(t, right, (lines) => lines.slice(0, -1));
    const { code, out, err } = await judged(cut, saved(t, right));
    assert.equal(code, 2);
    assert.match(err, /CANNOT BE JUDGED: it is no saved run: the file is cut off after line 11/);
    assert.match(out, /RIGHT/);
  });

  test("ends with 2 where nothing is there, or nothing is named", async (t) => {
    const missing = await judged(join(folderFor(t), "none.jsonl"));
    assert.equal(missing.code, 2);
    assert.match(missing.err, /none\.jsonl: CANNOT BE JUDGED: ENOENT/);
    assert.equal((await judged(folderFor(t))).code, 2);
    assert.equal((await judged()).code, 2);
  });

  test("ends with 2 where a run names an event that it does not have", async (t) => {
    const { code, err } = await judged(saved(t, { ...right, events: [], redis: [] }));
    assert.equal(code, 2);
    assert.match(err, /has an attempt of spring, but no such event/);
  });

  test("judges every run of a folder", async (t) => {
    const path = saved(t, right);
    writeFileSync(join(path, "..", "second.jsonl"), readFileSync(path));
    const { code, out } = await judged(join(path, ".."));
    assert.equal(code, 0);
    assert.equal(out.match(/RIGHT/g)?.length, 2);
  });

  test("tells how it is used", async () => {
    const { code, out } = await judged("--help");
    assert.equal(code, 0);
    assert.match(out, /Exit status: 0 all right/);
  });
});
