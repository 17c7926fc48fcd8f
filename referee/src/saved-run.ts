// A run in a file: JSON lines, each with its type. The first is "run" and names the format, the last
// is "end" and counts those before it, so that a file that was cut off is not taken for a whole one.
//
//   run      format, startedAt; clockErrorMs, and whatever else describes the run
//   event    one event as the database holds it in the end
//   attempt  one HTTP request and its answer
//   row      one row of coupon_issues
//   log      the log of an event was read, whole; `records` says how many records it has
//   record   one record of it
//   redis    what Redis holds of an event: counter, how many persons, and whether it is finished
//   winner   one person in it
import { closeSync, createReadStream, openSync, writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { checked, type Line } from "./saved-line.ts";
import type { Attempt, JudgedRun, LogRecord, RedisSale, Row, SaleEvent } from "./run.ts";

const format = "stampede-run-1";

/** A file that is no whole saved run, and why. */
export class SavedRunFault extends Error {
  override readonly name = "SavedRunFault";
}

/** What goes into a file at once: a part of a run, usually one event. */
export type RunPart = Omit<JudgedRun, "clockErrorMs">;

/**
 * Writes a run, part by part; only its owner may read it, since codes are in it. Whoever does not
 * `close` it leaves a file that is refused as cut off.
 */
export function saveRun(
  path: string,
  about: { readonly startedAt: string; readonly [name: string]: unknown },
): { readonly add: (part: RunPart) => void; readonly close: () => void } {
  const file = openSync(path, "w", 0o600);
  let lines = 0;
  const write = (values: readonly object[]): void => {
    lines += values.length;
    // In pieces: one string of a million attempts would be longer than a string can be.
    for (let start = 0; start < values.length; start += linesAtOnce) {
      const piece = values.slice(start, start + linesAtOnce);
      writeSync(file, piece.map((value) => `${JSON.stringify(value)}\n`).join(""));
    }
  };
  const typed = (type: Line["type"], values: readonly object[]): void =>
    write(values.map((value) => ({ type, ...value })));
  write([{ type: "run", format, ...about }]);
  return {
    add: ({ events, history, rows, log = new Map(), redis = [] }) => {
      typed("event", events);
      typed("attempt", history);
      typed("row", rows);
      for (const [eventId, records] of log) {
        typed("log", [{ eventId, records: records.length }]);
        typed("record", records);
      }
      for (const { persons, ...state } of redis) {
        typed("redis", [{ ...state, persons: persons.length }]);
        typed(
          "winner",
          persons.map((person) => ({ eventId: state.eventId, person })),
        );
      }
    },
    close: () => {
      write([{ type: "end", lines }]);
      closeSync(file);
    },
  };
}

const linesAtOnce = 10_000;

/** Reads a run back. Rejects with a `SavedRunFault` that names the line where it is none. */
export async function readSavedRun(path: string): Promise<JudgedRun> {
  const run = emptyRun();
  let number = 0;
  let ended = false;
  const input = createReadStream(path, "utf8");
  try {
    for await (const text of createInterface({ input, crlfDelay: Infinity })) {
      number += 1;
      if (ended) throw new SavedRunFault(`line ${number}: there is more after the end`);
      const line = parsed(text, number);
      if (number === 1 ? line.type !== "run" : line.type === "run") {
        throw new SavedRunFault(`line ${number}: a saved run has one "run" line, its first`);
      }
      if (line.type === "end") {
        ended = true;
        if (line.lines !== number - 1) {
          throw new SavedRunFault(
            `line ${number}: ${number - 1} lines stand before it, not ${line.lines}`,
          );
        }
      } else take(run, line, number);
    }
  } finally {
    input.destroy();
  }
  if (number === 0) throw new SavedRunFault("the file is empty");
  if (!ended)
    throw new SavedRunFault(`the file is cut off after line ${number}: it has no "end" line`);
  return finished(run);
}

type Reading = {
  readonly history: Attempt[];
  readonly events: SaleEvent[];
  readonly rows: Row[];
  readonly log: Map<string, { readonly expected: number; readonly records: LogRecord[] }>;
  readonly redis: Map<
    string,
    Omit<RedisSale, "persons"> & { readonly expected: number; readonly persons: string[] }
  >;
  clockErrorMs: number;
};

function emptyRun(): Reading {
  return { history: [], events: [], rows: [], log: new Map(), redis: new Map(), clockErrorMs: 0 };
}

function parsed(text: string, number: number): Line {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new SavedRunFault(`line ${number}: it is no JSON, or was cut off`, { cause });
  }
  const line = checked(value);
  if (typeof line === "string") throw new SavedRunFault(`line ${number}: ${line}`);
  return line;
}

function take(run: Reading, line: Exclude<Line, { type: "end" }>, number: number): void {
  switch (line.type) {
    case "run":
      if (line.format !== format) {
        throw new SavedRunFault(`line ${number}: the format is ${line.format}, not ${format}`);
      }
      run.clockErrorMs = line.clockErrorMs ?? 0;
      return;
    case "event":
      run.events.push(line);
      return;
    case "attempt":
      run.history.push(line);
      return;
    case "row":
      run.rows.push(line);
      return;
    case "log":
      run.log.set(line.eventId, { expected: line.records, records: [] });
      return;
    case "record":
      announced(run.log.get(line.eventId), "log", number).records.push(line);
      return;
    case "redis": {
      const { persons: expected, ...held } = line;
      run.redis.set(held.eventId, { ...held, expected, persons: [] });
      return;
    }
    case "winner":
      announced(run.redis.get(line.eventId), "redis", number).persons.push(line.person);
  }
}

function announced<Part>(part: Part | undefined, type: string, number: number): Part {
  if (part !== undefined) return part;
  throw new SavedRunFault(`line ${number}: no "${type}" line of its event stands before it`);
}

function finished({ history, events, rows, log, redis, clockErrorMs }: Reading): JudgedRun {
  for (const [eventId, { expected, records }] of log) {
    if (records.length === expected) continue;
    throw new SavedRunFault(`${records.length} of ${expected} records of ${eventId} are there`);
  }
  for (const { eventId, expected, persons } of redis.values()) {
    if (persons.length === expected) continue;
    throw new SavedRunFault(`${persons.length} of ${expected} winners of ${eventId} are there`);
  }
  const logs = [...log].map(([eventId, { records }]) => [eventId, records] as const);
  return { history, events, rows, log: new Map(logs), redis: [...redis.values()], clockErrorMs };
}
