// The program as `npm start` runs it, with engines of its own in a folder of its own: for the case
// that kills the launcher.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync, readdirSync, readlinkSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, sep } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { commandLine, freePort, isAlive } from "@stampede/launcher";
import type { Program } from "../../support/program.ts";
import { killTree, parentOf } from "./processes.ts";

const REPOSITORY = join(import.meta.dirname, "..", "..", "..");
const START = join("packages", "launcher", "src", "start.ts");
const MAIN = join("packages", "api", "src", "main.ts");
/** What it prints last, once everything is up. */
const READY = "Stop  ";
const READY_MS_MAX = 90_000;
const POLL_MS = 20;

export const ENGINES = ["postgres", "redis", "kafka"] as const;
export type Engine = (typeof ENGINES)[number];

type Launcher = {
  readonly pid: number;
  readonly exited: Promise<number | null>;
  readonly signal: (name: NodeJS.Signals) => void;
  /** Resolves when it has said that all is up, and the service sees its engines. */
  readonly ready: () => Promise<void>;
};

type Recorded = {
  readonly databaseUrl: string;
  readonly redisUrl: string;
  readonly kafkaBrokers: string;
  readonly pids: Readonly<Record<Engine | "launcher" | "server", number>>;
};

export type LaunchFolder = {
  readonly start: () => Launcher;
  /** What `engines.json` says now. */
  readonly recorded: () => Recorded;
  /** Its server, at the same address whichever launcher runs it. */
  readonly program: Program;
  /** The running engines on the directory: each one's first process, without those it has forked. */
  readonly running: (engine: Engine) => readonly number[];
};

/** An empty folder for `npm start`; after the test it is gone with all that runs on it. */
export async function launchFolder(t: Pick<TestContext, "after">): Promise<LaunchFolder> {
  const folder = await mkdtemp(join(tmpdir(), "stampede-launched-"));
  // PostgreSQL runs as another user where this one is root, and has to pass through.
  await chmod(folder, 0o711);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const adminToken = randomBytes(24).toString("hex");
  const started: Launcher[] = [];
  const recorded = (): Recorded =>
    JSON.parse(readFileSync(join(folder, "engines.json"), "utf8")) as Recorded;
  t.after(async () => {
    // The launchers first, or they would start again what is killed here.
    for (const launcher of started) {
      launcher.signal("SIGKILL");
      await launcher.exited;
    }
    for (const pid of [...serverIn(folder), ...processesIn(folder)]) await killTree(pid);
    await rm(folder, { recursive: true, force: true });
  });
  return {
    recorded,
    running: (engine) => headsIn(join(folder, engine)),
    program: {
      url,
      adminToken,
      get databaseUrl() {
        return recorded().databaseUrl;
      },
      get redisUrl() {
        return recorded().redisUrl;
      },
      get brokers() {
        return recorded().kafkaBrokers;
      },
      get pid() {
        return recorded().pids.server;
      },
      // The launcher's, who has its output.
      lastWords: () => "",
      stop: leaveToLauncher,
      kill: leaveToLauncher,
      restart: leaveToLauncher,
    },
    start() {
      const launcher = startLauncher(folder, url, { PORT: String(port), ADMIN_TOKEN: adminToken });
      started.push(launcher);
      return launcher;
    },
  };
}

async function leaveToLauncher(): Promise<never> {
  throw new Error("A launcher starts this program and would start it again: end the launcher.");
}

function startLauncher(
  folder: string,
  url: string,
  added: Readonly<Record<string, string>>,
): Launcher {
  // Nothing else of the tester's own shell: a DATABASE_URL there names real data.
  const { PATH = "", HOME = "", JAVA_HOME = "" } = process.env;
  const java = JAVA_HOME === "" ? {} : { JAVA_HOME };
  const child = spawn(process.execPath, [START, MAIN, "--data", folder], {
    cwd: REPOSITORY,
    env: { PATH, HOME, ...java, HOST: "127.0.0.1", LOG_LEVEL: "warn", ...added },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const keep = (chunk: Buffer): void => {
    output += chunk.toString();
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  const exited = new Promise<number | null>((resolve) => child.once("exit", resolve));
  return {
    pid: child.pid ?? 0,
    exited,
    signal: (name) => void child.kill(name),
    async ready() {
      const endMs = performance.now() + READY_MS_MAX;
      while (!(output.includes(READY) && (await seesEngines(url)))) {
        const ended = child.exitCode !== null || child.signalCode !== null;
        assert.ok(!ended && performance.now() < endMs, `npm start is not ready:\n${output}`);
        await pause(POLL_MS);
      }
    },
  };
}

async function seesEngines(url: string): Promise<boolean> {
  const answer = await fetch(`${url}/readyz`);
  return !(await answer.text()).includes('"down"');
}

/**
 * Processes of the directory whose parent is none. Nobody else has any business in there, and a program
 * is called one way by its package and another by the system: Debian's redis-server is redis-check-rdb.
 */
function headsIn(folder: string): number[] {
  const found = processesIn(folder);
  const heads = found.filter((pid) => !found.includes(parentOf(pid) ?? 0));
  // One may have ended, and its successor begun, while we looked.
  return heads.filter(isAlive);
}

function processesIn(folder: string): number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => pid > 1 && pid !== process.pid)
    .filter((pid) => {
      const place = workingFolder(pid);
      return place === folder || place.startsWith(folder + sep);
    });
}

/** The server works elsewhere: its file names it, and its command line says whether it still is it. */
function serverIn(folder: string): number[] {
  let pid: unknown;
  try {
    ({ pid } = JSON.parse(readFileSync(join(folder, "server.pid"), "utf8")) as { pid: unknown });
  } catch {
    // It has ended in order, or was never started.
    return [];
  }
  return typeof pid === "number" && commandLine(pid)?.includes(MAIN) === true ? [pid] : [];
}

function workingFolder(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    // It ended while we looked, or is another user's.
    return "";
  }
}
