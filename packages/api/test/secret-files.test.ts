import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { readConfig } from "../src/config.ts";

const DATABASE_URL = "postgres://stampede@postgres:5432/stampede?application_name=shop";

function file(t: TestContext, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), "stampede-secret-"));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "secret"), text);
  return join(folder, "secret");
}

function faultsOf(environment: Readonly<Record<string, string>>): readonly string[] {
  const reading = readConfig({ DATABASE_URL, ...environment });
  return reading.ok ? [] : reading.faults;
}

test("takes passwords and the operator's token out of files, whatever characters they hold", (t) => {
  const reading = readConfig({
    DATABASE_URL,
    DATABASE_PASSWORD_FILE: file(t, "a/b:c@d %41#?\n"),
    REDIS_URL: "redis://redis:6379",
    REDIS_PASSWORD_FILE: file(t, "열려라"),
    ADMIN_TOKEN_FILE: file(t, "  sixteen-characters\n"),
  });
  assert.ok(reading.ok);
  const { databaseUrl, redisUrl, auth } = reading.config;
  const database = new URL(databaseUrl);
  assert.equal(decodeURIComponent(database.password), "a/b:c@d %41#?");
  database.password = "";
  assert.equal(database.href, DATABASE_URL);
  assert.equal(decodeURIComponent(new URL(redisUrl ?? "").password), "열려라");
  assert.deepEqual(auth, {
    kind: "dev",
    adminToken: "sixteen-characters",
    adminTokenIsNew: false,
  });
});

test("says which file is not there or empty, and what stands in two places", (t) => {
  const secret = file(t, "sixteen-characters");
  const nowhere = `${secret}-nowhere`;
  assert.deepEqual(faultsOf({ ADMIN_TOKEN_FILE: nowhere }), [
    `ADMIN_TOKEN_FILE: ${nowhere} cannot be read (ENOENT)`,
  ]);
  const empty = file(t, "\n");
  assert.deepEqual(faultsOf({ DATABASE_PASSWORD_FILE: empty }), [
    `DATABASE_PASSWORD_FILE: ${empty} is empty`,
  ]);
  assert.match(
    faultsOf({ ADMIN_TOKEN: "sixteen-characters", ADMIN_TOKEN_FILE: secret }).join(),
    /ADMIN_TOKEN and ADMIN_TOKEN_FILE are both set/,
  );
  assert.match(
    faultsOf({ REDIS_URL: "redis://:x@redis:6379", REDIS_PASSWORD_FILE: secret }).join(),
    /REDIS_URL holds a password and REDIS_PASSWORD_FILE is set/,
  );
  assert.match(
    faultsOf({ REDIS_PASSWORD_FILE: secret }).join(),
    /REDIS_PASSWORD_FILE is set and REDIS_URL is not/,
  );
});

test("never says a secret in a fault", (t) => {
  const faults = faultsOf({
    ADMIN_TOKEN: "too-short",
    ADMIN_TOKEN_FILE: file(t, "kept-to-itself"),
    REDIS_URL: "redis://:kept-to-itself@redis",
    REDIS_PASSWORD_FILE: file(t, "kept-to-itself"),
  });
  assert.ok(faults.length > 0);
  assert.doesNotMatch(faults.join(), /kept-to-itself|too-short/);
});

test("refuses AUTH=dev where other machines may come, unless it is told so in so many words", () => {
  for (const HOST of [
    "0.0.0.0",
    "::",
    "192.0.2.1",
    "shop.example",
    "127.example",
    "::ffff:8.8.8.8",
  ]) {
    const [fault, ...others] = faultsOf({ HOST });
    assert.match(String(fault), /AUTH=dev believes everybody.*LET_ANYBODY_BE_ANYBODY=yes/, HOST);
    assert.deepEqual(others, []);
    assert.deepEqual(faultsOf({ HOST, LET_ANYBODY_BE_ANYBODY: "yes" }), [], HOST);
  }
  for (const HOST of ["", "127.0.0.1", "127.9.9.9", "::1", "0:0:0:0:0:0:0:1", "LOCALHOST"]) {
    assert.deepEqual(faultsOf({ HOST }), [], HOST);
  }
  assert.match(faultsOf({ LET_ANYBODY_BE_ANYBODY: "no" }).join(), /must be yes, or not set/);
});
