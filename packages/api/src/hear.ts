import { EngineFault } from "@stampede/domain";
import type { Logger } from "pino";
import { everyMinute } from "./every-minute.ts";

type Failed<Part> = (failure: { readonly part: Part; readonly error: unknown }) => void;

/** What the adapters tell while nobody asks, as log lines; the shape of infrastructure's `Hear`. */
export function hearInto(
  log: Logger,
  failed: Failed<"unforeseen">,
): {
  readonly warning: (message: string) => void;
  readonly error: (message: string) => void;
  readonly trouble: (
    trouble: { readonly eventId: string; readonly reason: string; readonly fatal: boolean },
    message: string,
  ) => void;
  readonly failure: (error: unknown) => void;
} {
  return {
    warning: (message) => log.warn(message),
    error: (message) => log.error(message),
    trouble: ({ fatal, ...about }, message) => log[fatal ? "fatal" : "error"](about, message),
    failure: (error) => failed({ part: "unforeseen", error }),
  };
}

/**
 * One line for each cause of failures in the background, and again at most once a minute with how often
 * there was one since. An engine that is away makes many parts fail for the same cause: the first one is
 * named, and the metrics count each.
 */
export function failureLines(log: Logger, nowMs: () => number): Failed<string> {
  const timesOf = everyMinute(nowMs);
  return ({ part, error }) => {
    const cause = error instanceof Error ? error.message : String(error);
    const times = timesOf(cause);
    if (times === null) return;
    // What nothing foresees is told with its stack.
    const about = error instanceof EngineFault ? { part, times } : { part, times, err: error };
    log.error(about, `work in the background failed (${part}): ${cause}`);
  };
}
