import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { describe, test } from "node:test";
import { readConfig } from "../src/config.ts";
import { fileWith } from "./support/files.ts";
import { jwkOf, keySetText, signingKey } from "./support/tokens.ts";

const DATABASE_URL = "postgres://localhost/stampede";

describe("AUTH=jwt", () => {
  const key = signingKey("one");

  test("takes issuer, audience and the public keys of a file, and no ADMIN_TOKEN", (t) => {
    const text = keySetText([key, signingKey("two", "RS256")]);
    const path = fileWith(t, text);
    const reading = readConfig({ ...jwtEnvironment(path), ADMIN_TOKEN: "short" });
    assert.ok(reading.ok && reading.config.auth.kind === "jwt");
    const { rules, keys } = reading.config.auth;
    const { issuers, audiences } = rules;
    assert.deepEqual([issuers, audiences], [["https://shop.example"], ["stampede"]]);
    assert.ok(keys.kind === "file");
    assert.deepEqual([keys.path, keys.keySet.text], [path, text]);
    const algorithms = keys.keySet.keys.map((one) => `${one.kid} ${one.algorithms.join()}`);
    assert.deepEqual(algorithms, ["one ES256", "two RS256"]);
  });

  test("takes several issuers and audiences, and how operators are told, with usual values", (t) => {
    const path = fileWith(t, keySetText([key]));
    const usual = readConfig(jwtEnvironment(path));
    assert.ok(usual.ok && usual.config.auth.kind === "jwt");
    assert.deepEqual(usual.config.auth.rules, {
      issuers: ["https://shop.example"],
      audiences: ["stampede"],
      audienceClaim: "aud",
      operatorClaims: ["scope", "scp", "permissions"],
      operatorScope: "stampede:admin",
      required: [],
      ageSecondsMax: 86_400,
    });
    const named = readConfig({
      ...jwtEnvironment(path),
      JWT_ISSUER: "https://a.example/ https://b.example/v2.0",
      JWT_AUDIENCE: " web  app ",
      JWT_AUDIENCE_CLAIM: "client_id",
      JWT_OPERATOR_CLAIM: "cognito:groups realm_access.roles",
      JWT_OPERATOR_SCOPE: "coupon-operators",
      JWT_REQUIRE: "typ iat",
      JWT_MAX_AGE_HOURS: "48",
    });
    assert.ok(named.ok && named.config.auth.kind === "jwt");
    assert.deepEqual(named.config.auth.rules, {
      issuers: ["https://a.example/", "https://b.example/v2.0"],
      audiences: ["web", "app"],
      audienceClaim: "client_id",
      operatorClaims: ["cognito:groups", "realm_access.roles"],
      operatorScope: "coupon-operators",
      required: ["typ", "iat"],
      ageSecondsMax: 172_800,
    });
  });

  test("lists the faults of what is beside them together", (t) => {
    const reading = readConfig({
      ...jwtEnvironment(fileWith(t, keySetText([key]))),
      JWT_OPERATOR_SCOPE: "two words",
      JWT_REQUIRE: "typ,iat",
      JWT_MAX_AGE_HOURS: "0",
    });
    assert.ok(!reading.ok);
    assert.deepEqual(reading.faults, [
      "JWT_OPERATOR_SCOPE must be one word, without spaces",
      "JWT_REQUIRE must be any of typ, kid, iat, nbf, jti, with spaces between them",
      "JWT_MAX_AGE_HOURS must be a whole number from 1 to 8760",
    ]);
  });

  test("takes an address of the keys, which nobody on the way can change", () => {
    for (const address of [
      "https://sign-in.example/.well-known/jwks.json",
      "HTTPS://sign-in.example/keys?appid=7",
      "http://127.0.0.1:8080/keys",
      "http://[::1]:8080/keys",
      "http://localhost/keys",
    ]) {
      const reading = readConfig(jwtEnvironment(address));
      assert.ok(reading.ok && reading.config.auth.kind === "jwt", address);
      const { keys } = reading.config.auth;
      assert.ok(keys.kind === "address" && keys.url.href === new URL(address).href, address);
    }
    const refused: readonly (readonly [string, RegExp])[] = [
      ["http://sign-in.example/keys", /must begin with https:/],
      ["http://127.0.0.1.sign-in.example/keys", /must begin with https:/],
      ["ftp://sign-in.example/keys", /must begin with https:/],
      ["file:///etc/stampede/keys.json", /must begin with https:/],
      ["https://user:MARK@sign-in.example/keys", /must not hold a user name or a password/],
      ["https://", /is no address/],
    ];
    for (const [address, fault] of refused) {
      const reading = readConfig(jwtEnvironment(address));
      assert.ok(!reading.ok && reading.faults.length === 1, address);
      assert.match(String(reading.faults[0]), fault);
      assert.ok(!reading.faults.join().includes("MARK"));
    }
  });

  test("lists what is missing together with all other faults", () => {
    const reading = readConfig({ AUTH: "jwt", PORT: "x" });
    assert.ok(!reading.ok);
    const names = reading.faults.map((fault) => fault.split(" ")[0]);
    const wanted = ["JWT_ISSUER", "JWT_AUDIENCE", "JWT_KEYS", "DATABASE_URL", "PORT"];
    assert.deepEqual(names, wanted);
  });

  const jwk = jwkOf(key);
  const nameless = { ...jwk, kid: undefined };
  const refused: readonly (readonly [string, string, RegExp])[] = [
    ["no JSON", "{MARK", /must be a JSON object with a list "keys"/],
    ["no list", JSON.stringify({ keys: "MARK" }), /must be a JSON object with a list "keys"/],
    ["no keys", setOf(), /holds no key that verifies/],
    ["only a key for encryption", setOf({ ...jwk, use: "enc" }), /holds no key that verifies/],
    ["only what is no key", setOf("MARK"), /holds no key that verifies; key 1: for none of/],
    ["only a shared secret", setOf({ kty: "oct", k: "MARK", kid: "a" }), /key 1: a shared secret/],
    ["a private key", setOf(jwk, { ...jwk, d: "MARK" }), /key 2 is a PRIVATE key/],
    ["only keys without kid", setOf(nameless, nameless), /keys 1, 2: without a kid/],
    ["only half a key", setOf({ ...jwk, y: undefined }), /key 1: not a whole key/],
    ["only HS256", setOf({ ...jwk, alg: "HS256" }), /key 1: for none of/],
    ["only another curve's algorithm", setOf({ ...jwk, alg: "EdDSA" }), /key 1: for none of/],
    ["only a short key", setOf(shortKey()), /key 1: of fewer than 2048 bits/],
    ["a single key", JSON.stringify({ ...jwk, x5t: "MARK" }), /it is a single key/],
    ["a description", '{"issuer":"MARK","jwks_uri":"MARK"}', /use its jwks_uri/],
    ["certificates", '{"MARK":"-----BEGIN CERTIFICATE-----"}', /use the address of the JWK Set/],
    ["a page", "<!doctype html>MARK", /it is HTML/],
    ["a PEM file", "-----BEGIN PUBLIC KEY-----MARK", /must be a JSON object/],
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

  test("takes a key that does not name its algorithm for all that its kind can", (t) => {
    const text = setOf({ ...jwkOf(signingKey("a", "PS256")), alg: undefined, use: undefined });
    const reading = readConfig(jwtEnvironment(fileWith(t, text)));
    assert.ok(reading.ok && reading.config.auth.kind === "jwt");
    assert.ok(reading.config.auth.keys.kind === "file");
    const [known] = reading.config.auth.keys.keySet.keys;
    assert.deepEqual(known?.algorithms, ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]);
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
