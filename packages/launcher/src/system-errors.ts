// What the system says by a code, as a sentence for whoever can do something about it.
import { statfsSync } from "node:fs";
import { userInfo } from "node:os";
import { errorCode } from "./processes.ts";

const roomLowBytes = 16 * 1024 * 1024;

/** One sentence or two: what happened, to which file, what to do. Others' messages as they are. */
export function sentence(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const path = "path" in error && typeof error.path === "string" ? error.path : null;
  const at = path === null ? "" : ` ${path}`;
  switch (errorCode(error) ?? "") {
    case "ENOSPC":
    case "EDQUOT":
      return `There is no room on the disk to write${at}: make room.`;
    case "EROFS":
      return `Cannot write${at}: its file system is read-only.`;
    case "EACCES":
    case "EPERM":
      return `The user ${userName()} may not use${at}: it belongs to somebody else or is closed.`;
    case "EMFILE":
    case "ENFILE":
      return "Too few file descriptors: raise the limit (ulimit -n 12000) and start again.";
    case "EAGAIN":
      return "The system starts no more processes: raise the limit (ulimit -u) or end some.";
    default:
      return error.message;
  }
}

/** Whether the system refused a file for a reason that a person has to mend; `sentence` tells it. */
export function isRefusedFile(error: unknown): boolean {
  return ["ENOSPC", "EDQUOT", "EROFS", "EACCES", "EPERM", "EMFILE", "ENFILE"].includes(
    errorCode(error) ?? "",
  );
}

/** For the end of a line: that the folder's disk is full, where it is; nothing where it is not. */
export function roomHint(folder: string): string {
  try {
    const { bavail, bsize } = statfsSync(folder);
    if (bavail * bsize >= roomLowBytes) return "";
    const megabytes = Math.floor((bavail * bsize) / 1024 / 1024);
    return ` The disk of ${folder} has ${megabytes} MB left: make room, and it goes on by itself.`;
  } catch {
    // The folder is away, which is told by whoever needs it.
    return "";
  }
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A number without an entry in the system's list, as in containers.
    return String(process.getuid?.() ?? "of this process");
  }
}
