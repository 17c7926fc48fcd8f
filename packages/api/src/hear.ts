import type { Logger } from "pino";

/** What the adapters tell while nobody asks, as log lines; the shape of infrastructure's `Hear`. */
export function hearInto(log: Logger): {
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
    failure: (err) => log.error({ err }, "a background task failed"),
  };
}
