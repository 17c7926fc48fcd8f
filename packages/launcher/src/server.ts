import { resolve } from "node:path";
import { startChild, untilReady } from "./child.ts";
import type { RunningProcess } from "./engine.ts";
import { boundedLog } from "./logs.ts";
import { commandLine, endProcess } from "./processes.ts";
import { fieldsOf, readJsonFile } from "./private-file.ts";

export type RunningServer = RunningProcess & { readonly url: string };

export type ServerPlan = {
  /** The server's main file; Node runs it. */
  readonly scriptPath: string;
  readonly host: string;
  readonly port: number;
  /** The whole environment of the server. PORT and HOST are added. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Gets all output; several servers need one each. */
  readonly logPath: string;
  /** Names the living server, for whoever comes after a killed launcher. */
  readonly pidPath: string;
  /** Gets what a person at the terminal should see: everything but log lines below a warning. */
  readonly report?: ((line: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
};

/**
 * How Node runs the server, here and in every deployment. Ten thousand requests live at one instant:
 * with the default young generation each collection copies all of them, in this one they fit, and
 * `--expose-gc` lets the server empty it while nobody waits (api/src/idle-collection.ts). An old
 * generation of 256 MB is not collected in the middle of a sale
 * (docs/decisions/2026-11-22-heap-flags.md).
 */
export const serverNodeFlags = [
  "--expose-gc",
  "--min-semi-space-size=128",
  "--max-semi-space-size=128",
  "--initial-old-space-size=256",
  "--max-old-space-size=1024",
];

/** One heap for all threads: freed memory is found again instead of growing another thread's. */
export const serverEnvironment = { MALLOC_ARENA_MAX: "1" };

const readyMsMax = 60_000;
const answerMsMax = 2_000;

/** A server first drains: its own deadline is 10 s. */
const orderlyMs = 12_000;

/** From this pino level on a log line is shown as well as kept. */
const warnLevel = 40;

/** Starts the server and waits until `GET /readyz` says 200. Also for several on the same engines. */
export async function startServer(plan: ServerPlan): Promise<RunningServer> {
  const { scriptPath, host, port, logPath } = plan;
  const url = serverUrl(host, port);
  const keepLine = boundedLog(logPath, plan.report);
  const child = await startChild({
    command: process.execPath,
    args: [...serverNodeFlags, resolve(scriptPath)],
    folder: process.cwd(),
    environment: { ...serverEnvironment, ...plan.environment, PORT: String(port), HOST: host },
    logPath,
    onLine: (line) => {
      keepLine(line);
      const shown = forTheTerminal(line);
      if (shown !== null) plan.report?.(shown);
    },
    pidPath: plan.pidPath,
    pidText: (pid) => `${JSON.stringify({ pid, script: resolve(scriptPath) })}\n`,
    stopSignal: "SIGTERM",
    orderlyMs,
  });
  const check = (): Promise<boolean> => answersReady(url);
  await untilReady("The server", child, {
    check,
    waitMsMax: readyMsMax,
    signal: plan.signal,
  });
  const { pid, exited, stop } = child;
  return { url, pid, exited, stop, [Symbol.asyncDispose]: stop };
}

/** Ends the server that a killed launcher left behind, if the file still names it. */
export async function endLeftoverServer(pidPath: string, signal: NodeJS.Signals): Promise<void> {
  const { pid, script } = fieldsOf(readJsonFile(pidPath));
  if (typeof pid !== "number" || typeof script !== "string") return;
  // The pid may be another program's by now.
  if (commandLine(pid)?.includes(script) !== true) return;
  await endProcess(pid, { signal, orderlyMs });
}

/** Where a program on this machine finds a server that listens on the host and port. */
export function serverUrl(host: string, port: number): string {
  const everywhere = host === "0.0.0.0" || host === "::";
  const name = everywhere ? "127.0.0.1" : host.includes(":") ? `[${host}]` : host;
  return `http://${name}:${port}`;
}

async function answersReady(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(answerMsMax) });
    await response.body?.cancel();
    return response.status === 200;
  } catch {
    // Not listening yet: asked again until the deadline.
    return false;
  }
}

function forTheTerminal(line: string): string | null {
  if (!line.startsWith("{")) return line;
  try {
    const { level, msg } = fieldsOf(JSON.parse(line));
    return Number(level) >= warnLevel ? `Server: ${String(msg)}` : null;
  } catch {
    return line;
  }
}
