import assert from "node:assert/strict";
import { test } from "node:test";
import { readConfig } from "../src/config.ts";

const DATABASE_URL = "postgres://localhost/stampede";

test("reads a whole environment", () => {
  const reading = readConfig({
    PORT: "8080",
    HOST: "0.0.0.0",
    DATABASE_URL,
    REDIS_URL: "redis://localhost:6379",
    KAFKA_BROKERS: "a:9092, b:9092",
    ADMIN_TOKEN: "sixteen-characters",
    ROLE: "api",
    LOG_LEVEL: "warn",
  });
  assert.ok(reading.ok);
  assert.deepEqual(reading.config, {
    port: 8080,
    host: "0.0.0.0",
    databaseUrl: DATABASE_URL,
    redisUrl: "redis://localhost:6379",
    kafkaBrokers: ["a:9092", "b:9092"],
    adminToken: "sixteen-characters",
    adminTokenIsNew: false,
    role: "api",
    logLevel: "warn",
  });
});

test("fills in what is unset or empty, with a random operator token", () => {
  const readings = [readConfig({ DATABASE_URL }), readConfig({ DATABASE_URL, PORT: "" })];
  const tokens = readings.map((reading) => {
    assert.ok(reading.ok);
    assert.equal(reading.config.port, 3000);
    assert.equal(reading.config.host, "127.0.0.1");
    assert.equal(reading.config.redisUrl, null);
    assert.ok(reading.config.adminTokenIsNew);
    return reading.config.adminToken;
  });
  assert.notEqual(tokens[0], tokens[1]);
});

test("lists every fault together", () => {
  const reading = readConfig({
    PORT: "99999",
    DATABASE_URL: "mysql://x",
    REDIS_URL: "http://x",
    KAFKA_BROKERS: "broker",
    ADMIN_TOKEN: "short",
    ROLE: "king",
    LOG_LEVEL: "loud",
    AUTH: "jwt",
  });
  assert.ok(!reading.ok);
  assert.equal(reading.faults.length, 8);
});
