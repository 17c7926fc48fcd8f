import { readFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { commandLine, isAlive } from "./processes.ts";

const pollMs = 500;

/**
 * Calls `onGone` once when what started this process has ended: npm, a terminal's shell, a test.
 *
 * A signal to npm does not always arrive here. npm passes it on to the shell that it runs a script by,
 * and many a shell ends without a word; SIGKILL is passed on by nobody. What all of these have in common
 * is that the parent is gone. Where a shell of npm's stands in between it may outlive npm, so npm is
 * watched beside it.
 */
export function watchParent(onGone: () => void): void {
  const parent = process.ppid;
  const above = npmAbove(parent);
  const timer = setInterval(() => {
    if (process.ppid === parent && (above === null || isAlive(above))) return;
    clearInterval(timer);
    onGone();
  }, pollMs);
  timer.unref();
}

/** Who started the shell that npm runs a script by; null where npm is the parent itself, or is not there. */
function npmAbove(parent: number): number | null {
  const byNpm = process.env["npm_lifecycle_event"] !== undefined;
  if (!byNpm || !/^(?:\S*\/)?(?:ba|da|a|z)?sh -c /.test(commandLine(parent) ?? "")) return null;
  const above = parentOf(parent);
  // 1 is nobody's shell: it adopts whoever has lost a parent.
  return above !== null && above > 1 ? above : null;
}

function parentOf(pid: number): number | null {
  if (process.platform !== "linux") {
    const { status, stdout } = spawnSync("ps", ["-o", "ppid=", "-p", String(pid)]);
    return status === 0 ? Number(stdout.toString("utf8")) : null;
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The program's name stands in brackets and may hold any character: state and parent follow it.
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    // It has ended meanwhile; its end is seen as the parent's.
    return null;
  }
}
