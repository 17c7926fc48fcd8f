import { readFileSync } from "node:fs";
import type { Measure } from "./metrics.ts";

const NETSTAT = "/proc/net/netstat";

/**
 * Connections that the kernel dropped because a listener's queue was full: those people were never
 * heard of here, so no other metric counts them. Of the whole network namespace (the machine or the
 * container), since it began. No measure where the kernel does not tell: only Linux does.
 */
export function listenOverflowsMeasures(
  readNetstat: () => string | null = readFromKernel,
): Measure[] {
  const told = (): number | null => listenOverflows(readNetstat() ?? "");
  if (told() === null) return [];
  return [
    {
      name: "stampede_listen_overflows_total",
      help: "Connections dropped at full listen queues of this network namespace; absent off Linux.",
      type: "counter",
      ofWorkers: "max",
      labels: [],
      read: () => [{ labels: {}, value: told() ?? 0 }],
    },
  ];
}

/** Null where the text has no such column. */
export function listenOverflows(netstat: string): number | null {
  const [names, values] = netstat
    .split("\n")
    .filter((line) => line.startsWith("TcpExt:"))
    .map((line) => line.split(" "));
  const value = Number(values?.[names?.indexOf("ListenOverflows") ?? -1]);
  return Number.isSafeInteger(value) ? value : null;
}

function readFromKernel(): string | null {
  try {
    return readFileSync(NETSTAT, "utf8");
  } catch {
    // Not Linux, or a container without /proc: then there is nothing to tell.
    return null;
  }
}
