// The simulated Redis answers as a real one does: the same random sequences of scripts and commands
// on both. Red when a step of redis-scripts.ts differs from its Lua, as with `counter > limit` in
// `claim`.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { systemTime } from "@stampede/infrastructure";
import { openRedis } from "@stampede/infrastructure/src/engines/redis/open.ts";
import { missing, testEngine } from "@stampede/launcher/testing";
import {
  claimScript,
  deleteScript,
  mergeScript,
  rebuildScript,
} from "@stampede/infrastructure/src/redis-counter/scripts.ts";
import { ErrorReply } from "redis";
import { EngineFault } from "@stampede/domain";
import { RedisServer } from "./engines/redis.ts";
import { randomOf } from "./random.ts";
import type { Random } from "./random.ts";

const SEQUENCES = 60;
const COMMANDS = 40;
const SCRIPTS = [claimScript, deleteScript, mergeScript, rebuildScript];

describe("the simulated Redis", () => {
  test("answers as the real one", { skip: missing("redis") }, async (t) => {
    const redis = await openRedis({
      url: testEngine("redis"),
      time: systemTime,
      random: Math.random,
    });
    t.after(async () => redis.close());
    const session = redis.session();
    for (const { source } of SCRIPTS) await session.send("SCRIPT", "LOAD", source);
    const run = randomOf(`${Date.now()} ${process.pid}`).token();
    for (let sequence = 0; sequence < SEQUENCES; sequence += 1) {
      const random = randomOf(`conformance ${sequence}`);
      const server = new RedisServer(random.fork("server"));
      for (const { source } of SCRIPTS) server.execute(["SCRIPT", "LOAD", source]);
      const prefix = `stampede:{simulated-${run}-${sequence}}`;
      for (let n = 0; n < COMMANDS; n += 1) {
        const command = commandOf(random, prefix);
        const simulated = answerOf(server, command);
        const real = await realAnswerOf(session, command);
        assert.deepEqual(simulated, real, `sequence ${sequence}: ${command.slice(3).join(" ")}`);
      }
      await session.send(
        "DEL",
        ...["state", "persons", "count", "building"].map((name) => `${prefix}:${name}`),
      );
    }
  });
});

function commandOf(random: Random, prefix: string): readonly string[] {
  const [state, persons, count, building] = ["state", "persons", "count", "building"].map(
    (name) => `${prefix}:${name}`,
  ) as [string, string, string, string];
  const some = (): string[] =>
    Array.from({ length: random.whole(0, 4) }, () => `p${random.whole(0, 9)}`);
  const token = random.pick(["one", "two"]);
  const open = random.pick(["one:run", "two:run"]);
  const rebuild = ["EVALSHA", rebuildScript.sha1, "4", state, persons, building, count];
  const deletion = ["EVALSHA", deleteScript.sha1, "4", state, persons, building, count];
  return random.pick([
    [
      "EVALSHA",
      claimScript.sha1,
      "3",
      state,
      persons,
      count,
      open,
      random.pick(["3", "6", "6", "0", "x"]),
      ...some(),
    ],
    ["EVALSHA", claimScript.sha1, "3", state, persons, count, open, "6", ...some()],
    ["EVALSHA", mergeScript.sha1, "3", state, persons, count, open, ...some()],
    [...rebuild, "begin", token, random.pick(["", "", "one:run", "two:run"])],
    [...rebuild, "add", token, ...some()],
    [...rebuild, "open", token, open, String(random.whole(0, 3))],
    [...rebuild, "begin", token, ""],
    [...rebuild, "other", token],
    [...deletion, random.pick(["", open]), String(random.whole(0, 2))],
    ["HMGET", state, "open", "building"],
    ["HLEN", random.pick([persons, building])],
    ["HSCAN", persons, "0", "COUNT", "1000"],
  ]);
}

function answerOf(server: RedisServer, command: readonly string[]): unknown {
  try {
    return plain(command, server.execute(command));
  } catch (error) {
    if (error instanceof ErrorReply) return "an error";
    throw error;
  }
}

async function realAnswerOf(
  session: { send(...command: readonly string[]): Promise<unknown> },
  command: readonly string[],
): Promise<unknown> {
  try {
    return plain(command, await session.send(...command));
  } catch (error) {
    if (error instanceof EngineFault && error.cause instanceof ErrorReply) return "an error";
    throw error;
  }
}

/** A scan gives its pairs in no order. */
function plain([name]: readonly string[], answer: unknown): unknown {
  if (name !== "HSCAN" || !Array.isArray(answer)) return answer;
  const [cursor, fields] = answer as [string, string[]];
  const pairs = fields.flatMap((field, index) =>
    index % 2 === 0 ? [`${field} ${fields[index + 1]}`] : [],
  );
  return [cursor, pairs.sort()];
}
