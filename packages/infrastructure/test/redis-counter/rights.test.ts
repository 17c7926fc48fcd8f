// A Redis that others use too: v2 with the few rights that docs/engines.md asks for, in any database of
// it, over TLS, beside other people's keys.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { EngineFault } from "@stampede/domain";
import { missing, until } from "@stampede/launcher/testing";
import { TRIED } from "../../src/engines/redis/rights.ts";
import { systemTime } from "../../src/engines/time.ts";
import { openFoundation } from "../../src/foundation.ts";
import { openMechanisms } from "../../src/open-mechanisms.ts";
import { drawCode, drawToken } from "../../src/rows/codes.ts";
import {
  makeCertificates,
  missingOpenssl,
  openTelling,
  startOtherRedis,
  urlOf,
} from "../engines/redis/other-redis.ts";
import {
  claimOrFault,
  openRedisCounter,
  rowsOf,
  startReconciler,
} from "../support/redis-counter.ts";
import { openTestDatabase } from "../support/database.ts";
import { createTestEvent, person } from "../support/sale.ts";

const SOURCES = join(import.meta.dirname, "../../src/redis-counter");

/** The line that operators copy. */
const aclLine = /^ACL SETUSER stampede (?<rules>.*)$/m
  .exec(readFileSync(join(import.meta.dirname, "../../../../docs/engines.md"), "utf8"))
  ?.groups?.["rules"]?.replace(">PASSWORD", ">secret");

test("every command that v2 sends is tried before it is needed, and no other", () => {
  const tried = new Set(TRIED.map(([name = ""]) => name));
  const sent = new Set(["SCRIPT", "EVALSHA"]);
  for (const name of readdirSync(SOURCES)) {
    const text = readFileSync(join(SOURCES, name), "utf8");
    for (const [, command] of text.matchAll(/(?:redis\.call\('|\.send\("|asks?\(")([A-Z]+)/g)) {
      sent.add(command ?? "");
    }
  }
  assert.deepEqual(
    [...sent].filter((name) => !tried.has(name)),
    [],
  );
  assert.deepEqual(
    [...tried].filter((name) => !sent.has(name)),
    [],
  );
});

describe("v2 on a Redis that is not ours", { skip: missing("postgres", "redis") }, () => {
  test("sells with exactly the rights that docs/engines.md asks for, in a database of its own", async (t) => {
    assert.ok(aclLine !== undefined, "docs/engines.md has the line");
    const server = await startOtherRedis(t, { settings: ["appendonly yes"] });
    await server.operator("SET", "somebody:else", "kept");
    await server.operator("ACL", "SETUSER", "stampede", ...aclLine.split(" "));
    const redisUrl = `redis://stampede:secret@127.0.0.1:${server.port}/5`;
    const { told } = await openTelling(t, redisUrl);
    assert.deepEqual(told, []);
    const counter = await openRedisCounter(t, { redisUrl });
    startReconciler(t, counter);
    const eventId = await createTestEvent(counter.store, "redis-counter", { limit: 3 });
    const claims = [1, 2, 3, 4].map(async (n) => claimOrFault(counter.issuer, eventId, person(n)));
    const answers = await Promise.all(claims);
    assert.ok(answers.every((answer) => !(answer instanceof EngineFault)));
    assert.equal((await rowsOf(counter.store, eventId)).length, 3);
    const inFive = async (): Promise<boolean> =>
      !/^db5:/m.test(String(await server.operator("INFO", "keyspace")));
    await until(inFive, "nothing of it is left in its database");
    assert.equal(await server.operator("GET", "somebody:else"), "kept");
  });

  test("is unavailable alone where Redis is not used, here as in the engine's state, until it is", async (t) => {
    const server = await startOtherRedis(t, { settings: ["maxmemory-policy volatile-lru"] });
    await using stack = new AsyncDisposableStack();
    const errors: string[] = [];
    const database = await openTestDatabase(t);
    const hear = { warning: () => undefined, trouble: () => undefined, failure: failLoudly };
    const foundation = await openFoundation({
      databaseUrl: database.url,
      redisUrl: urlOf(server),
      kafkaBrokers: null,
      kafkaAccess: { sasl: null, tls: null },
      poolSizes: { shared: 4, decisions: 3, rowLock: 2 },
      keepLogMs: null,
      role: "all",
      time: systemTime,
      random: Math.random,
      drawCode,
      drawToken,
      hear: { ...hear, error: (message) => errors.push(message) },
      stack,
    });
    const served = await openMechanisms(foundation);
    const states = (): readonly unknown[] => [
      foundation.engines().redis,
      served.get("redis-counter")?.available(),
      served.get("row-lock")?.available(),
    ];
    assert.deepEqual(states(), ["down", false, true]);
    assert.match(errors.join(), /^Redis is not used\. .*maxmemory-policy is volatile-lru/);
    await server.operator("CONFIG", "SET", "maxmemory-policy", "noeviction");
    await until(() => states()[0] === "up", "it is used");
    assert.deepEqual(states(), ["up", true, true]);
    assert.equal(errors.length, 1);
  });

  test("takes a password with any characters", async (t) => {
    const password = "p@ss/w:rd#?%20&=é";
    const server = await startOtherRedis(t);
    await server.operator("ACL", "SETUSER", "an@:a", "on", `>${password}`, "~*", "+@all");
    const [user, secret] = ["an@:a", password].map(encodeURIComponent);
    const { redis } = await openTelling(t, `redis://${user}:${secret}@127.0.0.1:${server.port}`);
    assert.equal(redis.isUp(), true);
  });

  for (const [title, made] of [
    ["by an authority of its own", {}],
    ["that signed itself", { selfSigned: true }],
  ] as const) {
    test(
      `speaks TLS to a server with a certificate ${title}`,
      { skip: missingOpenssl() },
      async (t) => {
        const { settings, ca } = makeCertificates(t, made);
        const { port } = await startOtherRedis(t, { settings, operatorUrl: () => null });
        for (const host of ["127.0.0.1", "localhost"]) {
          const tls = { ca, cert: null, key: null };
          const { redis, told } = await openTelling(t, `rediss://${host}:${port}`, tls);
          assert.equal(redis.isUp(), true, told.join());
          assert.equal(await redis.session().send("PING"), "PONG");
        }
      },
    );
  }

  test(
    "shows its own certificate to a server that wants one, and is told where it has none",
    { skip: missingOpenssl() },
    async (t) => {
      const { settings, ca, client } = makeCertificates(t);
      const wanting = [...settings, "tls-auth-clients yes"];
      const { port } = await startOtherRedis(t, { settings: wanting, operatorUrl: () => null });
      const url = `rediss://127.0.0.1:${port}`;
      assert.equal((await openTelling(t, url, { ca, ...client })).redis.isUp(), true);
      const { redis, told } = await openTelling(t, url, { ca, cert: null, key: null });
      const isTold = (): boolean =>
        told.some((line) => line.includes("set REDIS_CERT and REDIS_KEY"));
      await until(isTold, "what is missing is told");
      assert.equal(redis.isUp(), false);
    },
  );

  test(
    "is told where the certificate is for another host",
    { skip: missingOpenssl() },
    async (t) => {
      const { settings, ca } = makeCertificates(t, { names: "DNS:redis.example" });
      const { port } = await startOtherRedis(t, { settings, operatorUrl: () => null });
      const { redis, told } = await openTelling(t, `rediss://localhost:${port}`, {
        ca,
        cert: null,
        key: null,
      });
      assert.equal(redis.isUp(), false);
      assert.match(told.join(), /REDIS_URL must name the host as the certificate of Redis does/);
    },
  );
});

function failLoudly(error: unknown): void {
  throw error;
}
