import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import type { EngineName, EngineOptions, RunningEngine } from "./engine.ts";
import { engineTitles } from "./engine.ts";
import { startChild, untilReady } from "./child.ts";
import type { ChildPlan, ReadyPlan } from "./child.ts";
import { tryLock } from "./folder-lock.ts";
import { freePort, isPortFree } from "./ports.ts";
import { readJsonFile, writePrivateFile } from "./private-file.ts";
import { endProcess, startedInside, worksInside } from "./processes.ts";

/** One engine's folder, locked for this process, with nothing running in it. */
export type EngineHome = {
  readonly folder: string;
  /** The port to listen on, and one more for engines that need two. */
  readonly port: number;
  readonly secondPort: number;
  /** A name for a folder to be filled here and renamed when it is whole. */
  readonly draft: string;
  /** Starts the engine here and waits until it answers. */
  run(plan: EnginePlan, url: string): Promise<RunningEngine>;
};

type EnginePlan = Pick<
  ChildPlan,
  "command" | "args" | "environment" | "user" | "stopSignal" | "orderlyMs"
> &
  ReadyPlan;

type HomePlan = {
  readonly name: EngineName;
  readonly mode: number;
  readonly stopSignal: NodeJS.Signals;
};

const pidFile = "pid";
const portsFile = "ports.json";

/** What prepares a folder answers its starter instead of writing to the engine's log. */
const tools = /^(?:postgres|java)/;

/** How long an engine that a killed launcher left behind may take to end in order. */
const leftoverOrderlyMs = 10_000;

/**
 * Starts an engine in its folder under the data folder, which stays locked until the engine is
 * gone. What a killed launcher left running there is ended first (replaced, not adopted: a child
 * can be waited for, a stranger only be polled). Fails when somebody alive holds the folder: two
 * engines on one directory would destroy it.
 */
export async function startInHome(
  plan: HomePlan,
  options: EngineOptions,
  start: (home: EngineHome) => Promise<RunningEngine>,
): Promise<RunningEngine> {
  options.signal?.throwIfAborted();
  const folder = join(resolve(options.dataFolder), plan.name);
  mkdirSync(folder, { recursive: true, mode: plan.mode });
  chmodSync(folder, plan.mode);
  const lock = tryLock(`${folder}.lock`);
  if (lock === null) {
    throw new Error(
      `${engineTitles[plan.name]} already runs on ${folder}. Stop it, or use another data folder.`,
    );
  }
  try {
    await endLeftover(plan.name, folder, plan.stopSignal);
    removeDrafts(folder);
    const ports = await choosePorts(folder, options.port);
    const draft = `draft-${randomBytes(4).toString("hex")}`;
    return await start({
      ...ports,
      folder,
      draft,
      run: (enginePlan, url) => {
        const place = { name: plan.name, folder, port: ports.port, url };
        return runEngine(place, enginePlan, () => lock.release());
      },
    });
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** A killed start may have left one, perhaps with its tool still writing: no draft is used twice. */
function removeDrafts(folder: string): void {
  for (const entry of readdirSync(folder)) {
    if (entry.startsWith("draft-")) rmSync(join(folder, entry), { recursive: true, force: true });
  }
}

/** Ends what still runs in the engine's folder without a launcher. */
export async function endLeftover(
  name: EngineName,
  folder: string,
  signal: NodeJS.Signals,
): Promise<void> {
  // PostgreSQL's own file as well: it names the process even if we were killed before writing ours.
  const candidates = [join(folder, pidFile), join(folder, "data", "postmaster.pid")];
  const files = name === "postgres" ? candidates : candidates.slice(0, 1);
  for (const file of files) {
    const pid = readPid(file);
    if (pid !== null && worksInside(pid, folder)) {
      await endProcess(pid, { signal, orderlyMs: leftoverOrderlyMs });
    }
  }
  // Sessions of a PostgreSQL whose head was killed run on until their query ends and keep a new one
  // from starting; and an engine may have been started a moment before its file could be written.
  for (const pid of startedInside(folder, tools)) {
    await endProcess(pid, { signal: "SIGKILL", orderlyMs: 0 });
  }
}

async function runEngine(
  place: Pick<RunningEngine, "name" | "port" | "url"> & { readonly folder: string },
  plan: EnginePlan,
  onGone: () => void,
): Promise<RunningEngine> {
  const { name, port, url, folder } = place;
  const child = await startChild({
    ...plan,
    folder,
    logPath: join(folder, "engine.log"),
    pidPath: join(folder, pidFile),
    onGone,
  });
  await untilReady(engineTitles[name], child, plan);
  const { pid, exited, stop } = child;
  return { name, url, port, pid, exited, stop, [Symbol.asyncDispose]: stop };
}

async function choosePorts(
  folder: string,
  wanted: number | undefined,
): Promise<{ port: number; secondPort: number }> {
  const path = join(folder, portsFile);
  const kept = readJsonFile(path);
  const port = wanted ?? (await keptOrFreePort(kept, 0));
  let secondPort = await keptOrFreePort(kept, 1);
  while (secondPort === port) secondPort = await freePort();
  writePrivateFile(path, `${JSON.stringify([port, secondPort])}\n`);
  return { port, secondPort };
}

async function keptOrFreePort(kept: unknown, index: number): Promise<number> {
  const port: unknown = Array.isArray(kept) ? kept[index] : null;
  const usable = typeof port === "number" && Number.isInteger(port) && port > 0 && port < 65_536;
  return usable && (await isPortFree(port)) ? port : freePort();
}

function readPid(path: string): number | null {
  try {
    const pid = Number(readFileSync(path, "utf8").split("\n")[0]);
    return Number.isInteger(pid) && pid > 1 ? pid : null;
  } catch {
    // No such file: nothing was left running.
    return null;
  }
}
