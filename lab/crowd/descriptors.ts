import { readFileSync } from "node:fs";

/** What a process needs beside one descriptor per connection: files, engines, the event loop. */
const descriptorsBeside = 200;
const roundedTo = 2_000;

/** A process and how many file descriptors it may open; null where that cannot be learned. */
export type DescriptorLimit = { readonly process: string; readonly limit: number | null };

/** The soft limit of this process (pid "self") or another one of this machine. */
export function descriptorLimit(pid: number | "self"): number | null {
  const limit = fromProc(pid);
  return limit ?? (pid === "self" ? fromReport() : null);
}

/** What is too low for this many connections, with the number to set; null when all is well. */
export function descriptorFault(
  connections: number,
  limits: readonly DescriptorLimit[],
): string | null {
  const needed = connections + descriptorsBeside;
  const low = limits.filter(({ limit }) => limit !== null && limit < needed);
  if (low.length === 0) return null;
  const found = low.map(({ process, limit }) => `${process} may open ${limit}`).join(", ");
  const number = Math.ceil(needed / roundedTo) * roundedTo;
  return (
    `Too few file descriptors: ${connections} connections need ${needed}, but ${found}. ` +
    `Run \`ulimit -n ${number}\` in the shell that starts it, then start it again (a lower hard ` +
    "limit has to be raised first, by root); or use fewer --people."
  );
}

function fromProc(pid: number | "self"): number | null {
  try {
    const text = readFileSync(`/proc/${pid}/limits`, "utf8");
    const soft = /^Max open files\s+(\S+)/m.exec(text)?.[1];
    return soft === "unlimited" ? Infinity : Number(soft ?? Number.NaN) || null;
  } catch {
    // No /proc on this system, or another user's process: the caller does without.
    return null;
  }
}

function fromReport(): number | null {
  const report: unknown = process.report.getReport();
  const text = JSON.stringify(report);
  const soft = /"open_files":\{"soft":("unlimited"|\d+)/.exec(text)?.[1];
  if (soft === undefined) return null;
  return soft === '"unlimited"' ? Infinity : Number(soft);
}
