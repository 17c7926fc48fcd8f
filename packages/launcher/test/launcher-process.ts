import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { killAll } from "../src/launcher.ts";
import { commandLine, isAlive } from "../src/processes.ts";
import { until } from "../testing/index.ts";

export type LauncherProcess = {
  readonly pid: number;
  readonly exited: Promise<number | null>;
  /** All that it has printed so far. */
  output(): string;
  /** Waits until it has printed the text; fails when it ends or takes too long. */
  prints(text: string): Promise<void>;
  signal(signal: NodeJS.Signals): void;
  /** Closes the pipe that it prints to, as `| head -1` does. */
  stopReading(): void;
};

export type Pids = Record<"launcher" | "server" | "postgres" | "redis" | "kafka", number | null>;

/** What a start may take on a busy machine. */
export const START_MS_MAX = 30_000;
const npmFolder = "by-npm";
const script = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

export type LauncherFolder = {
  readonly folder: string;
  /** Runs the launcher as npm does, with the fake server, no Kafka of its own and a free port. */
  readonly start: (more?: LauncherOptions) => LauncherProcess;
};

export type LauncherOptions = {
  readonly args?: readonly string[];
  /** The process started is npm, or a shell, and the launcher its child. */
  readonly through?: "npm" | "shell";
  readonly environment?: NodeJS.ProcessEnv;
};

/** An empty data folder; after the test it is gone with all that was started on it. */
export function launcherFolder(t: TestContext, parent = tmpdir()): LauncherFolder {
  const folder = mkdtempSync(join(parent, "stampede-launcher-"));
  const started: LauncherProcess[] = [];
  // One hook for all: the launchers first, or they would start again what is killed here.
  t.after(async () => {
    for (const launcher of started) {
      launcher.signal("SIGKILL");
      killNoted(folder);
      await launcher.exited;
    }
    await killAll(folder);
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    folder,
    start(more = {}) {
      const launcher = startLauncher(folder, more);
      started.push(launcher);
      return launcher;
    },
  };
}

/** The launcher that npm or a shell was to end, where it has not. */
function killNoted(folder: string): void {
  const path = join(folder, "launcher.json");
  if (!existsSync(path)) return;
  const { pid } = JSON.parse(readFileSync(path, "utf8"));
  if (commandLine(Number(pid))?.includes(folder) === true) process.kill(Number(pid), "SIGKILL");
}

function startLauncher(folder: string, more: LauncherOptions): LauncherProcess {
  const start = script("../src/start.ts");
  const server = script("./fixtures/server.ts");
  const { DATABASE_URL: _, REDIS_URL: __, ADMIN_TOKEN: ___, ...environment } = process.env;
  const words = [process.execPath, start, server, "--data", folder, ...(more.args ?? [])];
  const [command = "", ...args] = startedBy(words, folder, more.through);
  const child = spawn(command, args, {
    cwd: more.through === "npm" ? join(folder, npmFolder) : process.cwd(),
    env: { ...environment, PORT: "0", KAFKA_BROKERS: "127.0.0.1:9", ...more.environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  child.stdout.on("data", (chunk) => (output += String(chunk)));
  child.stderr.on("data", (chunk) => (output += String(chunk)));
  let ended = false;
  const exited = new Promise<number | null>((resolve) => {
    child.once("close", (code) => {
      ended = true;
      resolve(code);
    });
  });
  return {
    pid: child.pid ?? 0,
    exited,
    output: () => output,
    prints: (text) =>
      until(
        () => {
          if (output.includes(text)) return true;
          if (ended) throw new Error(`The launcher ended before it printed "${text}":\n${output}`);
          return false;
        },
        `the launcher prints "${text}"`,
        { msMax: START_MS_MAX },
      ),
    signal: (signal) => child.kill(signal),
    stopReading() {
      child.stdout.destroy();
      child.stderr.destroy();
    },
  };
}

function startedBy(
  words: readonly string[],
  folder: string,
  through: LauncherOptions["through"],
): readonly string[] {
  const line = words.map((word) => `'${word}'`).join(" ");
  switch (through) {
    case undefined:
      return words;
    case "shell":
      return ["sh", "-c", `${line} & wait`];
    case "npm":
      mkdirSync(join(folder, npmFolder));
      writeFileSync(
        join(folder, npmFolder, "package.json"),
        JSON.stringify({ scripts: { start: line } }),
      );
      return ["npm", "start"];
  }
}

export function recorded(folder: string): { pids: Pids; [field: string]: unknown } {
  return JSON.parse(readFileSync(join(folder, "engines.json"), "utf8"));
}

/** Each process has its file while it lives, and each file is written as soon as it is born. */
export function assertNothingRecorded(folder: string): void {
  const files = readdirSync(folder).filter((file) => /\.(?:json|pid)$/.test(file));
  const engines = ["redis", "postgres"].filter((name) => existsSync(join(folder, name, "pid")));
  assert.deepEqual([...files, ...engines], []);
}

export function assertAllGone(pids: Pids): void {
  for (const [name, pid] of Object.entries(pids)) {
    assert.ok(pid === null || !isAlive(pid), `${name} (${pid}) still runs`);
  }
}
