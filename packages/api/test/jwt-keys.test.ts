// Keys rotate by changing the file. Red when `watchKeys` takes over a broken file, or none at all.
import assert from "node:assert/strict";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { until } from "@stampede/domain/contracts";
import { parseKeySet, watchKeys } from "../src/jwt-keys.ts";
import type { KeySource } from "../src/jwt-keys.ts";
import { keySetText, signingKey } from "./support/tokens.ts";

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

test("is read by itself, without being asked", async (t) => {
  const { keys, path } = watched(t);
  writeFileSync(path, keySetText([next]));
  await until(() => kids(keys)[0] === "next", "the next key is read");
});

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
    onChange: (count) => changes.push(count),
    onFault: (told) => faults.push(...told),
  });
  t.after(() => {
    keys.close();
    rmSync(folder, { recursive: true });
  });
  return { keys, path, faults, changes };
}

function kids(keys: KeySource): string[] {
  return [...keys.current().keys()];
}
