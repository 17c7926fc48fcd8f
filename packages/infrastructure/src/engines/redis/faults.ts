import type { FaultOutcome } from "@stampede/domain";
import { EngineFault } from "@stampede/domain";
import { ClientClosedError, ClientOfflineError, ErrorReply } from "redis";

/**
 * Errors by which Redis refuses a command, or a script's first write, before anything is changed.
 * Redis checks memory and disk only before a script's first write, so these never come after one.
 */
const REFUSALS =
  /^(?:NOSCRIPT|OOM|READONLY|MISCONF|LOADING|NOAUTH|NOPERM|MASTERDOWN|CLUSTERDOWN|BUSY|NOREPLICAS)\b/;

/** How Redis 6.2 and older wrap what a command inside a script answered; newer ones do not. */
const WRAPPED = /^ERR Error running script .*?: -?(?=[A-Z]+ )/;

/** Wraps what the client threw: "not-applied" only where the command was never sent or was refused. */
export function redisFault(error: unknown): EngineFault {
  if (error instanceof EngineFault) return error;
  const reason = error instanceof Error ? error.message : String(error);
  const answered = error instanceof ErrorReply;
  const message = answered ? `Redis refused: ${reason}` : `Redis did not answer: ${reason}`;
  return new EngineFault("redis", faultOutcomeOf(error, reason), message, { cause: error });
}

/** Whether Redis answered that it is a replica: what counts is written elsewhere. */
export function isReplicas(error: unknown): boolean {
  return error instanceof ErrorReply && /^(?:READONLY|MASTERDOWN)\b/.test(unwrapped(error.message));
}

/** Whether Redis does not have the script that it was told to run by its hash. */
export function isScriptMissing(error: unknown): boolean {
  return (
    error instanceof EngineFault &&
    error.cause instanceof ErrorReply &&
    error.cause.message.startsWith("NOSCRIPT")
  );
}

export function redisAway(reason: string): EngineFault {
  return new EngineFault("redis", "not-applied", reason);
}

function faultOutcomeOf(error: unknown, reason: string): FaultOutcome {
  if (error instanceof ClientClosedError || error instanceof ClientOfflineError) {
    return "not-applied";
  }
  const refused = error instanceof ErrorReply && REFUSALS.test(unwrapped(reason));
  return refused ? "not-applied" : "unknown";
}

function unwrapped(reason: string): string {
  return reason.replace(WRAPPED, "");
}
