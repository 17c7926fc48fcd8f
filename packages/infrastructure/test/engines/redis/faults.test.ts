// Which answers are certain. What a script was answered after it may have written is not.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { EngineFault, parseEventId } from "@stampede/domain";
import type { EventId } from "@stampede/domain";
import { missing } from "@stampede/launcher/testing";
import { ClientClosedError, ErrorReply } from "redis";
import { isFull, isUnusable, redisFault } from "../../../src/engines/redis/faults.ts";
import { openRedis } from "../../../src/engines/redis/open.ts";
import type { Redis, RedisSession } from "../../../src/engines/redis/open.ts";
import { keysOf, reserve, stampOf } from "../../../src/redis-counter/scripts.ts";
import { systemTime } from "../../../src/engines/time.ts";
import { person } from "../../support/sale.ts";
import { startOtherRedis } from "./other-redis.ts";
import type { OtherRedis } from "./other-redis.ts";

const IN_7 = "script: f8a1b3a2c7a5e9d3a0c1b2c3d4e5f60718293a4b, on @user_script:29.";
const IN_6 = "ERR Error running script (call to f_f8a1): @user_script:29: @user_script: 29: ";

test("what Redis refuses as a whole, or before a script's first write, is certain", () => {
  for (const reply of [
    "NOPERM this user has no permissions to run the 'evalsha' command",
    "WRONGPASS invalid username-password pair or user is disabled.",
    "NOAUTH Authentication required.",
    "DENIED Redis is running in protected mode",
    "MOVED 3999 127.0.0.1:6381",
    "CLUSTERDOWN Hash slot not served",
    "CROSSSLOT Keys in request don't hash to the same slot",
    "LOADING Redis is loading the dataset in memory",
    "BUSY Redis is busy running a script.",
    "ERR unknown command 'EVALSHA', with args beginning with: ",
    "ERR max number of clients reached",
    "ERR max daily request limit exceeded. Limit: 10000",
    `OOM command not allowed when used memory > 'maxmemory'. ${IN_7}`,
    `ERR ACL failure in script: User stampede has no permissions to run the 'hset' command ${IN_7}`,
    `ERR The user executing the script can't run this command or subcommand ${IN_7}`,
    `WRONGTYPE Operation against a key holding the wrong kind of value ${IN_7}`,
    `${IN_6}-OOM command not allowed when used memory > 'maxmemory'.`,
    `${IN_6}The user executing the script can't run this command or subcommand`,
    `ERR Error running script (call to f_f8a1): @user_script:1: Script killed by user with SCRIPT KILL...`,
  ]) {
    assert.equal(redisFault(new ErrorReply(reply)).outcome, "not-applied", reply);
  }
  assert.equal(redisFault(new ClientClosedError()).outcome, "not-applied");
});

test("what a script fails by later, what nobody knows and a lost answer are unknown", () => {
  for (const reply of [
    `ERR user_script:16: attempt to compare nil with number ${IN_7}`,
    `ERR Error running script (call to f_f8a1): @user_script:16: user_script:16: attempt to compare nil`,
    `ERR increment or decrement would overflow ${IN_7}`,
    "ERR upstream failure",
    "whatever",
  ]) {
    assert.equal(redisFault(new ErrorReply(reply)).outcome, "unknown", reply);
  }
  assert.equal(redisFault(new Error("Socket closed unexpectedly")).outcome, "unknown");
});

test("a full Redis is told from one that takes nothing of ours, also through a script", () => {
  const oom = redisFault(new ErrorReply(`${IN_6}-OOM command not allowed`));
  assert.deepEqual([isFull(oom), isUnusable(oom)], [true, false]);
  const readOnly = redisFault(new ErrorReply(`${IN_6}-READONLY You can't write against a replica`));
  assert.deepEqual([isFull(readOnly), isUnusable(readOnly)], [false, true]);
});

describe("a claim that Redis refuses", { skip: missing("redis") }, () => {
  // Red when NOPERM is an answer like any other: then everybody hears that they may have a coupon.
  for (const right of ["-evalsha", "-hset", "-incr", "-hget"]) {
    test(`is certainly not applied where the user lost a right in mid-sale (${right})`, async (t) => {
      const { session, operator, eventId, redis, told } = await openLimited(t);
      const stamp = stampOf("first", session.runId);
      const claim = { eventId, stamp, limit: 9, userIds: [person(1), person(2)] };
      assert.equal((await reserve(session, claim)).length, 2);
      await operator("ACL", "SETUSER", "limited", right);
      const others = { ...claim, userIds: [person(3), person(4)] };
      await assert.rejects(
        reserve(session, others),
        (error) => error instanceof EngineFault && error.outcome === "not-applied",
      );
      assert.equal(await operator("HLEN", keysOf(eventId).persons), 2);
      assert.equal(redis.isUp(), false);
      await operator("ACL", "SETUSER", "limited", right.replace("-", "+"));
      await redis.untilUp(5_000);
      assert.ok(redis.isUp());
      assert.match(
        told.join("\n"),
        new RegExp(`not allow .*${right.slice(1).toUpperCase()}|NOPERM`),
      );
    });
  }
});

type Limited = {
  readonly redis: Redis;
  readonly session: RedisSession;
  readonly operator: OtherRedis["operator"];
  readonly eventId: EventId;
  readonly told: readonly string[];
};

/** An event that counts, and a user whose rights an operator may change. */
async function openLimited(t: TestContext): Promise<Limited> {
  const server = await startOtherRedis(t);
  await server.operator("ACL", "SETUSER", "limited", "on", ">secret", "~stampede:*", "+@all");
  const told: string[] = [];
  const redis = await openRedis({
    url: `redis://limited:secret@127.0.0.1:${server.port}`,
    time: systemTime,
    random: Math.random,
    onRefused: ({ message }) => told.push(message),
  });
  t.after(async () => redis.close());
  const session = redis.session();
  const eventId = parseEventId("limited")!;
  await session.send("HSET", keysOf(eventId).state, "open", stampOf("first", session.runId));
  return {
    session,
    operator: async (...command) => server.operator(...command),
    eventId,
    redis,
    told,
  };
}
