// How long the last whole runs took on this machine, to be held against the aims of docs/testing.md.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

const FILE = ".stampede/run-times.json";
/** One slow run says little on a shared machine. */
const RUNS_KEPT = 3;

/** Keeps the time of a whole run that was green, and tells the median of the last three. */
export function noteRunTime(command: string, seconds: number): string {
  const times = readTimes();
  const last = [...(times[command] ?? []), Math.round(seconds)].slice(-RUNS_KEPT);
  mkdirSync(dirname(FILE), { recursive: true });
  writeFileSync(FILE, `${JSON.stringify({ ...times, [command]: last }, null, 2)}\n`);
  const median = last.toSorted((one, other) => one - other)[Math.floor(last.length / 2)] ?? 0;
  const runs = last.length === 1 ? "1 run" : `${last.length} runs`;
  return `${command} took ${spoken(seconds)}; median of the last ${runs} here: ${spoken(median)}.`;
}

function readTimes(): Readonly<Record<string, readonly number[]>> {
  try {
    return JSON.parse(readFileSync(FILE, "utf8"));
  } catch {
    // No whole run was green here yet.
    return {};
  }
}

function spoken(seconds: number): string {
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)} min ${whole % 60} s`;
}
