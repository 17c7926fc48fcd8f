import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { closeSync, openSync, writeSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/** What runs JMeter; a figure belongs to it. */
export type MavenVersions = { readonly maven: string; readonly java: string };

export type MavenRun = {
  readonly pomPath: string;
  readonly goals: readonly string[];
  /** Given as -Dname=value. */
  readonly defines: Readonly<Record<string, string>>;
  /** Gets all that Maven and JMeter say. */
  readonly logPath: string;
  readonly report: (text: string) => void;
  /** Gets what ends Maven and JMeter when this process is to end first. */
  readonly cleanups: AsyncDisposableStack;
};

/** The first run of all fetches JMeter, some 60 MB; beyond this something hangs. */
const runMsMax = 30 * 60_000;
/** Maven ends JMeter on SIGTERM; what is left then is killed. */
const stopMsMax = 5_000;
const tellEveryMs = 2_000;
const errorLinesShown = 5;

const remedy =
  "npm run jmeter needs Maven and Java 17 on the PATH (Debian: apt-get install maven default-jre-headless).";

/** The versions of Maven and Java here, or what is missing and how to get it. */
export function findMaven(): MavenVersions | { readonly fault: string } {
  const { error, status, stdout } = spawnSync("mvn", ["-v"], {
    encoding: "utf8",
  });
  if (error !== undefined)
    return { fault: `There is no mvn that runs: ${error.message}. ${remedy}` };
  // Not at the start of a line: it may stand behind a colour, even when nobody looks.
  const maven = /Apache Maven (\d[\w.-]*)/.exec(stdout)?.[1];
  const java = /^Java version: ([^,\s]+)/m.exec(stdout)?.[1];
  if (status === 0 && maven !== undefined && java !== undefined) return { maven, java };
  return { fault: `mvn -v ended with ${status} and told no versions. ${remedy}` };
}

/** Runs Maven to its end; the mirrors and proxies of the machine's own settings count. */
export async function runMaven(run: MavenRun): Promise<void> {
  const { pomPath, goals, defines } = run;
  // An interrupt meanwhile has cleaned up already; a Maven started now would be left behind.
  if (run.cleanups.disposed) throw new Error("The start of Maven was interrupted.");
  const named = Object.entries(defines).map(([name, value]) => `-D${name}=${value}`);
  const args = ["-B", "-Dstyle.color=never", "-f", pomPath, ...named, ...goals];
  // Its own process group, so that Ctrl-C in the terminal reaches this process, which stops it once.
  const child = spawn("mvn", args, {
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    // In the locale C Java reads no path like `바탕화면`.
    env: { ...process.env, LC_ALL: "C.UTF-8" },
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  run.cleanups.defer(() => stop(child, ended));
  const log = openSync(run.logPath, "w", 0o600);
  const listener = mavenListener(run.report);
  const read = (chunk: Buffer): void => {
    writeSync(log, chunk);
    listener.read(chunk.toString("utf8"));
  };
  child.stdout.on("data", read);
  child.stderr.on("data", read);
  const deadline = setTimeout(() => void stop(child, ended), runMsMax);
  const progress = setInterval(listener.tell, tellEveryMs);
  try {
    const code = await ended;
    if (code === 0) return;
    const errors = listener.errors().slice(0, errorLinesShown).join("\n");
    throw new Error(`Maven ended with ${code}; all it said is in ${run.logPath}.\n${errors}`);
  } finally {
    clearTimeout(deadline);
    clearInterval(progress);
    closeSync(log);
  }
}

async function stop(child: ChildProcess, ended: Promise<number | null>): Promise<void> {
  const { pid } = child;
  if (pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  signalGroup(pid, "SIGTERM");
  const gone = ended.then(
    () => true,
    () => true,
  );
  if (await Promise.race([gone, delay(stopMsMax, false, { ref: false })])) return;
  signalGroup(pid, "SIGKILL");
  await gone;
}

/** Maven and the JMeter that it runs are one process group. */
function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    // Ended in this very moment: that is what was wanted.
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

/** Makes a few lines of progress out of what Maven and JMeter say. */
export function mavenListener(report: (text: string) => void): {
  readonly read: (text: string) => void;
  readonly tell: () => void;
  readonly errors: () => readonly string[];
} {
  const errors: string[] = [];
  let rest = "";
  let fetchedMb = 0;
  let toldMb = 0;
  return {
    read(text) {
      const lines = (rest + text).split(/\r?\n/);
      rest = lines.pop() ?? "";
      for (const line of lines) {
        fetchedMb += fetchedMegabytes(line);
        if (line.startsWith("[ERROR]")) errors.push(line);
        const summary = /summary [+=].*$/.exec(line)?.[0];
        if (summary !== undefined) report(`JMeter: ${summary.replaceAll(/ +/g, " ")}`);
      }
    },
    tell() {
      if (fetchedMb - toldMb < 1) return;
      toldMb = fetchedMb;
      report(`fetching JMeter by Maven, once: ${Math.floor(fetchedMb)} MB so far`);
    },
    errors: () => errors,
  };
}

function fetchedMegabytes(line: string): number {
  const found = /Downloaded from .* \(([\d.]+) (B|kB|MB) at/.exec(line);
  if (found === null) return 0;
  const [, size, unit] = found;
  return (Number(size) * (unit === "MB" ? 1e6 : unit === "kB" ? 1e3 : 1)) / 1e6;
}
