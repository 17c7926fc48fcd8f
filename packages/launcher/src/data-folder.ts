import { accessSync, constants, mkdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { hostname } from "node:os";
import { join, sep } from "node:path";
import { tryLock } from "./folder-lock.ts";
import type { Lock } from "./folder-lock.ts";
import { holderOf } from "./launch-records.ts";
import { isAlive } from "./processes.ts";
import { LaunchRefused } from "./refused.ts";
import { sentence } from "./system-errors.ts";

const elsewhere = "Take another folder, on a disk of this machine: npm start -- --data FOLDER";

/** Makes the data folder and locks it. Refuses one that cannot be written or that another launcher has. */
export function lockFolder(folder: string): Lock {
  try {
    mkdirSync(folder, { recursive: true });
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch (cause) {
    const why = sentence(cause);
    throw new LaunchRefused(`Stampede cannot keep its data in ${folder}. ${why} ${elsewhere}`, {
      cause,
    });
  }
  const path = join(folder, "launcher.lock");
  let lock: Lock | null;
  try {
    lock = tryLock(path);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new LaunchRefused(
      `${path} cannot be locked (${why}); ${fileSystemOf(folder)}. Locks keep two launchers from one ` +
        `folder. ${elsewhere}`,
      { cause },
    );
  }
  if (lock === null) {
    const noted = holderOf(folder);
    const { pid, host } = noted;
    const here = host === hostname() && pid !== null && isAlive(pid);
    const holder = processThatLocks(path) ?? (here ? pid : null);
    throw new LaunchRefused(heldSentence({ folder, path, holder, noted }));
  }
  return lock;
}

export type Held = {
  readonly folder: string;
  readonly path: string;
  /** The process of this machine that has the lock; null where none has. */
  readonly holder: number | null;
  /** What a launcher wrote about itself. */
  readonly noted: ReturnType<typeof holderOf>;
};

/** Why the folder is not to be had, and what to do. */
export function heldSentence({ folder, path, holder, noted: { pid, host, url } }: Held): string {
  if (holder !== null) {
    return (
      `Stampede already runs on ${folder}: launcher process ${holder}, ${url}. ` +
      "Use that one, stop it with Ctrl-C, or start another beside it: " +
      "PORT=3001 npm start -- --data FOLDER"
    );
  }
  const noted = pid === null ? "nobody noted who" : `process ${pid} of the machine ${host}, ${url}`;
  return (
    `${path} is locked, and by no process of this machine (${hostname()}): ${noted}. ` +
    `${fileSystemOf(folder)}. Where another machine or a container uses the folder, stop Stampede ` +
    `there. Where nobody does, the file system keeps the lock of one that is gone. ${elsewhere}`
  );
}

/** Linux tells which process has a lock on which file; null where it tells nothing of this one. */
function processThatLocks(path: string): number | null {
  try {
    const { ino } = statSync(path);
    const held = new RegExp(`POSIX +ADVISORY +WRITE +(?<pid>\\d+) [\\da-f:]+:${ino} `);
    const pid = Number(held.exec(readFileSync("/proc/locks", "utf8"))?.groups?.["pid"] ?? 0);
    return pid > 0 ? pid : null;
  } catch {
    // Another system, or a container that may not see it.
    return null;
  }
}

/** What holds the folder, in words: the kind of its file system, where that can be told. */
export function fileSystemOf(folder: string): string {
  try {
    const home = realpathSync(folder);
    const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n").map(mountOf);
    const [best] = mounts
      .filter(({ point }) => home === point || home.startsWith(point.replace(/\/$/, "") + sep))
      .toSorted((one, other) => other.point.length - one.point.length);
    if (best !== undefined) return `the folder is on a file system of the kind ${best.kind}`;
  } catch {
    // Another system than Linux: the kind is not told.
  }
  return "the folder may be on a network drive";
}

/** A line of mountinfo: the fifth word is the place, and behind the lone dash stands the kind. */
function mountOf(line: string): { readonly point: string; readonly kind: string } {
  const [before = "", after = ""] = line.split(" - ");
  const point = (before.split(" ")[4] ?? "").replaceAll(/\\(?<code>\d{3})/g, (_, code: string) =>
    String.fromCodePoint(Number.parseInt(code, 8)),
  );
  return { point, kind: after.split(" ")[0] ?? "" };
}
