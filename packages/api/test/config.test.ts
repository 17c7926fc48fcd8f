import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { readConfig } from "../src/config.ts";
import { jwkOf, keySetText, signingKey } from "./support/tokens.ts";

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
    POOL_SHARED: "7",
    POOL_DECISIONS: "6",
    POOL_ROW_LOCK: "2",
    WORKERS: "3",
    KEEP_LOG_DAYS: "30",
    LOG_LEVEL: "warn",
  });
  assert.ok(reading.ok);
  assert.deepEqual(reading.config, {
    port: 8080,
    host: "0.0.0.0",
    databaseUrl: DATABASE_URL,
    redisUrl: "redis://localhost:6379",
    kafkaBrokers: ["a:9092", "b:9092"],
    auth: { kind: "dev", adminToken: "sixteen-characters", adminTokenIsNew: false },
    role: "api",
    poolSizes: { shared: 7, decisions: 6, rowLock: 2 },
    workers: 3,
    keepLogMs: 30 * 86_400_000,
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

describe("AUTH=jwt", () => {
  const key = signingKey("one");

  test("takes issuer, audience and the public keys of a file, and no ADMIN_TOKEN", (t) => {
    const text = keySetText([key, signingKey("two", "RS256")]);
    const path = fileWith(t, text);
    const reading = readConfig({ ...jwtEnvironment(path), ADMIN_TOKEN: "short" });
    assert.ok(reading.ok && reading.config.auth.kind === "jwt");
    const { issuer, audience, keysPath, keySet } = reading.config.auth;
    assert.deepEqual([issuer, audience, keysPath], ["https://shop.example", "stampede", path]);
    const algorithms = [...keySet.keys].map(([kid, { algorithm }]) => `${kid} ${algorithm}`);
    assert.deepEqual(algorithms, ["one ES256", "two RS256"]);
    assert.equal(keySet.text, text);
  });

  test("lists what is missing together with all other faults", () => {
    const reading = readConfig({ AUTH: "jwt", PORT: "x" });
    assert.ok(!reading.ok);
    const names = reading.faults.map((fault) => fault.split(" ")[0]);
    const wanted = ["JWT_ISSUER", "JWT_AUDIENCE", "JWT_KEYS", "DATABASE_URL", "PORT"];
    assert.deepEqual(names, wanted);
  });

  const jwk = jwkOf(key);
  const refused: readonly (readonly [string, string, RegExp])[] = [
    ["no JSON", "{MARK", /must be a JSON object with a list "keys"/],
    ["no list", JSON.stringify({ keys: "MARK" }), /must be a JSON object with a list "keys"/],
    ["no keys", setOf(), /holds no key that verifies/],
    ["only a key for encryption", setOf({ ...jwk, use: "enc" }), /holds no key that verifies/],
    ["what is no key", setOf("MARK"), /key 1 is for none of/],
    ["a shared secret", setOf({ kty: "oct", k: "TUFSSw", kid: "a" }), /key 1 is a shared secret/],
    ["a private key", setOf({ ...jwk, d: "MARK" }), /key 1 is a PRIVATE key/],
    ["no kid", setOf({ ...jwk, kid: undefined }), /key 1 has no kid/],
    ["one kid twice", setOf(jwk, jwk), /key 2 has the kid of another one/],
    ["half a key", setOf({ ...jwk, y: undefined }), /key 1 is not a whole key/],
    ["HS256", setOf({ ...jwk, alg: "HS256" }), /key 1 is for none of/],
    ["another curve's algorithm", setOf({ ...jwk, alg: "EdDSA" }), /key 1 is for none of/],
    ["a short key", setOf(shortKey()), /key 1 has fewer than 2048 bits/],
    ["too large a file", setOf({ ...jwk, x5c: "x".repeat(70_000) }), /is larger than 64 KiB/],
  ];
  for (const [what, text, fault] of refused) {
    test(`refuses ${what} in JWT_KEYS, and repeats nothing of it`, (t) => {
      const path = fileWith(t, text);
      const reading = readConfig(jwtEnvironment(path));
      assert.ok(!reading.ok);
      assert.equal(reading.faults.length, 1);
      assert.match(String(reading.faults[0]), fault);
      assert.match(String(reading.faults[0]), /^JWT_KEYS: /);
      assert.ok(!reading.faults.join().includes("MARK"));
    });
  }

  test("refuses a file that is not there", () => {
    const reading = readConfig(jwtEnvironment("/nowhere/keys.json"));
    const faults = ["JWT_KEYS: /nowhere/keys.json: cannot be read (ENOENT)"];
    assert.deepEqual(reading, { ok: false, faults });
  });

  test("takes a key that does not name its algorithm for what its kind is usually for", (t) => {
    const text = setOf({ ...jwkOf(signingKey("a", "PS256")), alg: undefined, use: undefined });
    const reading = readConfig(jwtEnvironment(fileWith(t, text)));
    assert.ok(reading.ok && reading.config.auth.kind === "jwt");
    assert.equal(reading.config.auth.keySet.keys.get("a")?.algorithm, "RS256");
  });
});

function jwtEnvironment(path: string): Record<string, string> {
  const pins = { JWT_ISSUER: "https://shop.example", JWT_AUDIENCE: "stampede" };
  return { DATABASE_URL, AUTH: "jwt", JWT_KEYS: path, ...pins };
}

function setOf(...keys: readonly unknown[]): string {
  return JSON.stringify({ keys });
}

function shortKey(): unknown {
  const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 1_024 });
  return { ...publicKey.export({ format: "jwk" }), kid: "short" };
}

function fileWith(t: TestContext, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), "stampede-config-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "keys.json");
  writeFileSync(path, text);
  return path;
}
