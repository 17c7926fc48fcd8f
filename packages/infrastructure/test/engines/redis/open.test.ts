// The connection alone. Red when a lost reply is asked for again, when a reply has no deadline, or
// when the settings are not looked at (open.ts, settings.ts).
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import dns from "node:dns";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { EngineFault } from "@stampede/domain";
import { createClient } from "redis";
import { openRedis } from "../../../src/engines/redis/open.ts";
import type { Redis } from "../../../src/engines/redis/open.ts";
import { missing, startProxy, testEngine, until } from "@stampede/launcher/testing";
import { startTcpProxy } from "../../support/tcp-proxy.ts";
import { openTelling, startOtherRedis, urlOf } from "./other-redis.ts";
import { startOwnRedis } from "./own-redis.ts";
import { systemTime } from "../../../src/engines/time.ts";

type Found = (error: Error | null, addresses: dns.LookupAddress[]) => void;

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

  test("starts without a Redis that evicts, says what to change, and uses it once that is done", async (t) => {
    const own = await startOtherRedis(t, { settings: ["maxmemory-policy allkeys-lru"] });
    const { redis, told } = await openTelling(t, urlOf(own));
    assert.equal(redis.isUp(), false);
    assert.match(told.join(), /maxmemory-policy is allkeys-lru: set maxmemory-policy noeviction/);
    await own.operator("CONFIG", "SET", "maxmemory-policy", "noeviction");
    await redis.untilUp(5_000);
    assert.equal(redis.isUp(), true);
  });

  test("uses a Redis without an append-only file, and says once what that costs", async (t) => {
    const own = await startOtherRedis(t);
    const { redis, told } = await openTelling(t, urlOf(own));
    assert.equal(redis.isUp(), true);
    assert.match(told.join(), /no append-only file: after a restart it is rebuilt from PostgreSQL/);
    await own.kill();
    await own.start();
    await until(() => redis.isUp(), "it is back");
    assert.equal(told.filter((line) => line.includes("append-only")).length, 1);
  });

  // Red when a server is looked at only as it is connected to.
  test("leaves a Redis whose settings become unsafe while it is used, and comes back", async (t) => {
    const own = await startOwnRedis(t);
    const { redis, told } = await openTelling(t, own.url);
    const operator = await operatorOf(t, own.url);
    await operator("CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
    await until(() => !redis.isUp(), "the server is left", { msMax: 5_000 });
    await until(() => told.length > 0, "why is told");
    assert.match(told.join(), /maxmemory-policy is allkeys-lru/);
    await operator("CONFIG", "SET", "maxmemory-policy", "noeviction");
    await redis.untilUp(5_000);
    assert.equal(redis.isUp(), true);
  });

  // Red when a full Redis counts as up (`isFull`), or as gone: then nobody could make room in it.
  test("is not up while Redis has no room for a reservation, still reads and deletes, and recovers", async (t) => {
    const own = await startOtherRedis(t);
    const { redis, told } = await openTelling(t, urlOf(own));
    await redis.session().send("SET", "stampede:filler", "x".repeat(1_000_000));
    await own.operator("CONFIG", "SET", "maxmemory", "100kb");
    await assert.rejects(redis.session().send("SET", "stampede:a", "1"), isFault("not-applied"));
    assert.deepEqual([redis.isUp(), redis.isThere()], [false, true]);
    assert.match(told.join(), /OOM command not allowed .*give it more memory/);
    assert.equal(await redis.session().send("UNLINK", "stampede:filler"), 1);
    await own.operator("CONFIG", "SET", "maxmemory", "0");
    await until(() => redis.isUp(), "it has room again", { msMax: 5_000 });
  });

  test("comes back after a hundred lost connections, and leaves none behind", async (t) => {
    const own = await startOtherRedis(t);
    const { redis, told } = await openTelling(t, urlOf(own));
    for (let time = 1; time <= 100; time += 1) {
      const before = redis.session();
      await own.operator("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
      await until(() => redis.isUp() && redis.session() !== before, "it is back", { pollMs: 5 });
    }
    const clients = String(await own.operator("CLIENT", "LIST", "TYPE", "normal"));
    // Ours, and who asks.
    assert.equal(clients.trim().split("\n").length, 2);
    assert.equal(told.filter((line) => line.includes("not used")).length, 0);
  });

  // A failover by name: the same host leads to another address.
  test("looks its host up anew for every connection", async (t) => {
    const old = await startOtherRedis(t);
    const next = await startOtherRedis(t, {
      settings: ["bind 127.0.0.2", `port ${old.port}`],
      operatorUrl: () => `redis://127.0.0.2:${old.port}`,
    });
    let address = "127.0.0.1";
    const lookup: typeof dns.lookup = dns.lookup;
    t.mock.method(dns, "lookup", (host: string, options: dns.LookupAllOptions, done: Found) => {
      if (host === "redis.example") done(null, [{ address, family: 4 }]);
      else lookup(host, options, done);
    });
    const { redis } = await openTelling(t, `redis://redis.example:${old.port}`);
    const before = redis.session().runId;
    address = "127.0.0.2";
    await old.operator("REPLICAOF", "127.0.0.2", String(old.port));
    await until(() => redis.isUp() && redis.session().runId !== before, "the next one is found");
    const info = String(await next.operator("INFO", "server"));
    assert.ok(info.includes(redis.session().runId));
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

  // Red when only what is refused tells it (`keepLooking` in contact.ts): a service at rest is up for ever then.
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
