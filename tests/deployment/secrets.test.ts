// The one-shot "secrets" of compose.yaml by its own script: what a fresh clone gets, what .env says, and
// what stays from start to start.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { root } from "./compose-model.ts";
import { inReverse, ownFolder } from "./processes.ts";
import type { Cleanup } from "./processes.ts";

const files = [
  "postgres/password",
  "exporter/password",
  "redis/password",
  "admin/token",
  "grafana/password",
];

function volumes(t: Cleanup): string {
  const folder = ownFolder(t);
  for (const file of files) mkdirSync(join(folder, file, ".."));
  return folder;
}

/** What the script says; it must end well. */
function make(folder: string, environment: Readonly<Record<string, string>> = {}): string {
  const script = join(root, "deploy/secrets/make.sh");
  const env = { PATH: process.env["PATH"] ?? "", ...environment };
  const { status, stdout, stderr } = spawnSync("sh", [script, folder], { env, encoding: "utf8" });
  assert.equal(status, 0, stderr);
  return stdout + stderr;
}

function secretsIn(folder: string): readonly string[] {
  return files.map((file) => readFileSync(join(folder, file), "utf8").trim());
}

test("a first start makes every secret, long and of its own, and shows none", (context) => {
  const folder = volumes(inReverse(context));
  const output = make(folder);
  const secrets = secretsIn(folder);
  for (const secret of secrets) {
    assert.match(secret, /^[0-9a-f]{64}$/);
    assert.ok(!output.includes(secret));
  }
  assert.equal(new Set(secrets).size, files.length);
  assert.match(output, /docker compose exec app cat \/secrets\/admin\/token/);
});

test("secrets stay from start to start, and any user of a container that sees them may read them", (context) => {
  const folder = volumes(inReverse(context));
  make(folder);
  const secrets = secretsIn(folder);
  make(folder, { ADMIN_TOKEN: "", POSTGRES_PASSWORD: "" });
  assert.deepEqual(secretsIn(folder), secrets);
  for (const file of files) assert.equal(statSync(join(folder, file)).mode & 0o777, 0o644);
});

test("what .env says is taken at each start, and stays when the file is gone", (context) => {
  const folder = volumes(inReverse(context));
  make(folder);
  const odd = "p@ss/word: %41 $HOME `id`";
  const output = make(folder, { POSTGRES_PASSWORD: odd, ADMIN_TOKEN: "sixteen-characters" });
  assert.match(output, /postgres\/password: taken from \.env/);
  assert.ok(!output.includes(odd) && !output.includes("sixteen-characters"));
  const [postgres, , , admin] = secretsIn(folder);
  assert.deepEqual([postgres, admin], [odd, "sixteen-characters"]);
  make(folder);
  assert.equal(secretsIn(folder)[0], odd);
});
