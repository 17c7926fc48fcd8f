// The connection alone. Red when a lost reply is asked for again, when a reply has no deadline, or
// when the settings are not looked at (open.ts, settings.ts).
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { EngineFault } from "@stampede/domain";
import { createClient } from "redis";
import { UnsafeEngine } from "../../../src/engines/postgres/settings.ts";
import { openRedis } from "../../../src/engines/redis/open.ts";
import type { Redis } from "../../../src/engines/redis/open.ts";
import { missing, startProxy, testEngine, until } from "@stampede/launcher/testing";
import { startTcpProxy } from "../../support/tcp-proxy.ts";
import { startOwnRedis } from "./own-redis.ts";
import { systemTime } from "../../../src/engines/time.ts";

const given = { time: systemTime, random: Math.random };

describe("the connection to Redis", { skip: missing("redis") }, () => {
  test("never sends a command again whose reply was lost: the value is 1 (F5)", async (t) => {
    const proxy = await startTcpProxy(t, testEngine("redis"));
    const redis = await open(t, proxy.through(testEngine("redis")));
    const key = `stampede:{f5-${randomBytes(4).toString("hex")}}`;
    const cut = proxy.cutReplyTo(key);
    await assert.rejects(redis.session().send("INCR", key), isFault("unknown"));
    await cut;
    await redis.untilUp(2_000);
    assert.equal(await redis.session().send("GET", key), "1");
    await redis.session().send("DEL", key);
  });

  test("lets the service start while Redis is away, and finds Redis later", async (t) => {
    const proxy = await startTcpProxy(t, testEngine("redis"));
    proxy.goAway();
    const redis = await open(t, proxy.through(testEngine("redis")));
    assert.equal(redis.isUp(), false);
    assert.throws(() => redis.session(), isFault("not-applied"));
    proxy.comeBack();
    await redis.untilUp(2_000);
    assert.equal(redis.isUp(), true);
    assert.equal(await redis.session().send("PING"), "PONG");
  });

  test("waits a bounded time for a Redis that has fallen silent, then knows it is away", async (t) => {
    const proxy = await startTcpProxy(t, testEngine("redis"));
    const redis = await open(t, proxy.through(testEngine("redis")));
    proxy.fallSilent();
    const askedMs = performance.now();
    await assert.rejects(redis.session().send("PING"), isFault("unknown"));
    assert.ok(performance.now() - askedMs < 4_000);
    assert.equal(redis.isUp(), false);
    proxy.comeBack();
    await redis.untilUp(4_000);
    assert.equal(redis.isUp(), true);
  });

  test("refuses a Redis that evicts or has no append-only file, and says what to change", async (t) => {
    const own = await startOwnRedis(t);
    const redis = await open(t, own.url);
    await redis.session().send("CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
    await assert.rejects(
      openRedis({ ...own, ...given }),
      (error) => error instanceof UnsafeEngine && /maxmemory-policy noeviction/.test(error.message),
    );
    await redis.session().send("CONFIG", "SET", "maxmemory-policy", "noeviction");
    await redis.session().send("CONFIG", "SET", "appendonly", "no");
    await assert.rejects(
      openRedis({ ...own, ...given }),
      (error) => error instanceof UnsafeEngine && /appendonly yes/.test(error.message),
    );
  });

  test("does not use a Redis whose settings are found unsafe later", async (t) => {
    const own = await startOwnRedis(t);
    const proxy = await startTcpProxy(t, own.url);
    const refused: Error[] = [];
    const redis = await openRedis({
      ...given,
      url: proxy.through(own.url),
      onRefused: (error) => refused.push(error),
    });
    t.after(async () => redis.close());
    await redis.session().send("CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
    proxy.goAway();
    proxy.comeBack();
    await until(() => refused.length > 0, "the server is refused");
    assert.equal(redis.isUp(), false);
  });

  // Red when READONLY is an answer like any other: then the old connection is kept for ever.
  test("leaves a server that has become a replica, tells so, and finds the primary", async (t) => {
    const [old, next] = [await startOwnRedis(t), await startOwnRedis(t)];
    // Whoever is led to another server knows the old one's password only.
    const { password } = new URL(old.url);
    await (
      await operatorOf(t, next.url)
    )("CONFIG", "SET", "requirepass", password);
    const proxy = await startProxy(t, { port: Number(new URL(old.url).port) });
    const refused: string[] = [];
    const redis = await openRedis({
      ...given,
      url: proxy.through(old.url),
      onRefused: ({ message }) => refused.push(message),
    });
    t.after(async () => redis.close());
    const before = redis.session();
    const { port } = new URL(next.url);
    await before.send("REPLICAOF", "127.0.0.1", port);
    const script = ["EVAL", "return redis.call('SET', KEYS[1], '1')", "1", "key"];
    await assert.rejects(before.send(...script), isFault("not-applied"));
    assert.equal(redis.isUp(), false);
    assert.throws(() => redis.session(), isFault("not-applied"));
    await until(() => refused.length > 0, "the replica is met again");
    assert.match(
      refused[0] ?? "",
      /is a replica: promote it, or let REDIS_URL lead to the primary/,
    );
    assert.equal(redis.isUp(), false);
    proxy.pointTo(Number(port));
    await redis.untilUp(5_000);
    await redis.session().send(...script);
    assert.notEqual(redis.session().runId, before.runId);
  });

  // Red when only what is refused tells it (`keepAsking`): a service at rest is up for ever then.
  test("knows within seconds, while nobody asks, that a server has become a replica", async (t) => {
    const own = await startOwnRedis(t);
    const redis = await open(t, own.url);
    const operator = await operatorOf(t, own.url);
    await operator("REPLICAOF", "127.0.0.1", "1");
    await until(() => !redis.isUp(), "it is away", { msMax: 5_000 });
    await operator("REPLICAOF", "NO", "ONE");
    await redis.untilUp(5_000);
    assert.equal(redis.isUp(), true);
  });

  test("names another run after a restart", async (t) => {
    const own = await startOwnRedis(t);
    const redis = await open(t, own.url);
    const before = redis.session().runId;
    await own.restart();
    await until(() => redis.isUp() && redis.session().runId !== before, "the next run is up");
    assert.match(redis.session().runId, /^[0-9a-f]{40}$/);
  });
});

async function open(t: TestContext, url: string): Promise<Redis> {
  const redis = await openRedis({ url, ...given });
  t.after(async () => redis.close());
  return redis;
}

/** Asks the server past the code under test. */
async function operatorOf(
  t: TestContext,
  url: string,
): Promise<(...command: readonly string[]) => Promise<unknown>> {
  const client = createClient({ url });
  // Its server may be gone first.
  client.on("error", () => undefined);
  await client.connect();
  t.after(() => client.destroy());
  return async (...command) => client.sendCommand(command);
}

function isFault(outcome: EngineFault["outcome"]): (error: unknown) => boolean {
  return (error) => error instanceof EngineFault && error.outcome === outcome;
}
