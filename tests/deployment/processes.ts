// Programs that a test starts: found or skipped, waited for, and ended with the test.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { until } from "@stampede/launcher/testing";

/** A test context, or what stands for one. */
export type Cleanup = { readonly after: (run: () => unknown) => void };

/**
 * Cleans up in reverse: a test's own hooks run in the order they were added, and a database would go
 * before those who use it.
 */
export function inReverse(t: Cleanup): Cleanup {
  const stack = new AsyncDisposableStack();
  t.after(() => stack.disposeAsync());
  return {
    after: (run) =>
      stack.defer(async () => {
        await run();
      }),
  };
}

const readyMsMax = 60_000;
/** How long the parts of a deployment are waited for. */
export const patience = { msMax: readyMsMax, pollMs: 50 };
const stopMsMax = 20_000;
const outputCharactersMax = 8_000;

export type Running = {
  readonly pid: number;
  /** All that it has said, the end of it. */
  readonly output: () => string;
  /** Sends the signal and waits; SIGKILL follows after 20 s. */
  readonly stop: (signal?: NodeJS.Signals) => Promise<number | null>;
};

export type Program = {
  readonly title: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly folder: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Whom it runs as, where this process is root. */
  readonly uid?: number;
  readonly isReady: () => Promise<boolean>;
};

/** Why a test cannot run here, or false. In CI a missing program is a failure. */
export function missingProgram(name: string, advice: string): string | false {
  if (findProgram(name) !== null) return false;
  const reason = `there is no ${name} on the PATH: ${advice}`;
  if (process.env["STAMPEDE_NO_SKIPS"] === "1") throw new Error(reason);
  return reason;
}

export function findProgram(name: string): string | null {
  // Debian keeps servers where a person's PATH does not look.
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin"];
  const paths = folders.filter((folder) => folder !== "").map((folder) => join(folder, name));
  return paths.find((path) => existsSync(path)) ?? null;
}

/** A folder for one test, that other users may pass through. */
export function ownFolder(t: Cleanup): string {
  const folder = mkdtempSync(join(tmpdir(), "stampede-deploy-"));
  chmodSync(folder, 0o711);
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Starts it and waits until it is ready. It is ended with the test. */
export async function start(t: Cleanup, program: Program): Promise<Running> {
  const { title, command, args, folder, environment, uid } = program;
  const child = spawn(command, args, {
    cwd: folder,
    env: { PATH: process.env["PATH"], LC_ALL: "C", ...environment },
    stdio: ["ignore", "pipe", "pipe"],
    ...(uid === undefined || process.getuid?.() !== 0 ? {} : { uid, gid: uid }),
  });
  await once(child, "spawn");
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-outputCharactersMax);
    });
  }
  const exited = once(child, "exit");
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const stop = async (signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> => {
    if (hasEnded()) return child.exitCode;
    child.kill(signal);
    const force = setTimeout(() => child.kill("SIGKILL"), stopMsMax);
    await exited;
    clearTimeout(force);
    return child.exitCode;
  };
  t.after(() => stop());
  await until(
    async () => {
      if (hasEnded()) throw new Error(`${title} ended before it was ready:\n${output}`);
      return program.isReady();
    },
    `${title} is ready`,
    patience,
  ).catch((cause: unknown) => {
    throw new Error(`${title} did not get ready:\n${output}`, { cause });
  });
  return { pid: child.pid ?? 0, output: () => output, stop };
}

/** Runs it to its end; rejects with what it said unless it ends with 0. */
export async function runToEnd(
  title: string,
  program: Omit<Program, "isReady" | "title">,
): Promise<string> {
  const { command, args, folder, environment, uid } = program;
  const child = spawn(command, args, {
    cwd: folder,
    env: { PATH: process.env["PATH"], LC_ALL: "C", ...environment },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: readyMsMax,
    killSignal: "SIGKILL",
    ...(uid === undefined || process.getuid?.() !== 0 ? {} : { uid, gid: uid }),
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-outputCharactersMax);
    });
  }
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  if (code !== 0) throw new Error(`${title} failed (${code}):\n${output}`);
  return output;
}

/** Whether a GET is answered 200, now. */
export async function answers(url: string): Promise<boolean> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(2_000) });
    await answer.body?.cancel();
    return answer.status === 200;
  } catch {
    // Nobody listens yet.
    return false;
  }
}

/**
 * Replaces each piece of the text, which has to be there exactly as often as it says: a settings file
 * that was changed is not tried half.
 */
export function replacedExactly(
  text: string,
  pieces: readonly (readonly [piece: string, by: string, times: number])[],
): string {
  return pieces.reduce((done, [piece, by, times]) => {
    const found = done.split(piece).length - 1;
    if (found !== times) throw new Error(`"${piece}" stands there ${found} times, not ${times}`);
    return done.replaceAll(piece, by);
  }, text);
}
