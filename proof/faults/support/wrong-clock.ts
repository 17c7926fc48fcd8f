// A wall clock of one process that is wrong, and that may step while it runs: libfaketime answers it
// instead of the kernel. The monotonic clock stays true, as it does when a machine's clock is set.
import { globSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { until } from "@stampede/launcher/testing";
import type { Program } from "../../support/program.ts";

export type WrongClock = {
  /** Added to what the process is started with. */
  readonly environment: Readonly<Record<string, string>>;
  /** What it was set to before the process began, seconds. */
  readonly startsAt: number;
  /** From now on it is so many seconds ahead, or behind where that is negative. */
  readonly step: (seconds: number) => void;
};

/** Where Debian and Fedora put it. */
const PLACES = ["/usr/lib/*/faketime/libfaketime.so.1", "/usr/lib64/faketime/libfaketime.so.1"];

const library = process.platform === "linux" ? (globSync(PLACES)[0] ?? null) : null;

/** Why it cannot be had; false where it can. */
export const faketimeMissing: string | false =
  library !== null
    ? false
    : "the wall clock of one process is moved by libfaketime (Linux; Debian's package faketime)";

export function startWrongClock(t: Pick<TestContext, "after">, seconds: number): WrongClock {
  const folder = mkdtempSync(join(tmpdir(), "stampede-clock-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "offset");
  const step = (by: number): void => {
    // In one step: the library reads it at every look at the clock.
    writeFileSync(`${path}.new`, `${by < 0 ? "" : "+"}${by}\n`);
    renameSync(`${path}.new`, path);
  };
  step(seconds);
  return {
    environment: {
      LD_PRELOAD: library ?? "",
      FAKETIME_TIMESTAMP_FILE: path,
      FAKETIME_NO_CACHE: "1",
      // Versions differ in the name.
      DONT_FAKE_MONOTONIC: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
      // A refused request leaves a line in the log, and the line its time.
      LOG_LEVEL: "info",
    },
    startsAt: seconds,
    step,
  };
}

/** Seconds by which the process's own clock is ahead of ours now, as its log tells the time. */
export async function secondsAhead(program: Program): Promise<number> {
  const { url, adminToken } = program;
  const headers = { authorization: `Bearer ${adminToken}`, "content-type": "application/json" };
  const before = lastRefusal(program);
  const answer = await fetch(`${url}/events`, { method: "POST", headers, body: "{}" });
  const nowMs = Date.now();
  if (answer.status !== 400) throw new Error(`an event without a name got ${answer.status}`);
  // The line comes by another way than the answer.
  await until(
    () => lastRefusal(program) !== before,
    "the refused request leaves a line in the log",
  );
  const { time } = JSON.parse(lastRefusal(program)) as { readonly time: number };
  return Math.round((time - nowMs) / 1_000);
}

function lastRefusal(program: Program): string {
  const lines = program.lastWords().split("\n").slice(0, -1);
  return lines.findLast((line) => line.includes('"invalid-request"')) ?? "";
}
