// Whether the user of this connection may do all that v2 does, by doing it on keys of our own. ACL DRYRUN
// would say the same from Redis 7 on, and only to users who may ask for it.
import { createHash } from "node:crypto";
import type { Finding } from "../finding.ts";
import { isFull, isMissing, isUnusable, replyOf } from "./faults.ts";
import { unusable } from "./reasons.ts";
import { refusedFinding } from "./settings.ts";

/** Sends a command as it is. */
export type Ask = (...command: readonly string[]) => Promise<unknown>;

/** Under the prefix of all keys, and no event's. */
const HASH = "stampede:check";
const TEXT = "stampede:check:text";
const SCRIPT = "return 1";
const SCRIPT_SHA1 = createHash("sha1").update(SCRIPT).digest("hex");

/** A test holds these against all that is sent. Whoever tries at the same time is not disturbed. */
export const TRIED: readonly (readonly string[])[] = [
  ["PING"],
  ["SCRIPT", "LOAD", SCRIPT],
  ["EVALSHA", SCRIPT_SHA1, "0"],
  ["HSET", HASH, "field", "1"],
  ["HSETNX", HASH, "field", "1"],
  ["HGET", HASH, "field"],
  ["HMGET", HASH, "field", "other"],
  ["HEXISTS", HASH, "field"],
  ["HLEN", HASH],
  ["HSCAN", HASH, "0", "COUNT", "1"],
  ["HDEL", HASH, "field"],
  ["SET", TEXT, "1"],
  ["INCR", TEXT],
  ["GET", TEXT],
  ["RENAME", TEXT, HASH],
  ["SCAN", "0", "COUNT", "1"],
  ["UNLINK", HASH, TEXT],
];

/**
 * One round trip; it leaves nothing behind. Other errors than those looked for are of others who try at
 * the same time (no such key). Rejects where the connection ends.
 */
export async function tryRights(ask: Ask): Promise<readonly Finding[]> {
  const answers = await Promise.allSettled(TRIED.map(async (command) => ask(...command)));
  const errors = answers.map((answer) => (answer.status === "rejected" ? answer.reason : null));
  const broken = errors.find((error) => error !== null && replyOf(error) === null);
  if (broken !== undefined) throw broken;
  const missing = TRIED.flatMap(([name = ""], index) => (isMissing(errors[index]) ? [name] : []));
  const words = replyOf(errors.find(isMissing)) ?? "";
  const finding: Finding =
    missing.length === 0
      ? { engine: "redis", what: "rights", found: "all", verdict: "right", advice: "" }
      : refusedFinding(
          "rights",
          `Redis does not allow ${missing.join(", ")}: "${words}"`,
          "allow these commands on the keys stampede:*; docs/engines.md has the whole ACL line",
        );
  const other = errors.find((error) => !isMissing(error) && (isUnusable(error) || isFull(error)));
  return other === undefined || other === null ? [finding] : [finding, unusable(other)];
}

/** Whether it takes what needs memory. */
export async function hasRoom(ask: Ask): Promise<boolean> {
  const [set] = await Promise.allSettled([ask("SET", TEXT, "1"), ask("UNLINK", TEXT)]);
  return set.status === "fulfilled" || !isFull(set.reason);
}
