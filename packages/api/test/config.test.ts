import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readConfig } from "../src/config.ts";
import { fileWith } from "./support/files.ts";

const DATABASE_URL = "postgres://localhost/stampede";

test("reads a whole environment", () => {
  const reading = readConfig({
    PORT: "8080",
    HOST: "0.0.0.0",
    LET_ANYBODY_BE_ANYBODY: "yes",
    DATABASE_URL,
    REDIS_URL: "redis://localhost:6379",
    KAFKA_BROKERS: "a:9092, b:9092",
    ADMIN_TOKEN: "sixteen-characters",
    ROLE: "api",
    POOL_SHARED: "7",
    POOL_DECISIONS: "6",
    POOL_ROW_LOCK: "2",
    WORKERS: "3",
    KEEP_LOG_DAYS: "30",
    CORS_ORIGINS: "https://shop.example, http://localhost:5173",
    KEEP_ALIVE_SECONDS: "620",
    LOG_LEVEL: "warn",
  });
  assert.ok(reading.ok);
  assert.deepEqual(reading.config, {
    port: 8080,
    host: "0.0.0.0",
    databaseUrl: DATABASE_URL,
    redisUrl: "redis://localhost:6379",
    redisTls: { ca: null, cert: null, key: null },
    kafkaBrokers: ["a:9092", "b:9092"],
    kafkaAccess: { sasl: null, tls: null },
    auth: { kind: "dev", adminToken: "sixteen-characters", adminTokenIsNew: false },
    role: "api",
    poolSizes: { shared: 7, decisions: 6, rowLock: 2 },
    workers: 3,
    keepLogMs: 30 * 86_400_000,
    corsOrigins: new Set(["https://shop.example", "http://localhost:5173"]),
    keepAliveMs: 620_000,
    logLevel: "warn",
  });
});

test("fills in what is unset or empty, with a random operator token", () => {
  const readings = [readConfig({ DATABASE_URL }), readConfig({ DATABASE_URL, PORT: "" })];
  const tokens = readings.map((reading) => {
    assert.ok(reading.ok);
    assert.equal(reading.config.port, 3000);
    assert.equal(reading.config.host, "127.0.0.1");
    assert.equal(reading.config.workers, 1);
    assert.equal(reading.config.redisUrl, null);
    assert.equal(reading.config.keepLogMs, 7 * 86_400_000);
    assert.equal(reading.config.corsOrigins.size, 0);
    assert.equal(reading.config.keepAliveMs, 65_000);
    const { auth } = reading.config;
    assert.ok(auth.kind === "dev" && auth.adminTokenIsNew);
    return auth.adminToken;
  });
  assert.notEqual(tokens[0], tokens[1]);
});

test("keeps logs for ever where they are to be kept for 0 days", () => {
  const reading = readConfig({ DATABASE_URL, KEEP_LOG_DAYS: "0" });
  assert.ok(reading.ok);
  assert.equal(reading.config.keepLogMs, null);
});

test("lists every fault together", () => {
  const reading = readConfig({
    PORT: "99999",
    DATABASE_URL: "mysql://x",
    REDIS_URL: "http://x",
    KAFKA_BROKERS: "broker",
    ADMIN_TOKEN: "short",
    ROLE: "king",
    POOL_SHARED: "1",
    POOL_DECISIONS: "1.5",
    POOL_ROW_LOCK: "101",
    WORKERS: "0",
    KEEP_LOG_DAYS: "3651",
    LOG_LEVEL: "loud",
    AUTH: "dev",
  });
  assert.ok(!reading.ok);
  assert.equal(reading.faults.length, 12);
  for (const days of ["-1", "0.5", "ever"]) {
    assert.equal(readConfig({ DATABASE_URL, KEEP_LOG_DAYS: days }).ok, false, days);
  }
  const unknown = readConfig({ DATABASE_URL, AUTH: "none" });
  assert.deepEqual(unknown, { ok: false, faults: ["AUTH must be dev or jwt"] });
});

describe("REDIS_URL", () => {
  test("takes a user, a password with any characters, a database and TLS", () => {
    for (const url of [
      "redis://localhost",
      "redis://:secret@localhost:6379/3",
      "redis://ana:p%40%2F%23%25@[::1]:6379/0",
      "rediss://default:secret@redis.example:6380",
    ]) {
      const reading = readConfig({ DATABASE_URL, REDIS_URL: url });
      assert.ok(reading.ok, url);
      assert.equal(reading.config.redisUrl, url);
    }
  });

  test("is refused with what to write instead, and never shown", () => {
    for (const [url, told] of [
      ["localhost:6379", /must be a URL that begins with redis:/],
      ["redis:localhost", /must be a URL that begins with redis:/],
      ["redis://", /must be a URL that begins with redis:/],
      ["redis://:blue#moon@localhost", /special characters in the password percent-encoded/],
      ["redis://:blue/moon@localhost", /special characters in the password percent-encoded/],
      ["redis://:blue%@localhost", /write %25/],
      ["redis://:blue%ff@localhost", /write %25/],
      ["redis://a:6379,b:6379", /must name one host/],
      ["redis://:blue@a:6379,b:6379/0", /must name one host/],
      ["redis+sentinel://:blue@a:26379/shop", /Sentinel, cluster mode and sockets/],
      ["unix:///run/redis.sock", /Sentinel, cluster mode and sockets/],
      ["redis://localhost/shop", /the number of a database/],
      ["redis://:blue@localhost/0?ssl_cert_reqs=none", /options behind/],
    ] as const) {
      const reading = readConfig({ DATABASE_URL, REDIS_URL: url });
      assert.ok(!reading.ok, url);
      assert.equal(reading.faults.length, 1, url);
      assert.match(reading.faults[0] ?? "", told, url);
      assert.doesNotMatch(reading.faults[0] ?? "", /blue|moon/, url);
    }
  });

  test("has its certificates in files, which are read at once and only for TLS", (t) => {
    const broken = fileWith(t, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----");
    const given = { DATABASE_URL, REDIS_URL: "rediss://localhost" };
    for (const [settings, told] of [
      [{ REDIS_CA: "/no/such/file" }, /^REDIS_CA: .*ENOENT/],
      [{ REDIS_CA: broken }, /^REDIS_CA: .*cannot be read as certificates in PEM form/],
      [{ REDIS_CA: fileWith(t, "") }, /^REDIS_CA: .*there is no certificate in it/],
      [{ REDIS_CERT: broken }, /belong together/],
      [{ REDIS_KEY: broken }, /belong together/],
      [{ REDIS_URL: "redis://localhost", REDIS_CA: broken }, /REDIS_CA is for TLS/],
    ] as const) {
      const reading = readConfig({ ...given, ...settings });
      assert.ok(!reading.ok);
      assert.match(reading.faults.join("\n"), new RegExp(told.source, "m"));
    }
  });
});
