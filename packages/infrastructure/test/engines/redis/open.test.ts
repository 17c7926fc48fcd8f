// The connection alone. Red when a lost reply is asked for again, when a reply has no deadline, or
// when the settings are not looked at (open.ts, settings.ts).
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { EngineFault } from "@stampede/domain";
import { UnsafeEngine } from "../../src/postgres/settings.ts";
import { openRedis } from "../../src/redis/open.ts";
import type { Redis } from "../../src/redis/open.ts";
import { missing, testEngine } from "../support/engines.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";
import { startOwnRedis } from "./own-redis.ts";
import { until } from "./support.ts";
import { systemTime } from "../../src/time.ts";

const given = { time: systemTime, random: Math.random };

describe("the connection to Redis", { skip: missing("redis") }, () => {
  test("never sends again what has lost its reply: the value is 1 (F5)", async (t) => {
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

  test("is no obstacle to a start while Redis is away, and finds it later", async (t) => {
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
    const refused: UnsafeEngine[] = [];
    const redis = await openRedis({
      ...given,
      url: proxy.through(own.url),
      onRefused: (error) => refused.push(error),
    });
    t.after(async () => redis.close());
    await redis.session().send("CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
    proxy.goAway();
    proxy.comeBack();
    await until(() => refused.length > 0);
    assert.equal(redis.isUp(), false);
  });

  test("names another run after a restart", async (t) => {
    const own = await startOwnRedis(t);
    const redis = await open(t, own.url);
    const before = redis.session().runId;
    await own.restart();
    await until(() => redis.isUp() && redis.session().runId !== before);
    assert.match(redis.session().runId, /^[0-9a-f]{40}$/);
  });
});

async function open(t: TestContext, url: string): Promise<Redis> {
  const redis = await openRedis({ url, ...given });
  t.after(async () => redis.close());
  return redis;
}

function isFault(outcome: EngineFault["outcome"]): (error: unknown) => boolean {
  return (error) => error instanceof EngineFault && error.outcome === outcome;
}
