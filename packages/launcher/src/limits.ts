// The limits of the shell that starts it, told before they are met as an error far away.
import { readFileSync, readdirSync, statSync } from "node:fs";
import { LaunchRefused } from "./refused.ts";

/** Ten thousand people at once need a descriptor each, and the server some beside them. */
const filesWanted = 12_000;
/** Engines and server alone: Kafka's jars and log, PostgreSQL's sessions, Redis. */
const filesMin = 400;
/** Processes and threads of all that is started, Java's among them. */
const processesMin = 200;

export type Limits = {
  /** Open files of one process. */
  readonly files: number;
  /** Processes and threads that this user may still start. */
  readonly processes: number;
};

/** Throws where it cannot run with these limits; the line tells what it cannot do with them. */
export function judgeLimits({ files, processes }: Limits): string | null {
  if (processes < processesMin) {
    throw new LaunchRefused(
      `This user may start ${Math.max(0, processes)} more processes and threads, and Stampede needs ` +
        `${processesMin}: raise the limit (ulimit -u), or end some of what runs.`,
    );
  }
  if (files < filesMin) {
    throw new LaunchRefused(
      `This shell allows ${files} open files, and Stampede needs ${filesMin}: ` +
        `ulimit -n ${filesWanted} (a lower hard limit has to be raised first, by root).`,
    );
  }
  if (files >= filesWanted) return null;
  return (
    `This shell allows ${files} open files: enough for about ${files - filesMin / 2} people at once. ` +
    `Ten thousand need ulimit -n ${filesWanted}.`
  );
}

/** This process's own limits, which engines and server inherit; infinite where none is told. */
export function ownLimits(): Limits {
  const text = readOrEmpty("/proc/self/limits");
  const soft = (name: string): number => {
    const value = new RegExp(`^${name} +(?<soft>\\d+)`, "m").exec(text)?.groups?.["soft"];
    return value === undefined ? Infinity : Number(value);
  };
  const processes = soft("Max processes");
  // Root has no such limit, whatever is written there.
  const limited = Number.isFinite(processes) && process.getuid?.() !== 0;
  return {
    files: soft("Max open files"),
    processes: limited ? processes - ownThreads() : Infinity,
  };
}

function ownThreads(): number {
  const uid = process.getuid?.();
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((name) => {
      try {
        if (statSync(`/proc/${name}`).uid !== uid) return 0;
        return readdirSync(`/proc/${name}/task`).length;
      } catch {
        // It has ended while we counted.
        return 0;
      }
    })
    .reduce((sum, threads) => sum + threads, 0);
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // Another system than Linux: Node raises the limit of files there by itself.
    return "";
  }
}
