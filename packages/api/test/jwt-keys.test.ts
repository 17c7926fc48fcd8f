// Keys rotate by changing the file. Red when `watchKeys` takes over a broken file, or none at all.
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { until } from "@stampede/domain/contracts";
import { keysFor, parseKeySet } from "../src/jwt-keys.ts";
import { watchKeys } from "../src/key-sources.ts";
import type { KeySource } from "../src/key-sources.ts";
import { jwkOf, keySetText, signingKey } from "./support/tokens.ts";

const old = signingKey("old");
const next = signingKey("next");

test("a changed file counts, however it was replaced", async (t) => {
  const { keys, path, changes } = watched(t);
  assert.deepEqual(kids(keys), ["old"]);
  await keys.reread();
  assert.deepEqual(changes, [], "the file that it began with is no news");
  writeFileSync(path, keySetText([old, next]));
  await keys.reread();
  assert.deepEqual(kids(keys), ["old", "next"]);
  writeFileSync(`${path}.new`, keySetText([next]));
  renameSync(`${path}.new`, path);
  await keys.reread();
  assert.deepEqual(kids(keys), ["next"]);
  assert.deepEqual(changes, [2, 1]);
});

test("a file that is broken or away leaves the last good keys, and is told once", async (t) => {
  const { keys, path, faults, changes } = watched(t);
  writeFileSync(path, "{");
  await keys.reread();
  await keys.reread();
  assert.deepEqual(kids(keys), ["old"]);
  assert.deepEqual(faults, ['must be a JSON object with a list "keys" (a JWK Set)']);
  rmSync(path);
  await keys.reread();
  assert.deepEqual(kids(keys), ["old"]);
  assert.deepEqual(faults.slice(1), ["cannot be read (ENOENT)"]);
  writeFileSync(path, keySetText([next]));
  await keys.reread();
  assert.deepEqual([kids(keys), changes], [["next"], [1]]);
});

const good = jwkOf(signingKey("good"));
const passedBy: Readonly<Record<string, unknown>> = {
  "of an unknown kind": { kty: "AKP", alg: "ML-DSA-44", kid: "x", pub: "TUFSSw" },
  "of an unknown curve": { ...good, crv: "secp256k1" },
  "of another algorithm": { ...good, alg: "ECDH-ES+A256KW" },
  "for encryption": { ...good, use: "enc" },
  "for other operations": { ...good, key_ops: ["deriveKey"] },
  "without a kid": { ...good, kid: undefined },
  "that is a shared secret": { kty: "oct", k: "TUFSSw", kid: "x", alg: "HS256" },
  "that is a certificate alone": { kty: "RSA", kid: "x", x5c: ["TUFSSw"] },
  "with half its members": { ...good, y: undefined },
  "with members of other types": { ...good, x: 7 },
  "of 1024 bits": { ...shortKey().export({ format: "jwk" }), kid: "x" },
  "that is no object": ["MARK"],
};
for (const [what, entry] of Object.entries(passedBy)) {
  test(`a key ${what} is passed by and told, and the others count`, () => {
    const others = [jwkOf(old), jwkOf(next)];
    const reading = parseKeySet(JSON.stringify({ keys: [others[0], entry, others[1]] }));
    assert.ok(reading.ok);
    const { keys, passedBy: told } = reading.keySet;
    assert.deepEqual(
      keys.map(({ kid }) => kid),
      ["old", "next"],
    );
    assert.equal(told.length, 1);
    assert.match(String(told[0]), /^key 2: \w/);
    assert.ok(!String(told[0]).includes("MARK"));
  });
}

test("what is passed by is told once for each reason, and an odd set makes nothing throw", () => {
  const odd = [{ ...good, use: "enc" }, jwkOf(old), { ...good, use: "tls" }, null, 7, "x", {}];
  const reading = parseKeySet(`\uFEFF${JSON.stringify({ keys: odd })}`);
  assert.ok(reading.ok);
  assert.equal(reading.keySet.passedBy.length, 2);
  assert.match(String(reading.keySet.passedBy[0]), /^keys 1, 3: for another use than signatures$/);
  assert.match(String(reading.keySet.passedBy[1]), /^keys 4, 5, 6, 7: for none of/);
});

test("a rotation to a set without any key that is understood leaves the last good keys", async (t) => {
  const { keys, path, faults } = watched(t);
  writeFileSync(path, JSON.stringify({ keys: [{ kty: "AKP", alg: "ML-DSA-44", kid: "x" }] }));
  await keys.reread();
  assert.deepEqual(kids(keys), ["old"]);
  assert.match(faults.join(), /^holds no key that verifies; key 1: for none of/);
});

test("one name may belong to keys of two kinds, and a key may stand there twice", () => {
  const both = [signingKey("a", "ES256"), signingKey("a", "RS256")].map(jwkOf);
  const reading = parseKeySet(JSON.stringify({ keys: [...both, both[0]] }));
  assert.ok(reading.ok);
  assert.deepEqual(reading.keySet.passedBy, []);
  const fits = (alg: string) => keysFor(reading.keySet.keys, { kid: "a", alg }).fitting.length;
  assert.deepEqual([fits("ES256"), fits("RS256"), fits("RS512"), fits("none")], [1, 1, 0, 0]);
});

test("is read by itself, without being asked", async (t) => {
  const { keys, path } = watched(t);
  writeFileSync(path, keySetText([next]));
  await until(() => kids(keys)[0] === "next", "the next key is read");
});

function shortKey(): KeyObject {
  return generateKeyPairSync("rsa", { modulusLength: 1_024 }).publicKey;
}

type Watched = {
  readonly keys: KeySource;
  readonly path: string;
  readonly faults: string[];
  readonly changes: number[];
};

function watched(t: TestContext): Watched {
  const folder = mkdtempSync(join(tmpdir(), "stampede-keys-"));
  const path = join(folder, "keys.json");
  const text = keySetText([old]);
  writeFileSync(path, text);
  const reading = parseKeySet(text);
  assert.ok(reading.ok);
  const faults: string[] = [];
  const changes: number[] = [];
  const keys = watchKeys({
    path,
    keySet: reading.keySet,
    onChange: ({ keys }) => changes.push(keys.length),
    onFault: (told) => faults.push(...told),
  });
  t.after(() => {
    keys.close();
    rmSync(folder, { recursive: true });
  });
  return { keys, path, faults, changes };
}

function kids(keys: KeySource): readonly (string | null)[] {
  return keys.current().map(({ kid }) => kid);
}
