import type { FaultOutcome } from "@stampede/domain";
import { EngineFault } from "@stampede/domain";
import { ClientClosedError, ClientOfflineError, ErrorReply } from "redis";

/** By these Redis refuses a command as a whole. */
const REFUSED_BY_CODE =
  /^(?:NOSCRIPT|OOM|READONLY|MISCONF|LOADING|NOAUTH|NOPERM|WRONGPASS|DENIED|NOPROTO|MASTERDOWN|CLUSTERDOWN|MOVED|ASK|TRYAGAIN|CROSSSLOT|BUSY|NOREPLICAS|WRONGTYPE|EXECABORT)\b/;

/** The same, of what has no code of its own; the last ones are those of services with a quota. */
const REFUSED_BY_WORDS =
  /^ERR (?:unknown (?:sub)?command|unsupported command|wrong number of arguments|max number of clients|invalid password|DB index is out of range|invalid DB index|Error compiling script|.*\bmax (?:\w+ )*requests? (?:limit|size) exceeded|.*command is not (?:allowed|available|supported))/i;

/**
 * What the script's own command was answered before it changed anything. Redis checks memory, disk and
 * replicas only before a script's first write, and our scripts read every key's type before it. Where
 * a right is missing, nobody is remembered: each person needs all of a script's writes.
 */
const REFUSED_IN_SCRIPT = /^(?:OOM|READONLY|MISCONF|NOREPLICAS|MASTERDOWN|NOPERM|WRONGTYPE)\b/;

/** Only a script that has written nothing can be killed so. */
const KILLED = /Script killed by user/;

const FROM_SCRIPT = /user_script:|^ERR Error running script/;

/** How Redis 6.2 and older wrap what a command inside a script answered; newer ones do not. */
const WRAPPED = /^ERR Error running script .*?: -?(?=[A-Z]+ )/;

/** How servers tell a script that its user lacks a right: to 7.0, and since. */
const NOT_ALLOWED =
  /^ERR (?:Error running script .*: )?(?=The user executing the script can't|ACL failure in script)/;

/** Where in a script it was, as newer ones tell it. */
const PLACE = / script: (?:[0-9a-f]+, )?on @user_script:\d+\.$/;

/** What a server answers that takes no command of ours before something changes. */
const UNUSABLE =
  /^(?:READONLY|MASTERDOWN|MISCONF|NOPERM|NOAUTH|WRONGPASS|DENIED|CLUSTERDOWN|MOVED|ASK|NOREPLICAS|LOADING|BUSY)\b/;

const MISSING =
  /^(?:NOPERM\b|(?:ERR )?(?:unknown (?:sub)?command|unsupported command)|ERR .*command is not (?:allowed|available|supported))/i;

/** Wraps what the client threw: "not-applied" only where the command was never sent or was refused. */
export function redisFault(error: unknown): EngineFault {
  if (error instanceof EngineFault) return error;
  const answered = error instanceof ErrorReply;
  const words = redisWords(error);
  const message = answered ? `Redis refused: ${words}` : `Redis did not answer: ${words}`;
  return new EngineFault("redis", faultOutcomeOf(error), message, { cause: error });
}

/** What went wrong, in the words of whoever said it. */
export function redisWords(error: unknown): string {
  // Of a name with several addresses each failed, and the error about all has no words of its own.
  if (error instanceof AggregateError && error.message === "") {
    return error.errors.map(redisWords).join("; ");
  }
  if (!(error instanceof Error)) return String(error);
  // OpenSSL's whole text begins with another number at every connection.
  return (
    /:error:[0-9A-F]+:[^:]*:[^:]*:(?<why>[^:]+)/.exec(error.message)?.groups?.["why"] ??
    error.message
  );
}

/** What Redis answered, as if no script had been in between; null where it did not answer. */
export function replyOf(error: unknown): string | null {
  const cause = error instanceof EngineFault ? error.cause : error;
  return cause instanceof ErrorReply ? unwrapped(cause.message) : null;
}

/** Whether Redis answered that it can be used by nobody, or not by us, until somebody acts. */
export function isUnusable(error: unknown): boolean {
  return UNUSABLE.test(replyOf(error) ?? "");
}

/** Whether Redis has no room for one more reservation. It still reads, and deletes. */
export function isFull(error: unknown): boolean {
  return /^OOM\b/.test(replyOf(error) ?? "");
}

/** Whether a command was refused for the rights of its user, or by whoever took it away or renamed it. */
export function isMissing(error: unknown): boolean {
  return MISSING.test(replyOf(error) ?? "");
}

/** Whether Redis does not have the script that it was told to run by its hash. */
export function isScriptMissing(error: unknown): boolean {
  return replyOf(error)?.startsWith("NOSCRIPT") === true;
}

export function redisAway(reason: string): EngineFault {
  return new EngineFault("redis", "not-applied", reason);
}

function faultOutcomeOf(error: unknown): FaultOutcome {
  if (error instanceof ClientClosedError || error instanceof ClientOfflineError) {
    return "not-applied";
  }
  return error instanceof ErrorReply && isRefusal(error.message) ? "not-applied" : "unknown";
}

function isRefusal(reply: string): boolean {
  if (FROM_SCRIPT.test(reply)) {
    return REFUSED_IN_SCRIPT.test(unwrapped(reply)) || KILLED.test(reply);
  }
  return REFUSED_BY_CODE.test(reply) || REFUSED_BY_WORDS.test(reply);
}

function unwrapped(reply: string): string {
  return reply.replace(WRAPPED, "").replace(NOT_ALLOWED, "NOPERM ").replace(PLACE, "");
}
