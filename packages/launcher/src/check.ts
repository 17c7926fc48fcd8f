// `npm start -- --check`: the engines that a start would use, looked at by the server's own program. Those
// that somebody else runs are taken as they are; our own are those that run on the data folder, or are
// started for it and stopped again.
import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { tryLock } from "./folder-lock.ts";
import { engineNames, serverEnvironment, startEngines, takeFolder } from "./launcher.ts";
import type { LaunchPlan } from "./launcher.ts";
import { recordedUrls } from "./launch-records.ts";
import type { EngineUrls } from "./launch-records.ts";

/** Gives the exit code of the program: 0 where all may be used. */
export async function launchCheck(plan: LaunchPlan): Promise<number> {
  await using stack = new AsyncDisposableStack();
  const urls = await urlsOf(plan, stack);
  plan.signal.throwIfAborted();
  // Awaited here, or the engines would be stopped while they are looked at.
  return await runCheck(plan, urls);
}

async function urlsOf(plan: LaunchPlan, stack: AsyncDisposableStack): Promise<EngineUrls> {
  if (engineNames.every((name) => plan.external[name] !== null)) return plan.external;
  const folder = resolve(plan.dataFolder);
  mkdirSync(folder, { recursive: true });
  const lock = tryLock(join(folder, "launcher.lock"));
  if (lock === null) {
    const running = recordedUrls(folder);
    plan.report(`Our own engines are those that run on ${folder}.`);
    const urlOf = (name: keyof EngineUrls): string | null => plan.external[name] ?? running[name];
    return { postgres: urlOf("postgres"), redis: urlOf("redis"), kafka: urlOf("kafka") };
  }
  lock.release();
  await takeFolder(plan, folder, stack);
  const { urls } = await startEngines(plan, folder, stack);
  return urls;
}

async function runCheck(plan: LaunchPlan, urls: EngineUrls): Promise<number> {
  const child = spawn(process.execPath, [resolve(plan.scriptPath), "--check"], {
    env: serverEnvironment(plan, urls),
    stdio: ["ignore", "inherit", "inherit"],
    signal: plan.signal,
  });
  return new Promise((done, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => done(code ?? 1));
  });
}
