// The files that hold what engines and the server print. They are bounded while they are written, and a
// disk that is full costs their lines and nothing else.
import { appendFileSync, copyFileSync, rmSync, statSync, truncateSync } from "node:fs";
import { sentence } from "./system-errors.ts";

const logBytesMax = 10 * 1024 * 1024;
const lookEveryMs = 5_000;

/** Keeps the file below its bound until the answer is called; what was in it is kept once, in `.1`. */
export function boundLog(path: string): () => void {
  cutLog(path);
  const timer = setInterval(() => cutLog(path), lookEveryMs);
  timer.unref();
  return () => clearInterval(timer);
}

/**
 * Empties a file that is over its bound. Whoever writes to it appends, so it goes on at the beginning; a
 * line that is written in between is lost.
 */
export function cutLog(path: string): void {
  try {
    if (statSync(path).size <= logBytesMax) return;
    try {
      copyFileSync(path, `${path}.1`);
    } catch {
      // No room for what was: the rest matters more.
      rmSync(`${path}.1`, { force: true });
    }
    truncateSync(path, 0);
  } catch {
    // No such file yet, or not ours: there is nothing to bound.
  }
}

/** Appends lines; those that the disk refuses are counted, and told once when it begins and ends. */
export function boundedLog(
  path: string,
  report: (line: string) => void = () => undefined,
): (line: string) => void {
  let lost = 0;
  return (line) => {
    try {
      appendFileSync(path, `${line}\n`, { mode: 0o600 });
    } catch (error) {
      if (lost === 0) report(`The log loses lines. ${sentence(error)}`);
      lost += 1;
      return;
    }
    if (lost > 0) report(`The log is written again; ${lost} lines are missing in ${path}.`);
    lost = 0;
  };
}
